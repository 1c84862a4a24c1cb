import Mesh
import WireGuard

/// An address of this machine at which other nodes may reach it.
struct UnderlayAddress: Hashable, Sendable {
    let address: IPAddress
    /// The network that it is in.
    let network: IPPrefix
    let device: String
    /// The longest packet that its link takes.
    let mtu: Int
}

/// What the networks around this machine offer a tunnel.
struct Underlay: Equatable, Sendable {
    /// In order of preference: global before private, and IPv6 before IPv4 of the same reach.
    let addresses: [UnderlayAddress]

    /// What of the machine's links and addresses may carry a tunnel.
    ///
    /// Never the loopback, an address that only one link understands, or one of the mesh itself: a tunnel through
    /// itself goes nowhere.
    init(links: [Link], addresses: [LinkAddress], pool: AddressPool?, ownDevices: Set<String>) {
        let usable = Dictionary(
            links.filter { $0.isUp && $0.name != "lo" && !ownDevices.contains($0.name) }.map { ($0.index, $0) },
            uniquingKeysWith: { first, _ in first })
        self.addresses = addresses.compactMap { item -> UnderlayAddress? in
            guard let link = usable[item.index], let network = item.network, Reach(item.address, pool: pool) != nil
            else { return nil }
            return UnderlayAddress(address: item.address, network: network, device: link.name, mtu: link.mtu)
        }.sorted { Self.order($0, pool) < Self.order($1, pool) }
    }

    init(addresses: [UnderlayAddress]) { self.addresses = addresses }

    /// How far an address is known.
    private enum Reach: Int {
        case global, inside

        /// Nil for an address that no other machine can use.
        init?(_ address: IPAddress, pool: AddressPool?) {
            switch address {
            case .v4(let address): self.init(address, pool)
            case .v6(let address): self.init(address, pool)
            }
        }

        private init?(_ address: IPv4Address, _ pool: AddressPool?) {
            let value = address.rawValue
            let isUnusable =
                value >> 24 == 0 || value >> 24 == 127 || value >> 16 == 0xa9fe || value >> 28 >= 0xe
                || pool?.contains(address) == true
            if isUnusable { return nil }
            let isPrivate =
                value >> 24 == 10 || value >> 20 == 0xac1 || value >> 16 == 0xc0a8 || value >> 22 == 0x191
            self = isPrivate ? .inside : .global
        }

        private init?(_ address: IPv6Address, _ pool: AddressPool?) {
            let isLoopbackOrMapped = address.high == 0
            let isUnusable =
                isLoopbackOrMapped || address.high >> 54 == 0x3fa || address.high >> 56 == 0xff
                || pool?.contains(address) == true
            if isUnusable { return nil }
            self = address.high >> 57 == 0x7e ? .inside : .global
        }
    }

    private static func order(_ item: UnderlayAddress, _ pool: AddressPool?) -> [UInt64] {
        let reach = UInt64(Reach(item.address, pool: pool)?.rawValue ?? 2)
        switch item.address {
        case .v6(let address): return [reach, 0, address.high, address.low]
        case .v4(let address): return [reach, 1, UInt64(address.rawValue), 0]
        }
    }
}

extension UnderlayAddress {
    /// Whether it means another machine in every network.
    var isPrivate: Bool { Underlay.isPrivate(address) }
}

extension Underlay {
    fileprivate static func isPrivate(_ address: IPAddress) -> Bool { Reach(address, pool: nil) == .inside }
}

extension [UInt64] {
    fileprivate static func < (left: Self, right: Self) -> Bool { left.lexicographicallyPrecedes(right) }
}

extension Underlay {
    /// As many as a node may name.
    static let maximumEndpoints = 8

    /// Where to send a packet to this machine's port, best first.
    func endpoints(port: Port) -> [Endpoint] {
        var seen: Set<IPAddress> = []
        return addresses.filter { seen.insert($0.address).inserted }.prefix(Self.maximumEndpoints)
            .map { Endpoint(address: $0.address, port: port) }
    }

    /// The longest packet that fits into a tunnel over any of these links: what WireGuard adds is 32 bytes of its own,
    /// 8 of UDP, and 40 of IPv6 or 20 of IPv4. Never less than IPv6 asks for.
    ///
    /// WireGuard fills packets up to 16 bytes, and to no more than the device takes: but `wireguard-go` does not hear
    /// what a device takes that was moved to another namespace, and goes on from 1420. So never more than that, and below
    /// it what is full already.
    var tunnelMTU: Int {
        let room = addresses.map { item in
            if case .v4 = item.address { item.mtu - 60 } else { item.mtu - 80 }
        }
        guard let least = room.min(), least < Self.usualMTU else { return Self.usualMTU }
        return max(Self.leastMTU, least / 16 * 16)
    }

    static let leastMTU = 1280
    /// What an Ethernet frame holds, less what WireGuard adds over IPv6; `wireguard-go` begins with it.
    static let usualMTU = 1420

    /// What there is.
    static func current(pool: AddressPool?, ownDevices: Set<String>) throws(LinkError) -> Underlay {
        let links = try Links()
        return Underlay(
            links: try links.all(), addresses: try links.addresses(), pool: pool, ownDevices: ownDevices)
    }
}
