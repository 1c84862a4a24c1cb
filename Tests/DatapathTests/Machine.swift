import CLinux
import Foundation
import Glibc
import Mesh

@testable import Datapath

/// Runs a program to its end; its standard output and error together.
@discardableResult
func run(_ command: String...) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a program that must succeed.
func must(_ command: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure("`\(command)` failed") }
}

/// How much longer than usual everything may take: an emulated machine says so.
let patience = ProcessInfo.processInfo.environment["POSTERN_TEST_PATIENCE"].flatMap(Int.init) ?? 1

/// Asks again until it is so, for five seconds at most.
func eventually(_ condition: () throws -> Bool) throws -> Bool {
    let end = BootTime.now() + .seconds(5 * patience)
    while BootTime.now() < end {
        if try condition() { return true }
        usleep(2_000)
    }
    return try condition()
}

/// A BPF file system of the test's own, gone with it.
final class PinMount {
    let path: String

    init() throws {
        path = "/tmp/postern-datapath-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try must("mkdir -m 700 \(path) && mount -t bpf -o mode=700 bpf \(path)")
    }

    deinit { try? must("umount -l \(path) && rmdir \(path)") }
}

/// A named network namespace, so that `ip -n` reaches it; gone with its owner.
final class Namespace {
    let name: String
    let descriptor: Int32

    init() throws {
        name = "ptdp-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try must("ip netns add \(name) && ip -n \(name) link set lo up")
        descriptor = unsafe open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure("cannot open the namespace \(name)") }
    }

    deinit {
        close(descriptor)
        try? must("ip netns del \(name)")
    }

    func ip(_ arguments: String) throws { try must("ip -n \(name) \(arguments)") }

    /// Asked of the kernel itself: under load a program's words may come late, or not at all.
    func index(of interface: String) throws -> UInt32 {
        let lookup = InterfaceLookup(interface)
        let entered = unsafe pt_netns_run(
            descriptor, { unsafe Unmanaged<InterfaceLookup>.fromOpaque($0!).takeUnretainedValue().perform() },
            Unmanaged.passUnretained(lookup).toOpaque())
        guard entered == 0, lookup.index != 0 else {
            throw Failure("no interface \(interface) in \(name): \(entered), \(lookup.error)")
        }
        return lookup.index
    }

    /// A TCP listener in the namespace, on every address.
    func listen(port: UInt16) throws -> Descriptor {
        let socket = Descriptor(owning: pt_socket_in_netns(descriptor, AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = socketAddress(IPv4Address(rawValue: 0), port)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(socket.raw, $0, 16) }
        }
        guard socket.raw >= 0, bound == 0, Glibc.listen(socket.raw, 8) == 0 else { throw Failure("cannot listen") }
        return socket
    }

    /// Starts to connect; whether it came to something is `isConnected`.
    func connect(to address: IPv4Address, port: UInt16) throws -> Attempt {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
        let socket = Descriptor(owning: pt_socket_in_netns(descriptor, AF_INET, type, 0))
        var target = socketAddress(address, port)
        let result = unsafe withUnsafePointer(to: &target) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(socket.raw, $0, 16)
            }
        }
        guard result == 0 || errno == EINPROGRESS else { throw Failure("cannot connect: \(errno)") }
        return Attempt(socket)
    }
}

/// A TCP connection that has been begun.
final class Attempt {
    private let socket: Descriptor
    init(_ socket: consuming Descriptor) { self.socket = socket }

    func isConnected(within milliseconds: Int32 = 2_000) -> Bool {
        var waiting = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&waiting, 1, milliseconds) == 1 else { return false }
        var (error, length) = (Int32(0), socklen_t(4))
        return unsafe getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0
    }
}

private func socketAddress(_ address: IPv4Address, _ port: UInt16) -> sockaddr_in {
    var result = sockaddr_in()
    result.sin_family = sa_family_t(AF_INET)
    result.sin_port = port.bigEndian
    result.sin_addr.s_addr = address.rawValue.bigEndian
    return result
}

/// Finds an interface by its name, on a thread that is in the namespace.
private final class InterfaceLookup {
    private let name: String
    private(set) var index: UInt32 = 0
    private(set) var error: Int32 = 0

    init(_ name: String) { self.name = name }

    func perform() {
        index = unsafe if_nametoindex(name)
        error = errno
    }
}
