internal import CMnl
internal import Glibc
internal import Mesh

extension DeviceState {
    /// What a dump of `WG_CMD_GET_DEVICE` says. The list of peers goes over as many messages as it takes, and a peer
    /// with many prefixes, too: its key at the head of a message says that it goes on.
    ///
    /// Attributes that are not known are skipped, so that a newer kernel stays readable; nothing else is forgiven.
    init(dump: [NetlinkMessage]) throws(MalformedReply) {
        self.init()
        var open: (key: WireGuardPublicKey, state: PeerState)?
        for message in dump {
            for (type, value) in message.attributeList(after: genlmsghdr.self) {
                if type == WGDEVICE_A_PEERS.rawValue {
                    for (_, value) in NetlinkAttributes(value) { try take(PeerReport(value), after: &open) }
                } else {
                    try readDevice(type, value)
                }
            }
        }
        try close(&open)
    }

    private mutating func readDevice(_ type: Int, _ value: ArraySlice<UInt8>) throws(MalformedReply) {
        switch UInt32(type) {
        case WGDEVICE_A_PUBLIC_KEY.rawValue: publicKey = try read(value, type, of: .device) { wireGuardKey($0) }
        case WGDEVICE_A_LISTEN_PORT.rawValue:
            listenPort = Port(rawValue: try read(value, type, of: .device) { hostOrder($0, as: UInt16.self) })
        default: break
        }
    }

    /// Adds to the peer that is open, or closes it and opens the next.
    private mutating func take(
        _ report: PeerReport, after open: inout (key: WireGuardPublicKey, state: PeerState)?
    ) throws(MalformedReply) {
        if let (key, state) = open, key == report.key {
            var state = state
            state.allowedIPs.formUnion(report.state.allowedIPs)
            open = (key, state)
        } else {
            try close(&open)
            open = (report.key, report.state)
        }
    }

    private mutating func close(
        _ open: inout (key: WireGuardPublicKey, state: PeerState)?
    ) throws(MalformedReply) {
        guard let (key, state) = open else { return }
        guard peers.updateValue(state, forKey: key) == nil else { throw .duplicate(key: "public_key") }
        open = nil
    }
}

/// What one entry of the list says of a peer.
private struct PeerReport {
    let key: WireGuardPublicKey
    private(set) var state = PeerState()

    init(_ bytes: ArraySlice<UInt8>) throws(MalformedReply) {
        var key: WireGuardPublicKey?
        for (type, value) in NetlinkAttributes(bytes) where type == WGPEER_A_PUBLIC_KEY.rawValue {
            key = try read(value, type, of: .peer) { wireGuardKey($0) }
        }
        guard let key else { throw .badAttribute(Level.peer.rawValue, Int(WGPEER_A_PUBLIC_KEY.rawValue)) }
        self.key = key
        for (type, value) in NetlinkAttributes(bytes) { try take(type, value) }
    }

    private mutating func take(_ type: Int, _ value: ArraySlice<UInt8>) throws(MalformedReply) {
        switch UInt32(type) {
        case WGPEER_A_PRESHARED_KEY.rawValue:
            state.presharedKey = PresharedKey(
                bytes: try read(value, type, of: .peer) { $0.count == 32 ? Array($0) : nil })
        case WGPEER_A_ENDPOINT.rawValue:
            state.endpoint = try read(value, type, of: .peer, UnderlaySocket.init).endpoint
        case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue:
            state.keepaliveSeconds = try read(value, type, of: .peer) { hostOrder($0, as: UInt16.self) }
        case WGPEER_A_LAST_HANDSHAKE_TIME.rawValue:
            state.lastHandshake = try read(value, type, of: .peer, HandshakeTime.init).timestamp
        case WGPEER_A_RX_BYTES.rawValue:
            state.receivedBytes = try read(value, type, of: .peer) { hostOrder($0, as: UInt64.self) }
        case WGPEER_A_TX_BYTES.rawValue:
            state.sentBytes = try read(value, type, of: .peer) { hostOrder($0, as: UInt64.self) }
        case WGPEER_A_ALLOWEDIPS.rawValue:
            for (_, value) in NetlinkAttributes(value) {
                state.allowedIPs.insert(try read(value, type, of: .peer, prefix))
            }
        default: break
        }
    }
}

// MARK: - Values

/// Whose attribute it is.
private enum Level: String { case device, peer }

private func read<Value>(
    _ bytes: ArraySlice<UInt8>, _ type: Int, of level: Level, _ body: (ArraySlice<UInt8>) -> Value?
) throws(MalformedReply) -> Value {
    guard let value = body(bytes) else { throw .badAttribute(level.rawValue, type) }
    return value
}

private func wireGuardKey(_ bytes: ArraySlice<UInt8>) -> WireGuardPublicKey? { WireGuardPublicKey(bytes: Array(bytes)) }

private func prefix(_ bytes: ArraySlice<UInt8>) -> IPPrefix? {
    var (address, length, family): (IPAddress?, UInt8?, UInt16?)
    for (type, value) in NetlinkAttributes(bytes) {
        switch UInt32(type) {
        case WGALLOWEDIP_A_FAMILY.rawValue: family = hostOrder(value, as: UInt16.self)
        case WGALLOWEDIP_A_IPADDR.rawValue: address = IPAddress(bytes: Array(value))
        case WGALLOWEDIP_A_CIDR_MASK.rawValue: length = hostOrder(value, as: UInt8.self)
        default: break
        }
    }
    guard let address, let length, let family, Int32(family) == (address.bytes.count == 4 ? AF_INET : AF_INET6) else {
        return nil
    }
    return IPPrefix(address, length: Int(length))
}

/// `struct sockaddr_in` or `struct sockaddr_in6`.
private struct UnderlaySocket {
    /// Nil for port 0, and for an address that means something on one link only.
    let endpoint: Endpoint?

    init?(_ bytes: ArraySlice<UInt8>) {
        guard let family = hostOrder(bytes.prefix(2), as: sa_family_t.self),
            let number = hostOrder(bytes.dropFirst(2).prefix(2), as: UInt16.self)
        else { return nil }
        let address: IPAddress?
        var isEverywhere = true
        switch Int32(family) {
        case AF_INET where bytes.count == MemoryLayout<sockaddr_in>.size:
            address = IPAddress(bytes: Array(bytes.dropFirst(4).prefix(4)))
        case AF_INET6 where bytes.count == MemoryLayout<sockaddr_in6>.size:
            address = IPAddress(bytes: Array(bytes.dropFirst(8).prefix(16)))
            isEverywhere = bytes.suffix(4).allSatisfy { $0 == 0 }
        default: return nil
        }
        guard let address else { return nil }
        endpoint = isEverywhere ? Port(rawValue: number.bigEndian).map { Endpoint(address: address, port: $0) } : nil
    }
}

/// `struct __kernel_timespec`; zero is never.
private struct HandshakeTime {
    let timestamp: Timestamp?

    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == 16, let seconds = hostOrder(bytes.prefix(8), as: Int64.self),
            let nanoseconds = hostOrder(bytes.suffix(8), as: Int64.self),
            (0..<1 << 40).contains(seconds), (0..<1_000_000_000).contains(nanoseconds)
        else { return nil }
        timestamp =
            seconds == 0 && nanoseconds == 0 ? nil : Timestamp(rawValue: seconds * 1000 + nanoseconds / 1_000_000)
    }
}
