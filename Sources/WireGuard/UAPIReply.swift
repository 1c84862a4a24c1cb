import Mesh

/// Why an answer is not in the protocol of WireGuard's user space interface, or of its generic netlink family.
package enum MalformedReply: Error, Equatable, Sendable, CustomStringConvertible {
    case truncated
    case tooLong
    case badLine(number: Int)
    case badValue(key: String)
    case duplicate(key: String)
    /// By its number in `<linux/wireguard.h>`.
    case badAttribute(String, Int)

    package var description: String {
        switch self {
        case .truncated: "its answer was cut short"
        case .tooLong: "its answer has no end"
        case .badLine(let number): "line \(number) of its answer is not KEY=VALUE"
        case .badValue(let key): "the value of `\(key)` in its answer makes no sense"
        case .duplicate(let key): "`\(key)` is in its answer twice"
        case .badAttribute(let level, let number): "attribute \(number) of \(level) in its answer makes no sense"
        }
    }
}

/// An answer of a WireGuard device: an error number, and for `get` its state.
struct UAPIReply: Equatable {
    var errno: Int32
    var state: DeviceState

    /// Reads the text up to and with the blank line. Keys that are not known are skipped, so that a newer
    /// program stays readable; nothing else is forgiven.
    static func parse(_ text: [UInt8]) throws(MalformedReply) -> UAPIReply {
        guard text.suffix(2) == [newline, newline] else { throw .truncated }
        var reader = UAPIReplyReader()
        for (index, line) in text.dropLast(2).split(separator: newline, omittingEmptySubsequences: false).enumerated() {
            guard let equals = line.firstIndex(of: UInt8(ascii: "=")), equals > line.startIndex else {
                throw .badLine(number: index + 1)
            }
            try reader.read(
                key: String(decoding: line[..<equals], as: UTF8.self),
                value: String(decoding: line[(equals + 1)...], as: UTF8.self))
        }
        return try reader.finish()
    }
}

private let newline = UInt8(ascii: "\n")

/// Takes the lines of an answer one by one.
private struct UAPIReplyReader {
    private var errno: Int32?
    private var state = DeviceState()
    private var peer: (key: WireGuardPublicKey, state: PeerState, handshake: Handshake)?

    /// The time of a handshake comes in two lines.
    private struct Handshake {
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        var timestamp: Timestamp? {
            seconds == 0 && nanoseconds == 0
                ? nil : Timestamp(rawValue: seconds * 1000 + nanoseconds / 1_000_000)
        }
    }

    mutating func read(key: String, value: String) throws(MalformedReply) {
        guard errno == nil else { throw .badValue(key: "errno") }
        switch key {
        case "errno": errno = try number(key, value)
        case "public_key": try startPeer(value)
        case "private_key" where peer == nil: state.publicKey = try privateKey(value).publicKey
        case "listen_port" where peer == nil: state.listenPort = Port(rawValue: try number(key, value))
        case "private_key", "listen_port": throw .badValue(key: key)
        default: try readPeer(key: key, value: value)
        }
    }

    private mutating func readPeer(key: String, value: String) throws(MalformedReply) {
        guard var current = peer else {
            if Self.peerKeys.contains(key) { throw .badValue(key: key) }
            return
        }
        switch key {
        case "preshared_key":
            guard let bytes = bytes(hex: value), bytes.count == 32 else { throw .badValue(key: key) }
            current.state.presharedKey = PresharedKey(bytes: bytes)
        case "endpoint": current.state.endpoint = Endpoint(value)
        case "persistent_keepalive_interval": current.state.keepaliveSeconds = try number(key, value)
        case "rx_bytes": current.state.receivedBytes = try number(key, value)
        case "tx_bytes": current.state.sentBytes = try number(key, value)
        case "last_handshake_time_sec": current.handshake.seconds = try time(key, value, below: 1 << 40)
        case "last_handshake_time_nsec": current.handshake.nanoseconds = try time(key, value, below: 1_000_000_000)
        case "allowed_ip":
            guard let prefix = IPPrefix(value) else { throw .badValue(key: key) }
            current.state.allowedIPs.insert(prefix)
        default: return
        }
        peer = current
    }

    private static let peerKeys: Set<String> = [
        "preshared_key", "endpoint", "persistent_keepalive_interval", "rx_bytes", "tx_bytes", "last_handshake_time_sec",
        "last_handshake_time_nsec", "allowed_ip",
    ]

    private mutating func startPeer(_ value: String) throws(MalformedReply) {
        try endPeer()
        guard let bytes = bytes(hex: value), let key = WireGuardPublicKey(bytes: bytes) else {
            throw .badValue(key: "public_key")
        }
        peer = (key, PeerState(), Handshake())
    }

    private mutating func endPeer() throws(MalformedReply) {
        guard var done = peer else { return }
        done.state.lastHandshake = done.handshake.timestamp
        guard state.peers.updateValue(done.state, forKey: done.key) == nil else { throw .duplicate(key: "public_key") }
        peer = nil
    }

    mutating func finish() throws(MalformedReply) -> UAPIReply {
        try endPeer()
        guard let errno else { throw .truncated }
        return UAPIReply(errno: errno, state: state)
    }

    private func privateKey(_ value: String) throws(MalformedReply) -> WireGuardPrivateKey {
        guard let bytes = bytes(hex: value), let key = WireGuardPrivateKey(bytes: bytes) else {
            throw .badValue(key: "private_key")
        }
        return key
    }

    private func number<Number: FixedWidthInteger>(_ key: String, _ value: String) throws(MalformedReply) -> Number {
        let digits = Number.isSigned && value.hasPrefix("-") ? value.dropFirst() : value[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Number(value) else {
            throw .badValue(key: key)
        }
        return number
    }

    private func time(_ key: String, _ value: String, below limit: Int64) throws(MalformedReply) -> Int64 {
        let time: Int64 = try number(key, value)
        guard (0..<limit).contains(time) else { throw .badValue(key: key) }
        return time
    }
}
