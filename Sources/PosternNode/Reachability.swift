import Datapath
import Foundation
import Glibc
import Mesh

/// Tries whether somebody takes TCP connections at every address of a URL's host, all at once.
///
/// Blocks for as long as the resolver takes and 3 s more: for a thread of its own.
struct Reachability {
    private static let patience: Int32 = 3000
    private static let mostAddresses = 16

    let places: [DoctorFacts.Place]
    /// Why there is no address to try.
    let error: String?

    init(url: String) {
        guard let components = URLComponents(string: url), let host = components.host, !host.isEmpty else {
            (places, error) = ([], "the coordinator's URL `\(url)` names no host")
            return
        }
        let port = components.port.flatMap { UInt16(exactly: $0) } ?? 443
        // A literal IPv6 address stands in brackets in a URL, and without them everywhere else.
        let name = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        let found = Self.resolve(name, port: port)
        guard let targets = found.targets else {
            (places, error) = ([], "no address is known for the coordinator's name `\(name)`: \(found.reason)")
            return
        }
        (places, error) = (Self.attempt(targets), nil)
    }

    private struct Target {
        let text: String
        let family: Int32
        /// A socket address, as `connect` takes it.
        let bytes: [UInt8]
    }

    private static func resolve(_ name: String, port: UInt16) -> (targets: [Target]?, reason: String) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(name, String(port), &hints, &list)
        guard result == 0 else { return (nil, unsafe String(cString: gai_strerror(result))) }
        defer { unsafe freeaddrinfo(list) }
        var targets: [Target] = []
        var next = unsafe list
        while let entry = unsafe next, targets.count < mostAddresses {
            unsafe next = entry.pointee.ai_next
            guard let address = unsafe entry.pointee.ai_addr else { continue }
            let bytes = unsafe Array(UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen)))
            let family = unsafe entry.pointee.ai_family
            // An IPv4 address stands behind family and port, one of IPv6 behind its flow label too.
            let place = family == AF_INET ? 4..<8 : 8..<24
            guard bytes.count >= place.upperBound, let ip = IPAddress(bytes: Array(bytes[place])) else { continue }
            let text = family == AF_INET ? "\(ip):\(port)" : "[\(ip)]:\(port)"
            targets.append(Target(text: text, family: family, bytes: bytes))
        }
        return (targets.isEmpty ? nil : targets, "it has none of IPv4 or IPv6")
    }

    private static func attempt(_ targets: [Target]) -> [DoctorFacts.Place] {
        let attempts = targets.map { target in (target, start(target)) }
        let deadline = BootTime.now() + .milliseconds(Int64(patience))
        return attempts.map { target, outcome in
            switch outcome {
            case .failure(let reason): return DoctorFacts.Place(address: target.text, error: reason.text)
            case .success(let descriptor):
                defer { close(descriptor) }
                let left = max(0, (deadline - BootTime.now()).milliseconds)
                return DoctorFacts.Place(address: target.text, error: wait(for: descriptor, atMost: left))
            }
        }
    }

    private struct Reason: Error { let text: String }

    private static func start(_ target: Target) -> Result<Int32, Reason> {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(target.family, type, 0)
        guard descriptor >= 0 else { return .failure(Reason(text: errorText().lowercased())) }
        let result = unsafe target.bytes.withUnsafeBytes { bytes -> Int32 in
            guard let base = bytes.baseAddress else { return -1 }
            return unsafe connect(
                descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard result == 0 || errno == EINPROGRESS else {
            let reason = Reason(text: errorText().lowercased())
            close(descriptor)
            return .failure(reason)
        }
        return .success(descriptor)
    }

    private static func wait(for descriptor: Int32, atMost milliseconds: Int64) -> String? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, Int32(clamping: milliseconds)) > 0 else { return "no answer within 3 s" }
        var (code, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 ? nil : errorText(code).lowercased()
    }

    /// The same without blocking the caller's thread.
    static func of(url: String) async -> Reachability {
        await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: Reachability(url: url)) }
            thread.name = "postern-reach"
            thread.start()
        }
    }
}
