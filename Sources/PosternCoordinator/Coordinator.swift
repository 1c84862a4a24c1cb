import CoordinationAPI
import Crypto
import Identity
import Logging
import Mesh

/// The steps of the coordinator, one method each: what is decided lies in the files they name.
struct Coordinator: Sendable {
    let ca: CertificateAuthority
    let settings: Store.Settings
    let store: Store
    let confirmations: Confirmations
    let versions: Bell
    let holds: Holds
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// How long a node may go by a map that it cannot renew.
    private static let mapLease = Duration.seconds(24 * 3600)

    var caCertificate: EncodedCertificate { ca.anchor.certificate }

    /// A machine becomes a node (Enrolment.swift).
    func join(_ request: JoinRequest) async throws -> JoinResponse {
        // Who has no token does not get us to check signatures.
        guard try await store.knows(TokenDigest(of: request.secret)) else {
            throw Refusal.unauthenticated("the join token is not known here")
        }
        let now = now()
        let claim = try JoinClaim(request, mesh: settings.domain, pool: settings.pool, now: now)
        let (name, ca) = (claim.statement.name, ca)
        let certificate = try await store.enrol(claim, now: now) {
            try ca.issueNode(name, request: claim.request, at: now)
        }
        versions.ring()
        logger.info("node `\(name)` joined, at \(claim.statement.endpoints.map { "`\($0)`" }.joined(separator: ", "))")
        return JoinResponse(
            mesh: settings.domain, pool: settings.pool, certificate: certificate.pem,
            adminKey: try await firstAdmin().key)
    }

    /// The map, at once if the node has another version, or else when it changes or the hold is over.
    func map(for node: NodeName, have: UInt64?, applied: UInt64?) async throws -> MapResponse {
        if let applied { confirmations.record(applied, by: node, at: now()) }
        let deadline = ContinuousClock.now + holds.map
        while true {
            let seen = versions.rings
            let version = try await store.version()
            guard version == have else {
                let map = try await store.map(of: settings)
                return response(map.version, map)
            }
            guard await versions.wait(after: seen, until: deadline) else { return response(version, nil) }
        }
    }

    private func response(_ version: UInt64, _ map: MapMessage?) -> MapResponse {
        let issued = now()
        return MapResponse(version: version, issuedAt: issued, validUntil: issued + Self.mapLease, map: map)
    }

    /// Which nodes applied a version, as soon as all did (Confirmations.swift).
    func confirmations(of version: UInt64?, by names: [String]) async throws -> ConfirmationResponse {
        guard let version else { throw Refusal.invalid("`version` is missing") }
        guard names.count <= 1000 else { throw Refusal.invalid("more than 1000 nodes are named") }
        let nodes: [NodeName]
        do { nodes = try names.map(NodeName.init(_:)) } catch { throw Refusal.invalid("\(error)") }
        return await confirmations.wait(for: version, of: nodes, until: .now + holds.confirmation)
    }

    /// A node starts or renews a session (Sessions.swift).
    func start(
        _ request: SessionRequest, on node: NodeName, key: P256.Signing.PublicKey
    ) async throws -> SessionResponse {
        let now = now()
        let claim = try SessionClaim(
            request.statement, node: node, key: key, mesh: settings.domain, pool: settings.pool, now: now)
        let response = try await store.start(claim, now: now)
        versions.ring()
        logger.info("session `\(claim.statement.id)` of agent `\(claim.statement.agent)` on node `\(node)`")
        return response
    }

    /// A session ends: a node ends its own, an admin any.
    func end(_ session: SessionID, caller: Caller) async throws -> VersionResponse {
        let node: NodeName? = if case .node(let name, _) = caller { name } else { nil }
        let version = try await store.end(session, by: node, now: now())
        versions.ring()
        logger.info("session `\(session)` ended by \(caller)")
        return VersionResponse(version: version)
    }

    /// The leases that ran out end.
    func sweep() async throws {
        guard let version = try await store.sweep(now: now()) else { return }
        versions.ring()
        logger.info("expired sessions ended, version \(version)")
    }

    /// An admin changes the definitions (Changes.swift, Definitions.swift).
    func change(_ request: ChangeRequest) async throws -> VersionResponse {
        let keys = try await store.admins().compactMap { P256.Signing.PublicKey(base64: $0.key) }
        let now = now()
        let change = try Change(request, admins: keys, mesh: settings.domain, now: now)
        let version = try await store.make(change, now: now)
        versions.ring()
        logger.info("version \(version) changes \(change.items.count) entries")
        return VersionResponse(version: version)
    }

    func registry() async throws -> Registry {
        var registry = try await store.registry(of: settings)
        let reports = confirmations.all
        for index in registry.nodes.indices {
            let report = reports[registry.nodes[index].name]
            (registry.nodes[index].applied, registry.nodes[index].seenAt) = (report?.version, report?.at)
        }
        return registry
    }

    /// An admin makes a join token (JoinTokens.swift); its secret leaves here and is kept nowhere.
    func addJoinToken(_ request: JoinTokenRequest) async throws -> JoinToken {
        let (record, secret) = (try request.record(now: now()), TokenSecret())
        let admin = try await firstAdmin()
        guard let key = P256.Signing.PublicKey(base64: admin.key) else { throw Damage("admins") }
        try await store.add(record, digest: secret.digest)
        logger.info("join token for \(record.node.map { "node `\($0)`" } ?? "any node") until \(record.expires)")
        return JoinToken(
            mesh: settings.domain, url: settings.url, ca: Fingerprint(of: caCertificate.der),
            admin: Fingerprint(of: key), node: record.node, expires: record.expires, secret: secret.text)
    }

    private func firstAdmin() async throws -> Store.Admin {
        guard let admin = try await store.admins().first else { throw Damage("admins") }
        return admin
    }
}

/// How long requests that wait for news are held.
package struct Holds: Sendable {
    package var map: Duration
    package var confirmation: Duration

    package init(map: Duration = .seconds(1), confirmation: Duration = .seconds(2)) {
        (self.map, self.confirmation) = (map, confirmation)
    }
}
