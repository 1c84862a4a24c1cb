internal import Mesh

// What the kernel is told of a device goes in messages of a bounded size. A peer with more prefixes than one message
// holds goes on in the next one, named again and without a word on what was there before:
//
//     order 1   own key, port   peer A: replace, 10.0.0.1/32 … 10.0.4.7/32
//     order 2                   peer A: 10.0.4.8/32 …    peer B: …

/// What one message tells the kernel of a device.
struct DeviceOrder: Equatable {
    var privateKey: WireGuardPrivateKey?
    var listenPort: Port?
    var peers: [PeerOrder] = []

    /// In bytes. The attribute that holds the peers could not be longer than twice this.
    static let sizeLimit = 32768

    /// The kernel holds the lock of all links for a whole message, and waits an RCU grace period for each peer that
    /// it removes.
    static let removalLimit = 32
}

/// What the kernel is told of one peer.
struct PeerOrder: Equatable {
    let key: WireGuardPublicKey
    var flags: Flags = []
    var presharedKey: PresharedKey?
    var endpoint: Endpoint?
    var keepaliveSeconds: UInt16?
    var allowedIPs: [IPPrefix] = []

    /// `WGPEER_F_*`.
    struct Flags: OptionSet, Equatable {
        let rawValue: UInt32
        static let remove = Flags(rawValue: 1)
        static let replaceAllowedIPs = Flags(rawValue: 2)
        static let updateOnly = Flags(rawValue: 4)
    }
}

extension DeviceChanges {
    /// The messages that make these changes, each as full as it may be.
    func orders(sizeLimit: Int = DeviceOrder.sizeLimit) -> [DeviceOrder] {
        spread(tightening.orders, from: DeviceOrder(), sizeLimit)
            + spread(
                loosening.orders,
                from: DeviceOrder(privateKey: loosening.privateKey, listenPort: loosening.listenPort), sizeLimit)
    }
}

extension DeviceChanges.Tightening {
    fileprivate var orders: [PeerOrder] {
        WireGuardPublicKey.ordered(removedPeers).map { PeerOrder(key: $0, flags: [.remove, .updateOnly]) }
            + WireGuardPublicKey.ordered(keptAllowedIPs.keys).map { key in
                // Without `updateOnly` a peer that just went would come back.
                PeerOrder(
                    key: key, flags: [.updateOnly, .replaceAllowedIPs], allowedIPs: Array(keptAllowedIPs[key] ?? []))
            }
    }
}

extension DeviceChanges.Loosening {
    fileprivate var orders: [PeerOrder] {
        WireGuardPublicKey.ordered(peers.keys).compactMap { key in
            peers[key].map { peer in
                PeerOrder(
                    key: key, flags: peer.isNew ? [] : .updateOnly, presharedKey: peer.presharedKey,
                    endpoint: peer.endpoint, keepaliveSeconds: peer.keepaliveSeconds,
                    allowedIPs: Array(peer.allowedIPs))
            }
        }
    }
}

// MARK: - Splitting

private func spread(_ peers: [PeerOrder], from first: DeviceOrder, _ limit: Int) -> [DeviceOrder] {
    var (done, current) = ([DeviceOrder](), first)
    var (size, removals) = (first.size, 0)
    for peer in peers {
        var rest: PeerOrder? = peer
        while let next = rest {
            let isFull = next.flags.contains(.remove) && removals == DeviceOrder.removalLimit
            let (part, left) = isFull ? (nil, next) : next.split(room: limit - size)
            if let part {
                current.peers.append(part)
                size += part.size
                removals += part.flags.contains(.remove) ? 1 : 0
            }
            rest = left
            guard left != nil else { break }
            done.append(current)
            (current, size, removals) = (DeviceOrder(), DeviceOrder().size, 0)
        }
    }
    return current == DeviceOrder() ? done : done + [current]
}

extension DeviceOrder {
    /// In bytes, with the headers, the longest of names, and the attribute that holds the peers.
    var size: Int {
        Size.headers + Size.attribute(Size.name) + (privateKey == nil ? 0 : Size.attribute(Size.key))
            + (listenPort == nil ? 0 : Size.attribute(2)) + Size.attribute(0) + peers.reduce(0) { $0 + $1.size }
    }
}

extension PeerOrder {
    /// In bytes.
    var size: Int { ownSize + allowedIPs.reduce(0) { $0 + Size.of($1) } }

    private var ownSize: Int {
        Size.attribute(0) + Size.attribute(Size.key) + Size.attribute(4)
            + (presharedKey == nil ? 0 : Size.attribute(Size.key))
            + (endpoint == nil ? 0 : Size.attribute(Size.longestEndpoint))
            + (keepaliveSeconds == nil ? 0 : Size.attribute(2)) + Size.attribute(0)
    }

    /// What fits in the room, and what is left for the next message.
    fileprivate func split(room: Int) -> (part: PeerOrder?, left: PeerOrder?) {
        var room = room - ownSize
        guard room >= 0 else { return (nil, self) }
        let count =
            allowedIPs.firstIndex { prefix in
                room -= Size.of(prefix)
                return room < 0
            } ?? allowedIPs.count
        guard count < allowedIPs.count else { return (self, nil) }
        guard count > 0 else { return (nil, self) }
        var part = self
        part.allowedIPs = Array(allowedIPs[..<count])
        return (part, PeerOrder(key: key, flags: .updateOnly, allowedIPs: Array(allowedIPs[count...])))
    }
}

/// How many bytes things take in a message.
private enum Size {
    static let headers = 16 + 4
    static let name = 16
    static let key = 32
    /// `struct sockaddr_in6`.
    static let longestEndpoint = 28

    static func attribute(_ value: Int) -> Int { 4 + (value + 3) & ~3 }

    static func of(_ prefix: IPPrefix) -> Int {
        attribute(0) + attribute(2) + attribute(1)
            + {
                switch prefix.address {
                case .v4: attribute(4)
                case .v6: attribute(16)
                }
            }()
    }
}
