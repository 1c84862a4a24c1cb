import CLinux
import Foundation
import Glibc

/// Two network namespaces and a veth pair between them: what is sent at one end is received on the same processor.
final class Wire {
    private let namespaces: Namespaces
    var far: String { namespaces.far }
    /// The namespace of the receiving device.
    let netns: Int32
    /// The receiving device.
    static let device = "in0"
    private let socket: Int32
    /// The kernel's thread that receives on that processor when the sender's turn is over.
    private let receiver: String

    init(processor: Int) throws {
        receiver = try Self.receiver(on: processor)
        namespaces = try Namespaces()
        let (near, far) = (namespaces.near, namespaces.far)
        try run(["ip", "-n", near, "link", "add", "out0", "type", "veth", "peer", "name", Self.device, "netns", far])
        try run(["ip", "-n", far, "link", "set", Self.device, "up"])
        try run(["ip", "-n", near, "link", "set", "out0", "up"])
        netns = try Self.open(far)
        let sending = try Self.open(near)
        defer { close(sending) }
        let index = try Self.index(of: "out0", in: near)
        // Nothing is received by it: protocol 0.
        socket = pt_socket_in_netns(sending, AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
        guard socket >= 0 else { throw BenchError("cannot open a packet socket") }
        // `struct sockaddr_ll`: family and protocol, the interface, and what is left empty.
        let address = [UInt32(AF_PACKET), index, 0, 0, 0]
        let bound = unsafe address.withUnsafeBytes { bytes in
            unsafe bind(
                socket, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        var isPrefixed: Int32 = 1
        // SOL_PACKET, PACKET_VNET_HDR
        guard unsafe setsockopt(socket, 263, 15, &isPrefixed, 4) == 0 else {
            throw BenchError("cannot set up a packet socket")
        }
        guard bound == 0 else { throw BenchError("cannot bind a packet socket") }
    }

    deinit {
        close(socket)
        close(netns)
    }

    func interface() throws -> UInt32 { try Self.index(of: Self.device, in: far) }

    /// Returns when no program judges what is received: the kernel takes one off some time after its pin is gone.
    func waitUntilBare() {
        guard let index = try? interface() else { return }
        for _ in 0..<1_000 {
            var first: UInt32 = 0
            let status = unsafe pt_bpf_first_tcx(netns, Int32(index), Int32(PT_TCX_INGRESS), &first)
            if status < 0 || first == 0 { return }
            usleep(1_000)
        }
    }

    /// Sends frames in turn; the processor's time that one took on both ends, in nanoseconds.
    func send(_ frames: Frames, times: Int) throws -> Double {
        let before = try spent()
        let sent = unsafe frames.bytes.withUnsafeBytes { bytes in
            var place = 0
            for number in 0..<times {
                let start = unsafe bytes.baseAddress! + place * Frames.length
                guard unsafe Glibc.send(socket, start, Frames.length, 0) == Frames.length else { return number }
                place = place + 1 == frames.count ? 0 : place + 1
            }
            return times
        }
        guard sent == times else { throw BenchError("cannot send a frame: error \(errno)") }
        return Double(try spent() - before) / Double(times)
    }

    private static func open(_ name: String) throws -> Int32 {
        let descriptor = unsafe Glibc.open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchError("cannot open the namespace \(name)") }
        return descriptor
    }

    private static func index(of device: String, in namespace: String) throws -> UInt32 {
        let words = try run(["ip", "-n", namespace, "-o", "link", "show", "dev", device])
        guard let index = words.split(separator: ":").first.flatMap({ UInt32($0) }) else {
            throw BenchError("there is no \(device)")
        }
        return index
    }

    /// This thread's time, and that of the kernel's receiving thread.
    private func spent() throws -> Int64 {
        var time = timespec()
        let statistics = try String(contentsOfFile: receiver, encoding: .utf8)
        guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0,
            let received = statistics.split(separator: " ").first.flatMap({ Int64($0) })
        else { throw BenchError("cannot tell what time was spent") }
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) + received
    }

    private static func receiver(on processor: Int) throws -> String {
        for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int(process) != nil {
            let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)
            if name == "ksoftirqd/\(processor)\n" { return "/proc/\(process)/schedstat" }
        }
        throw BenchError("there is no ksoftirqd on processor \(processor)")
    }
}

/// Two network namespaces, gone with their owner.
private final class Namespaces {
    let near: String
    let far: String

    init() throws {
        let number = ProcessInfo.processInfo.processIdentifier
        (near, far) = ("ptbench-\(number)-a", "ptbench-\(number)-b")
        for name in [near, far] {
            try run(["ip", "netns", "add", name])
            try run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
        }
    }

    deinit { for name in [near, far] { _ = try? run(["ip", "netns", "del", name]) } }
}

/// Frames of one length, one behind the other.
///
/// They are for another station: the receiver's IP drops them, so that behind the hook of filters nothing is measured.
/// The prefix (`struct virtio_net_hdr`) asks that the whole frame is one piece, as what comes from a tunnel is.
struct Frames {
    private static let prefix: [UInt8] = [0, 0, 60, 0, 0, 0, 0, 0, 0, 0]
    static let length = prefix.count + 60
    let count: Int
    let bytes: [UInt8]

    init(peers: UInt32, services: UInt32) {
        var bytes: [UInt8] = []
        // A stride that is prime visits all, and neighbours rarely follow each other.
        let pairs = peers * services
        for number in 0..<pairs {
            let pair = number * 7919 % pairs
            bytes += Self.prefix
            bytes += Scene.frame(from: pair / services, to: Scene.firstPort + UInt16(pair % services), payload: 6)
        }
        (count, self.bytes) = (Int(pairs), bytes)
    }
}
