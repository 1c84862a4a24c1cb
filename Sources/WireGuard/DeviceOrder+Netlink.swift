internal import CMnl
internal import Glibc
internal import Mesh

extension DeviceOrder {
    /// The message `WG_CMD_SET_DEVICE` of `<linux/wireguard.h>`.
    func request(_ device: DeviceName, family: UInt16) -> NetlinkRequest {
        let request = wireGuardRequest(WG_CMD_SET_DEVICE, family, device, NLM_F_ACK, capacity: size)
        if let privateKey { request.put(Int(WGDEVICE_A_PRIVATE_KEY.rawValue), privateKey.bytes) }
        if let listenPort { request.put(Int(WGDEVICE_A_LISTEN_PORT.rawValue), listenPort.rawValue) }
        if !peers.isEmpty {
            request.nest(Int(WGDEVICE_A_PEERS.rawValue)) {
                for peer in peers { request.nest(0) { peer.put(in: request) } }
            }
        }
        return request
    }
}

/// The question for all that a device says of itself.
func stateRequest(_ device: DeviceName, family: UInt16) -> NetlinkRequest {
    wireGuardRequest(WG_CMD_GET_DEVICE, family, device, NLM_F_DUMP, capacity: 4096)
}

private func wireGuardRequest(
    _ command: wg_cmd, _ family: UInt16, _ device: DeviceName, _ flags: Int32, capacity: Int
) -> NetlinkRequest {
    let request = NetlinkRequest(Int(family), flags: flags, capacity: capacity)
    request.put(genlmsghdr(cmd: UInt8(command.rawValue), version: UInt8(WG_GENL_VERSION), reserved: 0))
    request.put(Int(WGDEVICE_A_IFNAME.rawValue), device.rawValue)
    return request
}

extension PeerOrder {
    fileprivate func put(in request: borrowing NetlinkRequest) {
        request.put(Int(WGPEER_A_PUBLIC_KEY.rawValue), key.bytes)
        if !flags.isEmpty { request.put(Int(WGPEER_A_FLAGS.rawValue), flags.rawValue) }
        if let presharedKey { request.put(Int(WGPEER_A_PRESHARED_KEY.rawValue), presharedKey.bytes) }
        if let endpoint { request.put(Int(WGPEER_A_ENDPOINT.rawValue), endpoint.socketAddress) }
        if let keepaliveSeconds {
            request.put(Int(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL.rawValue), keepaliveSeconds)
        }
        guard !allowedIPs.isEmpty else { return }
        request.nest(Int(WGPEER_A_ALLOWEDIPS.rawValue)) {
            for prefix in allowedIPs { request.nest(0) { prefix.put(in: request) } }
        }
    }
}

extension IPPrefix {
    fileprivate func put(in request: borrowing NetlinkRequest) {
        request.put(Int(WGALLOWEDIP_A_FAMILY.rawValue), UInt16(family))
        request.put(Int(WGALLOWEDIP_A_IPADDR.rawValue), bytes)
        request.put(Int(WGALLOWEDIP_A_CIDR_MASK.rawValue), UInt8(length))
    }

    private var family: Int32 {
        switch address {
        case .v4: AF_INET
        case .v6: AF_INET6
        }
    }
}

extension Endpoint {
    /// `struct sockaddr_in` or `struct sockaddr_in6`; the port and the address are in network order.
    fileprivate var socketAddress: [UInt8] {
        let port = hostOrderBytes(port.rawValue.bigEndian)
        return switch address {
        case .v4(let address):
            hostOrderBytes(sa_family_t(AF_INET)) + port + address.bytes + [UInt8](repeating: 0, count: 8)
        case .v6(let address):
            hostOrderBytes(sa_family_t(AF_INET6)) + port + hostOrderBytes(UInt32(0)) + address.bytes
                + hostOrderBytes(UInt32(0))
        }
    }
}
