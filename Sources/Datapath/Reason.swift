internal import CPosternABI

/// Why a packet, or a call of the connect hook, went on or did not. The raw values are the kernel side's.
package enum Reason: UInt32, CaseIterable, Sendable, CustomStringConvertible {
    case allowed = 0
    case allowedAnswer = 1
    case allowedLoopback = 2
    case notIP = 3
    case truncated = 4
    case ipOptions = 5
    case extensionHeader = 6
    case fragment = 7
    case notOwnAddress = 8
    case forwarded = 9
    case outsidePool = 10
    case ownLease = 11
    case unknownPeer = 12
    case leaseExpired = 13
    case unasked = 14
    case icmpUnsupported = 15
    case protocolUnsupported = 16
    case noService = 17
    case staleGeneration = 18
    case noGrant = 19
    case sidecarOnly = 20
    case answerFlags = 21
    case nodeOpens = 22
    case besideTunnel = 23
    case leavesBesideTunnel = 24
    case grantEnded = 25
    case allowedError = 26
    case unrelatedError = 27
    case routingHeader = 28
    case longHeaders = 29

    package var isAllowed: Bool {
        switch self {
        case .allowed, .allowedAnswer, .allowedError, .allowedLoopback: true
        default: false
        }
    }

    package var description: String {
        switch self {
        case .allowed: "a grant allows it"
        case .allowedAnswer: "it answers what a grant allows"
        case .allowedLoopback: "it stays inside its own namespace"
        case .notIP: "it is not IPv4 or IPv6"
        case .truncated: "it is shorter than its headers say"
        case .ipOptions: "it has IPv4 options"
        case .extensionHeader: "it has an IPv6 extension header that is not carried"
        case .fragment: "it is a fragment"
        case .notOwnAddress: "its own end is not this device's address"
        case .forwarded: "this machine forwarded it and did not originate it"
        case .outsidePool: "its other end is outside the mesh"
        case .ownLease: "this device's own lease has ended"
        case .unknownPeer: "nobody has the other end's address"
        case .leaseExpired: "the peer's lease has ended"
        case .unasked: "it answers nothing that was asked in the last minute"
        case .icmpUnsupported: "its kind of ICMP is not carried"
        case .protocolUnsupported: "its protocol is not carried"
        case .noService: "nobody here is granted a service at that port"
        case .staleGeneration: "the initiator's grants are not in place"
        case .noGrant: "no grant allows it"
        case .sidecarOnly: "only the sidecar may reach that service"
        case .answerFlags: "it would open a connection backwards"
        case .nodeOpens: "only the node's daemon opens from here"
        case .besideTunnel: "it came beside the tunnel"
        case .leavesBesideTunnel: "it would leave beside the tunnel"
        case .grantEnded: "its grant has ended"
        case .allowedError: "it reports on what a grant allows"
        case .unrelatedError: "it reports on nothing that a grant allows"
        case .routingHeader: "it names its own route"
        case .longHeaders: "it has too many extension headers"
        }
    }
}

/// Where a packet or a call was judged. The raw values are the kernel side's.
package enum Place: UInt32, CaseIterable, Sendable, CustomStringConvertible {
    case nodeIngress = 0
    case nodeEgress = 1
    case sessionIngress = 2
    case sessionEgress = 3
    case connect = 4
    case wall = 5

    package var description: String {
        switch self {
        case .nodeIngress: "into the node"
        case .nodeEgress: "out of the node"
        case .sessionIngress: "into a session"
        case .sessionEgress: "out of a session"
        case .connect: "a session's connect"
        case .wall: "at the wall"
        }
    }
}

/// How many packets, and how many bytes they had.
package struct Count: Hashable, Sendable {
    package var packets: UInt64
    package var bytes: UInt64

    package init(packets: UInt64 = 0, bytes: UInt64 = 0) { (self.packets, self.bytes) = (packets, bytes) }
}
