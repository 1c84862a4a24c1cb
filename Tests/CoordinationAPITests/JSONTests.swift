import CoordinationAPI
import Mesh
import Testing

@Suite struct JSONTests {
    private struct Probe: Codable, Equatable {
        var name: NodeName
        var list: [Int]?
    }

    @Test(arguments: [
        (#"{}"#, "`name` is missing"), (#"{"name":1}"#, "`name` has the wrong type"),
        (#"{"name":null}"#, "`name` has the wrong type"),
        (#"{"name":"a","list":[1,"x"]}"#, "`list[1]` has the wrong type"),
        ("", "it is not valid JSON"), ("{", "it is not valid JSON"), ("\u{0}", "it is not valid JSON"),
    ])
    func `an error names the member`(json: String, reason: String) {
        #expect(throws: MessageError(reason: reason)) { try JSON.decode(Probe.self, from: Array(json.utf8)) }
    }

    @Test func `nesting past the bound is refused before it is decoded`() {
        for opening in ["[", "{\"a\":"] {
            let text = String(repeating: opening, count: 100_000)
            #expect(throws: MessageError(reason: "it is nested deeper than 32 levels")) {
                try JSON.decode([Int].self, from: Array(text.utf8))
            }
        }
    }

    @Test func `brackets in a string are no nesting`() throws {
        let text = "{\"name\":\"a\",\"x\":\"\(String(repeating: "[", count: 100))\\\"[\"}"
        #expect(try JSON.decode(Probe.self, from: Array(text.utf8)).name.rawValue == "a")
    }

    @Test func `keys are sorted and slashes stay`() throws {
        #expect(String(decoding: try JSON.encode(["b": "/", "a": "x"]), as: UTF8.self) == #"{"a":"x","b":"/"}"#)
    }

    @Test(arguments: seeds)
    func `no bytes crash a decoder`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let valid =
            try Sample.statements().map { try JSON.encode(Sample.document($0)) }
            + Sample.mapEvents().map { try JSON.encode($0) }
            + [try JSON.encode(Sample.token), try JSON.encode(Sample.adminFile)]
        for _ in 0..<50 {
            let noise = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            decodeEverything(noise)
            guard var bytes = valid.randomElement(using: &generator) else { continue }
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch UInt8.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: index)
                default: bytes.insert(contentsOf: bytes[..<min(index, 20)], at: index)
                }
            }
            decodeEverything(bytes)
        }
    }

    /// What is read must be written and read again as the same.
    private func decodeEverything(_ bytes: [UInt8]) {
        if let document = try? JSON.decode(Document.self, from: bytes) {
            #expect(throws: Never.self) { try JSON.decode(Document.self, from: try JSON.encode(document)) == document }
        }
        if let event = try? JSON.decode(MapEvent.self, from: bytes) {
            #expect(throws: Never.self) { try JSON.decode(MapEvent.self, from: try JSON.encode(event)) == event }
        }
        _ = try? JSON.decode(LocalRequest.self, from: bytes)
        _ = try? JSON.decode(LocalResponse.self, from: bytes)
        _ = try? JSON.decode(MapMessage.self, from: bytes)
        _ = try? JSON.decode(Registry.self, from: bytes)
        _ = try? JoinToken(parsing: bytes)
        _ = try? AdminFile(parsing: bytes)
        _ = try? LocalFrame.length(header: bytes)
    }
}

@Suite struct LocalFrameTests {
    @Test func `a frame is its length and its body`() throws {
        let frame = try LocalFrame.encode(LocalRequest.status)
        #expect(frame.prefix(4) == [0, 0, 0, 13])
        #expect(try LocalFrame.length(header: Array(frame.prefix(4))) == 13)
        #expect(frame.dropFirst(4).elementsEqual(#"{"status":{}}"#.utf8))
    }

    @Test func `a frame has an end`() throws {
        #expect(try LocalFrame.length(header: [0, 0x10, 0, 0]) == LocalFrame.maximumLength)
        for header in [[0, 0x10, 0, 1], [255, 255, 255, 255], [0, 0, 1], []] as [[UInt8]] {
            #expect(throws: MessageError.self) { try LocalFrame.length(header: header) }
        }
        #expect(throws: MessageError.self) {
            try LocalFrame.encode(LocalResponse.failed(String(repeating: "x", count: LocalFrame.maximumLength)))
        }
    }
}
