/// Short words for machines that count: they stay as they are when the sentences for people change.
extension Reason {
    package var label: String {
        switch self {
        case .allowed: "allowed"
        case .allowedAnswer: "allowed_answer"
        case .allowedLoopback: "allowed_loopback"
        case .notIP: "not_ip"
        case .truncated: "truncated"
        case .ipOptions: "ip_options"
        case .extensionHeader: "extension_header"
        case .fragment: "fragment"
        case .notOwnAddress: "not_own_address"
        case .forwarded: "forwarded"
        case .outsidePool: "outside_pool"
        case .ownLease: "own_lease"
        case .unknownPeer: "unknown_peer"
        case .leaseExpired: "lease_expired"
        case .unasked: "unasked"
        case .icmpUnsupported: "icmp_unsupported"
        case .protocolUnsupported: "protocol_unsupported"
        case .noService: "no_service"
        case .staleGeneration: "stale_generation"
        case .noGrant: "no_grant"
        case .sidecarOnly: "sidecar_only"
        case .answerFlags: "answer_flags"
        case .nodeOpens: "node_opens"
        case .besideTunnel: "beside_tunnel"
        case .leavesBesideTunnel: "leaves_beside_tunnel"
        case .grantEnded: "grant_ended"
        case .allowedError: "allowed_error"
        case .unrelatedError: "unrelated_error"
        case .routingHeader: "routing_header"
        case .longHeaders: "long_headers"
        }
    }
}

extension Place {
    package var label: String {
        switch self {
        case .nodeIngress: "node_ingress"
        case .nodeEgress: "node_egress"
        case .sessionIngress: "session_ingress"
        case .sessionEgress: "session_egress"
        case .connect: "connect"
        case .wall: "wall"
        }
    }
}
