import CLinux
import CoordinationAPI
import Foundation
import Glibc
import Mesh
import Testing

@testable import PosternNode

/// Who connected is asked by way of a number, and numbers are given again.
///
/// Each by the connection's own pidfd, where this kernel has one, and by start times, as kernels before 6.5 need it.
@Suite(.serialized) struct PeerProcessTests {
    @Test(arguments: [PeerEvidence.kernel, .startTimes])
    func `a process that lives is who asks, as often as it does`(evidence: PeerEvidence) async throws {
        try await withStranger(evidence) { stranger, guest in
            for _ in 0..<3 {
                let answer = try guest.ask(Self.whoAsks)
                #expect(answer == .notice("asked by \(stranger.pid) as 0:0"))
            }
            try stranger.end()
            stranger.collect()
        }
    }

    @Test(arguments: [PeerEvidence.kernel, .startTimes])
    func `one that has ended is nobody, whoever holds its connection`(evidence: PeerEvidence) async throws {
        try await withStranger(evidence) { stranger, guest in
            try stranger.end()
            stranger.collect()
            let answer = try guest.ask(Self.whoAsks)
            #expect(answer == .notice("asked by nobody"))
        }
    }

    @Test(arguments: [PeerEvidence.kernel, .startTimes])
    func `nor is one that has ended and is not collected, so that its number is kept`(
        evidence: PeerEvidence
    ) async throws {
        try await withStranger(evidence) { stranger, guest in
            try stranger.end()
            let answer = try guest.ask(Self.whoAsks)
            #expect(answer == .notice("asked by nobody"))
            stranger.collect()
        }
    }

    @Test(arguments: [PeerEvidence.kernel, .startTimes])
    func `nor is another of this machine's that was given its number`(evidence: PeerEvidence) async throws {
        try await withStranger(evidence) { stranger, guest in
            try stranger.end()
            stranger.collect()
            let heir = try Stranger(script: Stranger.heir, arguments: ["\(stranger.pid)"])
            #expect(try heir.line() == "\(stranger.pid)")
            #expect(kill(stranger.pid, 0) == 0)
            let answer = try guest.ask(Self.whoAsks)
            #expect(answer == .notice("asked by nobody"))
            try heir.end()
            heir.collect()
        }
    }

    @Test func `a start time that is another's is not the caller's`() throws {
        var ends: [Int32] = [-1, -1]
        try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let ourselves = try PeerProcess(of: ends[0], evidence: .startTimes)
        #expect(throws: Never.self) { try ourselves.check { _ throws(NodeError) in } }
        for (time, uid) in [(ourselves.startTime.map { $0 + 1 }, getuid()), (ourselves.startTime, getuid() + 1)] {
            let other = PeerProcess(pid: getpid(), uid: uid, pidfd: pt_pidfd_open(getpid()), startTime: time)
            #expect(throws: NodeError("the process that asked has ended")) {
                try other.check { _ throws(NodeError) in }
            }
        }
    }
}

extension PeerProcessTests {
    private static let whoAsks = LocalRequest.why(
        agent: AgentName(unchecked: "one"), action: "connect", service: ServiceName(unchecked: "ledger"))

    /// A server, and a connection to it that a process of its own made and handed to this one.
    private func withStranger(
        _ evidence: PeerEvidence, _ body: @escaping @Sendable (Stranger, borrowing Guest) throws -> Void
    ) async throws {
        let scratch = try Scratch()
        let server = try LocalServer(path: scratch.path + "/sock", evidence: evidence)
        try await serve(server) { path in
            let stranger = try Stranger(script: Stranger.caller, arguments: [path])
            let guest = Guest(owning: try stranger.descriptor())
            // Taken in while it lives.
            let answer = try guest.ask(.status)
            #expect(answer == .notice("status"))
            try body(stranger, guest)
        }
    }
}

/// A Python program that does one thing, says so, and ends when its input does.
private final class Stranger: Sendable {
    /// Connects, and passes the connection on.
    static let caller = """
        import socket, sys
        control = socket.socket(fileno=0)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(sys.argv[1])
        socket.send_fds(control, [b"x"], [connection.fileno()])
        connection.close()
        control.recv(1)
        """

    /// Starts a process with the number that is its argument, and names it.
    static let heir = """
        import ctypes, os, sys
        number = ctypes.c_int(int(sys.argv[1]))
        arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(number), 1, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        clone3 = 435
        pid = libc.syscall(clone3, arguments, ctypes.sizeof(arguments))
        if pid == 0:
            os.execv("/bin/cat", ["cat"])
        os.write(0, f"{pid if pid > 0 else os.strerror(ctypes.get_errno())}\\n".encode())
        os.waitpid(pid, 0)
        """

    let pid: Int32
    private let pidfd: Int32
    private let control: Int32

    init(script: String, arguments: [String]) throws {
        var ends: [Int32] = [-1, -1]
        try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let words = ["python3", "-I", "-S", "-c", script] + arguments
        let copies = unsafe words.map { unsafe strdup($0) } + [nil]
        let nothing: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
        defer { for index in words.indices { unsafe free(copies[index]) } }
        let descriptors = [ends[1], ends[1], 2]
        var result = pt_spawn_result()
        let status = unsafe "/usr/bin/python3".withCString { path in
            unsafe copies.withUnsafeBufferPointer { argv in
                unsafe nothing.withUnsafeBufferPointer { envp in
                    unsafe descriptors.withUnsafeBufferPointer { descriptors in
                        var request = unsafe pt_spawn_request()
                        unsafe request.path = path
                        unsafe request.argv = argv.baseAddress
                        unsafe request.envp = envp.baseAddress
                        unsafe request.netns_fd = -1
                        unsafe request.cgroup_fd = -1
                        unsafe request.descriptors = descriptors.baseAddress
                        unsafe request.descriptor_count = descriptors.count
                        return unsafe pt_spawn(&request, &result)
                    }
                }
            }
        }
        guard status >= 0 else { throw TestError("cannot start python3: \(-status)") }
        (pid, pidfd, control) = (result.pid, result.pidfd, ends[0])
    }

    deinit {
        close(control)
        close(pidfd)
    }

    /// The descriptor that it passes on.
    func descriptor() throws -> Int32 {
        var (byte, descriptors, count) = ([UInt8(0)], [Int32(-1)], 0)
        guard try readiness(of: control, seconds: 60),
            unsafe pt_unix_receive(control, &byte, 1, &descriptors, 1, &count) == 1, count == 1
        else { throw TestError("no descriptor came") }
        return descriptors[0]
    }

    /// The line that it says.
    func line() throws -> String {
        guard let bytes = try read(control, upTo: 200) else { throw TestError("nothing was said") }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    /// Ends it, and waits until it has; it is not collected.
    func end() throws {
        shutdown(control, Int32(SHUT_RDWR))
        guard try readiness(of: pidfd, seconds: 60) else { throw TestError("it does not end") }
    }

    func collect() {
        var ending = pt_ending()
        unsafe pt_pidfd_reap(pidfd, &ending)
    }

    private func readiness(of descriptor: Int32, seconds: Int32) throws -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, seconds * 1000) == 1
    }
}
