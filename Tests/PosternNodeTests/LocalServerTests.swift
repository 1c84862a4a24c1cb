import CoordinationAPI
import Foundation
import Glibc
import Mesh
import Testing

@testable import PosternNode

/// The local socket with real callers: whatever one of them does, the others are served.
///
/// One at a time, for each has a server and threads of its own.
@Suite(.serialized) struct LocalServerTests {
    @Test func `a request arrives with its descriptors, and they are closed after it`() async throws {
        try await withServer { path in
            let pipe = try Tube()
            let guest = try Guest(at: path)
            let answer = try guest.ask(Self.run, descriptors: [pipe.writer, pipe.writer, pipe.writer])
            #expect(answer == .notice("run with 3"))
            pipe.closeWriter()
            #expect(try pipe.text() == "0 1 2 ")
        }
    }

    @Test func `a request that comes byte by byte is one request`() async throws {
        try await withServer { path in
            let guest = try Guest(at: path)
            for byte in try LocalFrame.encode(LocalRequest.status) { try guest.send([byte]) }
            #expect(try guest.receive() == .notice("status"))
        }
    }

    @Test func `requests that come at once are answered in their order`() async throws {
        try await withServer { path in
            let guest = try Guest(at: path)
            try guest.send((1...20).flatMap { try LocalFrame.encode(LocalRequest.signal($0)) })
            for number in 1...20 { #expect(try guest.receive() == .notice("signal \(number)")) }
        }
    }

    @Test func `the largest request there may be is read`() async throws {
        try await withServer { path in
            let guest = try Guest(at: path)
            let padding = [UInt8](repeating: UInt8(ascii: " "), count: LocalFrame.maximumLength)
            let body = Array(try JSON.encode(LocalRequest.status) + padding).prefix(LocalFrame.maximumLength)
            try guest.send(frame(Array(body)))
            #expect(try guest.receive() == .notice("status"))
        }
    }

    @Test(
        arguments: [
            ("a length without end", [0xff, 0xff, 0xff, 0xff], "the message is longer than 1048576 bytes"),
            ("one byte too many", [0, 0x10, 0, 1], "the message is longer than 1048576 bytes"),
            ("another protocol", Array("GET / HTTP/1.1\r\n\r\n".utf8), "the message is longer than 1048576 bytes"),
            ("nothing", frame([]), "the request cannot be read: it is not valid JSON"),
            ("text", frame(Array("hello".utf8)), "the request cannot be read: it is not valid JSON"),
            ("bytes", frame([0xff, 0xfe, 0, 1, 2]), "the request cannot be read: it is not valid JSON"),
            ("an object", frame(Array("{}".utf8)), "the request cannot be read: "),
            ("an unknown request", frame(Array(#"{"halt":{}}"#.utf8)), "the request cannot be read: "),
            (
                "a bad name", frame(Array(#"{"endSession":{"_0":"../../etc"}}"#.utf8)),
                "the request cannot be read: "
            ),
            (
                "a deep pit", frame([UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)),
                "the request cannot be read: it is nested deeper than 32 levels"
            ),
        ] as [(String, [UInt8], String)])
    func `nonsense is answered with a sentence, and ends the connection`(
        name: String, bytes: [UInt8], sentence: String
    ) async throws {
        try await withServer { path in
            let rude = try Guest(at: path)
            let polite = try Guest(at: path)
            try rude.send(bytes)
            let answer = try rude.receive()
            guard case .failed(let reason) = answer else {
                Issue.record("\(name) was answered with \(String(describing: answer))")
                return
            }
            #expect(reason.hasPrefix(sentence))
            #expect(try rude.receive() == nil)
            #expect(try polite.ask(.status) == .notice("status"))
        }
    }

    @Test(arguments: seeds)
    func `no bytes stop the server`(seed: UInt64) async throws {
        try await withServer { path in
            var random = SeededGenerator(seed: seed)
            for _ in 0..<20 {
                let guest = try Guest(at: path)
                let body = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                try? guest.send(Bool.random(using: &random) ? frame(body) : body)
            }
            try Self.expectServed(at: path)
        }
    }

    // MARK: - Descriptors

    @Test func `a message with more descriptors than a request takes is refused, and they are closed`() async throws {
        try await withServer { path in
            let pipe = try Tube()
            let guest = try Guest(at: path)
            let answer = try guest.ask(Self.run, descriptors: [pipe.writer, pipe.writer, pipe.writer, pipe.writer])
            #expect(answer?.failure != nil)
            #expect(try guest.receive() == nil)
            pipe.closeWriter()
            #expect(try pipe.text() == "")
            try Self.expectServed(at: path)
        }
    }

    @Test func `descriptors do not pile up while a request is on its way`() async throws {
        try await withServer { path in
            let pipe = try Tube()
            let guest = try Guest(at: path)
            for byte in [0, 0] as [UInt8] { try guest.send([byte], descriptors: [pipe.writer, pipe.writer]) }
            #expect(try guest.receive()?.failure == "more descriptors came than a request takes")
            pipe.closeWriter()
            #expect(try pipe.text() == "")
        }
    }

    @Test func `the descriptors of half a request are closed when the caller hangs up`() async throws {
        try await withServer { path in
            let pipe = try Tube()
            do { try Guest(at: path).send([0, 0, 0], descriptors: [pipe.writer, pipe.writer, pipe.writer]) }
            pipe.closeWriter()
            #expect(try pipe.text() == "")
            try Self.expectServed(at: path)
        }
    }

    // MARK: - Many, and few

    @Test func `half a request and then nothing is no request`() async throws {
        try await withServer { path in
            let guest = try Guest(at: path)
            try guest.send(Array(try LocalFrame.encode(LocalRequest.status).dropLast()))
            guest.stopSending()
            #expect(try guest.receive() == nil)
            try Self.expectServed(at: path)
        }
    }

    @Test func `those over the limit are refused, and have a place when others have gone`() async throws {
        try await withServer { path in
            let crowd = try (0..<300).map { _ in Held(try Guest(at: path)) }
            var (served, refused) = (0, 0)
            for held in crowd {
                try? held.guest.send(LocalFrame.encode(LocalRequest.status))
                switch try held.guest.receive() {
                case .notice("status"): served += 1
                case .failed("posternd has no place left for another caller: try again"): refused += 1
                case let other: Issue.record("\(String(describing: other))")
                }
            }
            #expect((served, refused) == (256, 44))
            for held in crowd { shutdown(held.guest.descriptor, Int32(SHUT_RDWR)) }
            try Self.expectServed(at: path)
        }
    }

    @Test func `one user does not take the places of all`() {
        let crowd = Array(repeating: UInt32?(1000), count: Reception.placesOfOneUser)
        #expect(!Reception.hasPlace(for: 1000, beside: crowd))
        #expect(Reception.hasPlace(for: 1001, beside: crowd))
        #expect(Reception.hasPlace(for: 0, beside: crowd))
        #expect(Reception.hasPlace(for: 1000, beside: Array(crowd.dropLast())))
        #expect(!Reception.hasPlace(for: 0, beside: Array(repeating: 0, count: Reception.places)))
    }

    @Test func `a caller that asks nothing is sent away`() async throws {
        let scratch = try Scratch()
        let server = try LocalServer(path: scratch.path + "/sock", patience: .milliseconds(50))
        try await serve(server) { path in
            let answer = try Guest(at: path).receive()
            #expect(answer == .failed("nothing was asked for too long"))
        }
    }

    @Test func `a caller that does not read its answers is hung up on`() async throws {
        try await withServer { path in
            let deaf = try Guest(at: path)
            try deaf.send(
                LocalFrame.encode(LocalRequest.endSession(SessionID(unchecked: String(repeating: "0", count: 32)))))
            try Self.expectServed(at: path)
            try deaf.waitForHangUp()
            var answers = 0
            while try deaf.receive() != nil { answers += 1 }
            #expect((1..<1000).contains(answers))
        }
    }

    @Test func `the kernel says who asks`() async throws {
        try await withServer { path in
            let request = LocalRequest.why(
                agent: AgentName(unchecked: "one"), action: "connect", service: ServiceName(unchecked: "ledger"))
            let answer = try Guest(at: path).ask(request)
            #expect(answer == .notice("asked by \(getpid()) as \(getuid()):\(getgid())"))
        }
    }

    // MARK: - The socket

    @Test func `anybody on the machine may ask`() throws {
        let scratch = try Scratch()
        _ = try LocalServer(path: scratch.path + "/sock")
        #expect(try scratch.mode(of: "sock") == 0o666)
    }

    @Test func `a socket left behind is replaced, and goes with the server`() async throws {
        let scratch = try Scratch()
        let path = scratch.path + "/sock"
        _ = try LocalServer(path: path)
        let server = try LocalServer(path: path)
        try await serve(server) { try Self.expectServed(at: $0) }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `a path that no socket can have is refused`() throws {
        let long = "/tmp/" + String(repeating: "a", count: 200)
        #expect(throws: NodeError("the socket's path `\(long)` is too long")) { try LocalServer(path: long) }
        #expect(throws: NodeError("cannot listen on `/nowhere/at/all`: No such file or directory")) {
            try LocalServer(path: "/nowhere/at/all")
        }
    }

    @Test func `who has asked nothing is hung up on when the server ends`() async throws {
        let scratch = try Scratch()
        let path = scratch.path + "/sock"
        let server = try LocalServer(path: path)
        let waiting = Held(try Guest(at: path))
        try await serve(server) { try Self.expectServed(at: $0) }
        try await blocking {
            let answer = try waiting.guest.receive()
            #expect(answer == nil)
        }
    }
}

// MARK: - Helpers

extension LocalServerTests {
    fileprivate static let run = LocalRequest.run(
        RunRequest(
            agent: AgentName(unchecked: "one"), command: ["true"], environment: [:], directory: "/", user: nil))

    private static func expectServed(at path: String) throws {
        #expect(try Guest(at: path).ask(.status) == .notice("status"))
    }

    private func withServer(_ body: @escaping @Sendable (String) throws -> Void) async throws {
        let scratch = try Scratch()
        try await serve(try LocalServer(path: scratch.path + "/sock"), body)
    }
}

private func frame(_ body: [UInt8]) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
}

extension LocalResponse {
    fileprivate var failure: String? { if case .failed(let sentence) = self { sentence } else { nil } }
}
