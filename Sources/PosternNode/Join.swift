package import CoordinationAPI
import Crypto
import Identity
package import Mesh
import WireGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Makes this machine a node: once, with a join token.
package enum Join {
    /// What the machine says of itself.
    package struct Request: Sendable {
        package let token: JoinToken
        package let name: NodeName
        /// Where the other nodes reach this one's WireGuard port, best first; none leaves it to the machine's addresses.
        package let endpoints: [Endpoint]

        package init(token: JoinToken, name: NodeName, endpoints: [Endpoint]) {
            (self.token, self.name, self.endpoints) = (token, name, endpoints)
        }
    }

    /// Makes the keys, proves possession of the one for TLS, and keeps what comes back.
    ///
    /// Nothing is written before the coordinator has said yes, except the keys, which a second try uses again.
    package static func perform(
        _ request: Request, in state: StateDirectory, now: Timestamp
    ) async throws -> StateDirectory.Membership {
        if let membership = try state.membership() {
            throw NodeError(
                "this machine is already node `\(membership.node)` of `\(membership.mesh)`; "
                    + "its state is in `\(state.path)`")
        }
        try check(request, now: now)
        let endpoints = try places(of: request)
        let anchor = try await fetchAnchor(for: request.token)
        let tlsKey = try loadTLSKey(from: state) ?? makeTLSKey(in: state)
        let wireGuardKey = try loadWireGuardKey(from: state) ?? makeWireGuardKey(in: state)
        let response = try await ask(
            request, at: endpoints, anchor: anchor, tlsKey: tlsKey, key: wireGuardKey, now: now)
        try await check(response, of: request, anchor: anchor, tlsKey: tlsKey, now: now)
        let membership = StateDirectory.Membership(
            mesh: response.mesh, pool: response.pool, node: request.name, url: request.token.url,
            endpoints: endpoints, hasFixedEndpoints: !request.endpoints.isEmpty, ca: anchor.certificate.pem,
            certificate: response.certificate,
            adminKey: response.adminKey)
        try state.write(.membership, Array(try JSON.pretty(membership).utf8))
        return membership
    }

    private static func check(_ request: Request, now: Timestamp) throws(NodeError) {
        guard request.token.expires > now else {
            throw NodeError("the join token expired at \(request.token.expires); ask an admin for a new one")
        }
        if let bound = request.token.node, bound != request.name {
            throw NodeError("the join token is for node `\(bound)`, not for `\(request.name)`")
        }
    }

    /// Where others reach this machine: as somebody said, or as its addresses are.
    private static func places(of request: Request) throws -> [Endpoint] {
        let named = request.endpoints
        guard named.count <= NodeStatement.maximumEndpoints, Set(named).count == named.count,
            Set(named.map(\.port)).count <= 1
        else {
            throw NodeError(
                "a node has at most \(NodeStatement.maximumEndpoints) endpoints, none twice, all of one port")
        }
        let endpoints =
            try named.isEmpty
            ? Underlay.current(pool: nil, ownDevices: []).endpoints(port: StateDirectory.Membership.usualPort) : named
        guard !endpoints.isEmpty else {
            throw NodeError(
                "this machine has no address at which others could reach it: name one with --endpoint ADDRESS:PORT")
        }
        return endpoints
    }

    /// The CA certificate that the token's fingerprint names: whoever sits between cannot show another.
    private static func fetchAnchor(for token: JoinToken) async throws -> TrustAnchor {
        let pem = try await CoordinatorClient.fetchCA(url: token.url)
        let certificate = try EncodedCertificate(pem: pem)
        guard Fingerprint(of: certificate.der) == token.ca else {
            throw NodeError(
                "the coordinator at \(token.url) shows a CA certificate that is not the one in the join token: "
                    + "somebody may sit between, or the token is of another mesh")
        }
        return try TrustAnchor(certificate)
    }

    private static func ask(
        _ request: Request, at endpoints: [Endpoint], anchor: TrustAnchor, tlsKey: SigningKey,
        key: WireGuardPrivateKey, now: Timestamp
    ) async throws -> JoinResponse {
        let client = try CoordinatorClient(url: request.token.url, ca: anchor.certificate.pem)
        let answer: Result<JoinResponse, any Error>
        do {
            let challenge = try await client.challenge(for: key.publicKey)
            answer = .success(
                try await client.join(
                    try body(
                        request, at: endpoints, challenge: challenge, tlsKey: tlsKey, key: key, now: now)))
        } catch { answer = .failure(error) }
        await client.shutdown()
        return try answer.get()
    }

    /// The request to join, with proof that this machine holds both keys.
    private static func body(
        _ request: Request, at endpoints: [Endpoint], challenge: Challenge, tlsKey: SigningKey,
        key: WireGuardPrivateKey, now: Timestamp
    ) throws -> JoinRequest {
        guard let proof = Possession.proof(of: key, for: challenge, tlsKey: tlsKey.publicKey) else {
            throw NodeError("the coordinator's challenge cannot be answered: its key is none")
        }
        let statement = NodeStatement(name: request.name, key: key.publicKey, endpoints: endpoints)
        let document = Document(mesh: request.token.mesh, madeAt: now, statement: .node(statement))
        let id = SPIFFEID(mesh: request.token.mesh, role: .node(request.name))
        return JoinRequest(
            secret: request.token.secret,
            request: try CertificateRequest.make(with: tlsKey, for: id),
            statement: try Envelope(signing: document, with: tlsKey.privateKey), proof: proof)
    }

    private static func check(
        _ response: JoinResponse, of request: Request, anchor: TrustAnchor, tlsKey: SigningKey, now: Timestamp
    ) async throws {
        guard response.mesh == request.token.mesh else {
            throw NodeError("the coordinator answered for mesh `\(response.mesh)`, not `\(request.token.mesh)`")
        }
        guard let admin = adminKey(response.adminKey), Fingerprint(of: admin) == request.token.admin else {
            throw NodeError("the coordinator names an admin key that is not the one in the join token")
        }
        let certificate = try await anchor.verify(
            EncodedCertificate(pem: response.certificate), for: .client, at: now)
        guard certificate.id.role == .node(request.name),
            certificate.publicKey.x963Representation == tlsKey.publicKey.x963Representation
        else { throw NodeError("the coordinator issued a certificate that is not for this node") }
    }

    static func adminKey(_ base64: String) -> P256.Signing.PublicKey? {
        decodeBase64(base64).flatMap { try? P256.Signing.PublicKey(x963Representation: $0) }
    }

    static func loadTLSKey(from state: StateDirectory) throws -> SigningKey? {
        try state.read(.tlsKey, upTo: 16_384).map { try SigningKey(pem: String(decoding: $0, as: UTF8.self)) }
    }

    static func loadWireGuardKey(
        from state: StateDirectory, as file: StateDirectory.File = .wireGuardKey
    ) throws(NodeError) -> WireGuardPrivateKey? {
        guard let bytes = try state.read(file, upTo: 256) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        guard let key = decodeBase64(text).flatMap({ WireGuardPrivateKey(bytes: $0) }) else {
            throw NodeError("`\(state.path)/\(file.rawValue)` holds no WireGuard key")
        }
        return key
    }

    private static func makeTLSKey(in state: StateDirectory) throws(NodeError) -> SigningKey {
        let key = SigningKey()
        try state.write(.tlsKey, Array(key.pem.utf8))
        return key
    }

    static func makeWireGuardKey(
        in state: StateDirectory, as file: StateDirectory.File = .wireGuardKey
    ) throws(NodeError) -> WireGuardPrivateKey {
        let key = WireGuardPrivateKey.generate()
        try keep(key, in: state, as: file)
        return key
    }

    static func keep(
        _ key: WireGuardPrivateKey, in state: StateDirectory, as file: StateDirectory.File = .wireGuardKey
    ) throws(NodeError) {
        try state.write(file, Array((encodeBase64(key.bytes) + "\n").utf8))
    }
}
