import Audit
import CoordinationAPI
import Crypto
import Identity
import Logging
import Mesh

/// The steps of the coordinator, one method each: what is decided lies in the files they name.
struct Coordinator: Sendable {
    let ca: CertificateAuthority
    let store: Store
    let confirmations = Confirmations()
    let challenges = Challenges()
    let sessionRate = RateLimit()
    let requests = RequestCounts()
    let holds: Holds
    let leases: Leases
    let archive: AuditArchive
    let now: @Sendable () -> Timestamp
    let logger: Logger

    /// So long before its end is a checkpoint signed again.
    private static let checkpointReserve = Duration.seconds(23 * 3600)

    var caCertificate: EncodedCertificate { ca.anchor.certificate }
    private var settings: Store.Settings { store.settings }
    var memory: Memory { store.memory }

    // MARK: Becoming a node, and staying one (Enrolment.swift, Challenges.swift)

    /// A node shall prove that a WireGuard key is its own.
    func challenge(_ request: ChallengeRequest) throws -> Challenge {
        try challenges.make(for: request.key, now: now())
    }

    /// A machine becomes a node.
    func join(_ request: JoinRequest) async throws -> JoinResponse {
        // Who has no token does not get us to check signatures.
        guard try await store.knows(TokenDigest(of: request.secret)) else {
            throw Refusal.unauthenticated("the join token is not known here")
        }
        let now = now()
        let claim = try JoinClaim(request, mesh: settings.domain, pool: settings.pool, now: now)
        guard let proof = request.proof else {
            throw Refusal.invalid("the proof that the node holds its WireGuard key is missing")
        }
        try challenges.check(proof, of: claim.statement.key, tlsKey: claim.request.publicKey, now: now)
        let (name, ca) = (claim.statement.name, ca)
        let certificate = try await store.enrol(claim, now: now) {
            try ca.issueNode(name, request: claim.request, at: now)
        }
        logger.info(
            "node `\(name)` joined, at \(claim.statement.endpoints.map { "`\($0)`" }.joined(separator: ", "))")
        return JoinResponse(
            mesh: settings.domain, pool: settings.pool, certificate: certificate.pem,
            adminKey: memory.read { $0.checkpoint.file.root.description })
    }

    /// A node has another WireGuard key, or answers at other places.
    func update(
        _ request: NodeRequest, of node: NodeName, key: P256.Signing.PublicKey
    ) async throws -> VersionResponse {
        let now = now()
        let saying = try NodeSaying(
            request.statement, by: [key], mesh: settings.domain, pool: settings.pool, now: now)
        if memory.read({ $0.nodes[node]?.statement.key }) != saying.statement.key {
            guard let proof = request.proof else {
                throw Refusal.invalid("a new WireGuard key needs the proof that node `\(node)` holds it")
            }
            try challenges.check(proof, of: saying.statement.key, tlsKey: key, now: now)
        }
        let version = try await store.update(saying, of: node, now: now)
        logger.info("node `\(node)` has another key or place, version \(version)")
        return VersionResponse(version: version)
    }

    /// A node's certificate comes to its end.
    func renew(
        _ request: NodeCertificateRequest, of node: NodeName, key: P256.Signing.PublicKey
    ) async throws -> CertificateResponse {
        let now = now()
        let wanted: CertificateRequest
        do { wanted = try CertificateRequest(verifying: request.request) } catch {
            throw Refusal.invalid(error.description)
        }
        var saying: NodeSaying?
        if wanted.publicKey.x963Representation != key.x963Representation {
            guard let statement = request.statement else {
                throw Refusal.invalid(
                    "a new key needs the statement of node `\(node)`, signed by it and by the old one")
            }
            saying = try NodeSaying(
                statement, by: [key, wanted.publicKey], mesh: settings.domain, pool: settings.pool, now: now)
        }
        let certificate = try ca.issueNode(node, request: wanted, at: now)
        let version = try await store.renew(certificate, of: node, saying: saying, now: now)
        logger.info("node `\(node)` has another certificate, version \(version)")
        return CertificateResponse(certificate: certificate.pem)
    }

    // MARK: The map (MapIndex.swift, MapStreams.swift, MapEvents.swift)

    /// A node listens, from the version that it has.
    func stream(
        for node: (name: NodeName, key: P256.Signing.PublicKey, expires: Timestamp), epoch: UInt64?, version: UInt64?
    ) throws -> MapEvents {
        let ticket = memory.change { state in
            let isOurs = epoch == state.checkpoint.checkpoint.epoch
            return state.streams.open(node.name, after: isOurs ? version : nil)
        }
        logger.info("node `\(node.name)` listens, from version \(version.map { "\($0)" } ?? "none")")
        return MapEvents(
            memory: memory, ticket: ticket, expires: node.expires, heartbeat: holds.heartbeat,
            leases: leases, now: now)
    }

    /// A node says what stands in its kernel.
    func record(_ request: AppliedRequest, by node: NodeName) -> VersionResponse {
        confirmations.record(request.version, by: node, at: now())
        return VersionResponse(version: memory.read { $0.index.version })
    }

    /// Which nodes applied a version, as soon as all did (Confirmations.swift).
    func confirmations(of version: UInt64?, by names: [String]) async throws -> ConfirmationResponse {
        guard let version else { throw Refusal.invalid("`version` is missing") }
        guard names.count <= 1000 else { throw Refusal.invalid("more than 1000 nodes are named") }
        let nodes: [NodeName]
        do { nodes = try names.map(NodeName.init(_:)) } catch { throw Refusal.invalid("\(error)") }
        return await confirmations.wait(for: version, of: nodes, until: .now + holds.confirmation)
    }

    // MARK: Sessions (Sessions.swift)

    /// A node starts, renews or restates a session.
    func start(
        _ request: SessionRequest, on node: NodeName, key: P256.Signing.PublicKey
    ) async throws -> SessionResponse {
        let now = now()
        try sessionRate.check(node, now: now)
        let claim = try SessionClaim(
            request.statement, node: node, key: key, mesh: settings.domain, pool: settings.pool, now: now)
        let response = try await store.start(claim, now: now)
        logger.info("session `\(claim.id)` on node `\(node)` until \(response.expires)")
        return response
    }

    /// A session ends: a node ends its own, an admin any.
    func end(_ session: SessionID, caller: Caller) async throws -> VersionResponse {
        let version = try await store.end(session, by: caller.nodeName, now: now())
        logger.info("session `\(session)` ended by \(caller)")
        return VersionResponse(version: version)
    }

    /// The leases that ran out end, and the checkpoint is kept from running out.
    func sweep() async throws {
        let now = now()
        if let version = try await store.sweep(now: now) { logger.info("expired sessions ended, version \(version)") }
        if memory.read({ $0.checkpoint.checkpoint.notAfter }) - now < Self.checkpointReserve {
            try await store.extendCheckpoint(now: now)
            memory.ringStreams()
        }
    }

    // MARK: The audit log (AuditArchive.swift)

    /// A node delivers records.
    func receiveRecords(_ body: [UInt8], from node: NodeName) async throws -> AuditReceipt {
        try await archive.receive(body, from: node, now: now())
    }

    func auditHead(since: UInt64?) async throws -> AuditHead { try await archive.head(since: since) }

    /// Vouches for the log from an entry on.
    func auditSeal(first: UInt64?) async throws -> [UInt8] { try await archive.seal(from: first ?? 1, now: now()) }

    /// A page of the log.
    func auditLines(after number: UInt64?, upTo last: UInt64?, atMost count: UInt64?) async throws -> [UInt8] {
        try await archive.lines(after: number ?? 0, upTo: last ?? .max, atMost: count ?? .max)
    }

    /// Checkpoints that are due, and what is too old.
    func tendAudit() async throws {
        let gone = try await archive.tend(now: now())
        if gone > 0 { logger.info("\(gone) entries of the audit log were older than it is kept, and are gone") }
    }

    // MARK: Admins (Changes.swift, Definitions.swift, StatementSet.swift)

    /// An admin changes what admins keep.
    func change(_ request: ChangeRequest) async throws -> VersionResponse {
        let version = try await store.make(request, now: now())
        logger.info("version \(version) changes \(request.documents.count) entries")
        return VersionResponse(version: version)
    }

    func statements() -> StatementsResponse {
        memory.read { StatementsResponse(version: $0.index.version, statements: $0.statements.envelopes) }
    }

    func policyHistory(before number: UInt64?) async throws -> PolicyHistory {
        try await store.policyHistory(before: number.map { Int64(clamping: $0) })
    }

    /// A certificate for an admin whose key an admin's statement names.
    func certify(_ request: AdminCertificateRequest) throws -> CertificateResponse {
        let wanted: CertificateRequest
        do { wanted = try CertificateRequest(verifying: request.request) } catch {
            throw Refusal.invalid(error.description)
        }
        guard let key = memory.read({ $0.statements.chain.admins[request.name] }) else {
            throw Refusal.missing("there is no admin `\(request.name)`")
        }
        guard key == SigningPublicKey(wanted.publicKey) else {
            throw Refusal.forbidden("the key is not the one of admin `\(request.name)`")
        }
        logger.info("a certificate for admin `\(request.name)`")
        return CertificateResponse(
            certificate: try ca.issueAdmin(request.name, key: wanted.publicKey, at: now()).pem)
    }

    func registry() throws -> Registry {
        let (registry, reports) = (memory.read { Registry($0) }, confirmations.all)
        var result = registry
        for index in result.nodes.indices {
            let report = reports[result.nodes[index].name]
            (result.nodes[index].applied, result.nodes[index].seenAt) = (report?.version, report?.at)
        }
        return result
    }

    /// An admin makes a join token (JoinTokens.swift); its secret leaves here and is kept nowhere.
    func addJoinToken(_ request: JoinTokenRequest) async throws -> JoinToken {
        let (record, secret) = (try request.record(now: now()), TokenSecret())
        try await store.add(record, digest: secret.digest)
        logger.info("join token for \(record.node.map { "node `\($0)`" } ?? "any node") until \(record.expires)")
        return JoinToken(
            mesh: settings.domain, url: settings.url, ca: Fingerprint(of: caCertificate.der),
            admin: memory.read { $0.checkpoint.file.root.fingerprint }, node: record.node, expires: record.expires,
            secret: secret.text)
    }
}

extension Registry {
    /// As admins see it; what nodes said of themselves since is not in it.
    fileprivate init(_ state: Memory.State) {
        let (contents, people) = (state.index.contents, state.statements.chain.admins)
        self.init(
            mesh: contents.mesh, version: state.index.version,
            admins: people.sorted { $0.key < $1.key }.map {
                Admin(name: $0.key, key: $0.value.fingerprint)
            },
            nodes: state.nodes.values.sorted { $0.statement.name < $1.statement.name }.map { node in
                Node(
                    name: node.statement.name, address: contents.pool.ipv4(at: node.offset).description,
                    endpoints: node.statement.endpoints, applied: nil, seenAt: nil,
                    certificateExpires: node.certificate.validUntil)
            },
            agents: contents.agents.values.map(\.definition).sorted { $0.name < $1.name },
            services: contents.services.values.map(\.definition).sorted { $0.name < $1.name },
            policies: contents.policies.values.map(\.document).sorted { $0.name < $1.name },
            sessions: state.sessions.values.sorted { ($0.started, $0.statement.id) < ($1.started, $1.statement.id) }
                .map { session in
                    Session(
                        id: session.statement.id, agent: session.statement.agent, node: session.statement.node,
                        address: contents.pool.ipv4(at: session.offset).description, expires: session.expires,
                        person: session.statement.person?.signer.flatMap { key in people.first { $0.value == key }?.key
                        })
                })
    }
}

/// How long requests that wait for news are held, how often a stream says that there are none, and how long a node may
/// take nothing of what it is told.
package struct Holds: Sendable {
    package var confirmation: Duration
    package var heartbeat: Duration
    package var patience: Duration

    package init(
        confirmation: Duration = .seconds(2), heartbeat: Duration = MapEvent.heartbeat,
        patience: Duration = .seconds(30)
    ) {
        (self.confirmation, self.heartbeat, self.patience) = (confirmation, heartbeat, patience)
    }
}
