import Audit
import CoordinationAPI
import HTTPTypes
import Mesh

/// What a request asks for, read from its method and path.
enum Route: Equatable, Sendable {
    case ca
    case join
    case joinChallenge
    case map
    case applied
    case updateNode
    case renewCertificate
    case startSession
    case endSession(SessionID)
    case confirmations
    case change
    case registry
    case statements
    case policyHistory
    case adminCertificate
    case addJoinToken
    case sendRecords
    case auditHead
    case auditSeal
    case auditLines

    init(_ method: HTTPRequest.Method, _ path: String) throws(Refusal) {
        let parts = path.utf8.count <= 256 ? path.split(separator: "/", omittingEmptySubsequences: false) : []
        guard parts.count >= 3, parts[0].isEmpty, parts[1] == "v1",
            let (allowed, route) = Self.route(parts.dropFirst(2).map(String.init))
        else { throw .missing("there is nothing of this path here") }
        guard method == allowed else {
            throw Refusal(.wrongMethod(allowed: allowed.rawValue), "this path takes the method \(allowed) only")
        }
        self = route
    }

    private static func route(_ path: [String]) -> (HTTPRequest.Method, Route)? {
        switch path {
        case ["ca"]: (.get, .ca)
        case ["join"]: (.post, .join)
        case ["join", "challenge"]: (.post, .joinChallenge)
        case ["map"]: (.get, .map)
        case ["applied"]: (.post, .applied)
        case ["node"]: (.post, .updateNode)
        case ["node", "certificate"]: (.post, .renewCertificate)
        case ["sessions"]: (.post, .startSession)
        case ["confirmations"]: (.get, .confirmations)
        case ["changes"]: (.post, .change)
        case ["registry"]: (.get, .registry)
        case ["statements"]: (.get, .statements)
        case ["policy-history"]: (.get, .policyHistory)
        case ["admin-certificates"]: (.post, .adminCertificate)
        case ["join-tokens"]: (.post, .addJoinToken)
        case ["audit"]: (.post, .sendRecords)
        case ["audit", "head"]: (.get, .auditHead)
        case ["audit", "seal"]: (.get, .auditSeal)
        case ["audit", "lines"]: (.get, .auditLines)
        default: endOfSession(path)
        }
    }

    private static func endOfSession(_ path: [String]) -> (HTTPRequest.Method, Route)? {
        guard path.count == 2, path[0] == "sessions", let id = try? SessionID(path[1]) else { return nil }
        return (.delete, .endSession(id))
    }

    /// The route in words of its path, for figures: of ends of sessions there is one, whatever the session.
    var label: String {
        switch self {
        case .ca: "ca"
        case .join: "join"
        case .joinChallenge: "join/challenge"
        case .map: "map"
        case .applied: "applied"
        case .updateNode: "node"
        case .renewCertificate: "node/certificate"
        case .startSession: "sessions"
        case .endSession: "sessions/ID"
        case .confirmations: "confirmations"
        case .change: "changes"
        case .registry: "registry"
        case .statements: "statements"
        case .policyHistory: "policy-history"
        case .adminCertificate: "admin-certificates"
        case .addJoinToken: "join-tokens"
        case .sendRecords: "audit"
        case .auditHead: "audit/head"
        case .auditSeal: "audit/seal"
        case .auditLines: "audit/lines"
        }
    }

    /// The longest body that the route reads; only admins, whose name is known by then, may send long ones.
    var bodyLimit: Int {
        switch self {
        case .change: BodyLimit.request
        case .sendRecords: AuditBatch.maximumLength
        case .join, .startSession, .addJoinToken, .updateNode, .renewCertificate, .adminCertificate: 65_536
        case .joinChallenge, .applied: 1024
        case .ca, .map, .endSession, .confirmations, .registry, .statements, .policyHistory, .auditHead, .auditSeal,
            .auditLines:
            0
        }
    }
}

/// The part of a URL after `?`: names and plain values, without escapes, for none of ours needs them.
struct Query: Sendable {
    private let members: [(name: Substring, value: Substring)]

    init(_ text: String) {
        members = text.split(separator: "&").prefix(2000).map { member in
            let parts = member.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (parts[0], parts.count == 2 ? parts[1] : "")
        }
    }

    func number(_ name: String) throws(Refusal) -> UInt64? {
        let values = all(name)
        guard let first = values.first else { return nil }
        guard values.count == 1, let number = UInt64(first) else { throw .invalid("`\(name)` is not one whole number") }
        return number
    }

    func all(_ name: String) -> [String] { members.filter { $0.name == name }.map { String($0.value) } }
}
