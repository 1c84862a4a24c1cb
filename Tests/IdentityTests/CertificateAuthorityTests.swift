import Crypto
import Identity
import Mesh
import Testing

private let now = Timestamp(rawValue: 1_800_000_000_000)
private let day = Duration.seconds(86_400)

@Suite struct CertificateAuthorityTests {
    let ca: CertificateAuthority
    let key = SigningKey()

    init() throws { ca = try CertificateAuthority(new: try MeshDomain("acme.example"), at: now) }

    @Test func `a node's certificate says which node holds which key`() async throws {
        let verified = try await ca.anchor.verify(try nodeCertificate("web-1"), for: .client, at: now)
        #expect(verified.id.description == "spiffe://acme.example/node/web-1")
        #expect(verified.publicKey.x963Representation == key.publicKey.x963Representation)
    }

    @Test func `an admin's certificate names the admin`() async throws {
        let certificate = try ca.issueAdmin(try UserName("ann"), key: key.publicKey, at: now)
        #expect(try await ca.anchor.verify(certificate, for: .client, at: now).id.role == .admin(try UserName("ann")))
    }

    @Test func `the coordinator's certificate serves, and does not call`() async throws {
        let certificate = try serverCertificate()
        #expect(try await ca.anchor.verify(certificate, for: .server, at: now).id.role == .coordinator)
        await #expect(throws: IdentityError.self) { try await ca.anchor.verify(certificate, for: .client, at: now) }
    }

    @Test func `a node's certificate does not serve as the coordinator's`() async throws {
        let certificate = try nodeCertificate("web-1")
        await #expect(throws: IdentityError.self) { try await ca.anchor.verify(certificate, for: .server, at: now) }
    }

    @Test(arguments: [(-6 * 60, false), (-4 * 60, true), (29 * 86_400, true), (31 * 86_400, false)])
    func `a certificate is valid from five minutes before to its end`(second: Int, valid: Bool) async throws {
        let certificate = try nodeCertificate("web-1")
        let result = try? await ca.anchor.verify(certificate, for: .client, at: now + .seconds(second))
        #expect((result != nil) == valid)
    }

    @Test func `the same name from another mesh's CA is a stranger`() async throws {
        let twin = try CertificateAuthority(new: ca.mesh, at: now)
        let forged = try twin.issueNode(try NodeName("web-1"), request: try request(), at: now)
        await #expect(throws: IdentityError.self) { try await ca.anchor.verify(forged, for: .client, at: now) }
    }

    @Test func `the CA's own certificate speaks for nobody`() async throws {
        for purpose in [TrustAnchor.Purpose.client, .server] {
            await #expect(throws: IdentityError.self) {
                try await ca.anchor.verify(ca.anchor.certificate, for: purpose, at: now)
            }
        }
    }

    /// A signature has more than one encoding (its spare bits are not checked), so the bytes may differ where the
    /// meaning does not.
    @Test func `no change of a byte makes a certificate say something else`() async throws {
        let original = try nodeCertificate("web-1")
        let meant = try await ca.anchor.verify(original, for: .client, at: now)
        var refused = 0
        for index in original.der.indices {
            var bytes = original.der
            bytes[index] ^= 1
            guard let forged = try? EncodedCertificate(der: bytes),
                let said = try? await ca.anchor.verify(forged, for: .client, at: now)
            else {
                refused += 1
                continue
            }
            #expect((said.id, said.expires) == (meant.id, meant.expires))
            #expect(said.publicKey.x963Representation == meant.publicKey.x963Representation)
        }
        #expect(refused >= original.der.count - 1)
    }

    @Test func `a CA comes back from its files`() async throws {
        let again = try CertificateAuthority(
            certificatePEM: ca.anchor.certificate.pem, keyPEM: ca.key.pem)
        let certificate = try again.issueNode(try NodeName("web-1"), request: try request(), at: now + day)
        #expect(again.anchor == ca.anchor)
        #expect(try await ca.anchor.verify(certificate, for: .client, at: now + day).id.mesh == ca.mesh)
    }

    @Test func `a CA does not come up with another's key`() {
        #expect(throws: IdentityError.self) {
            try CertificateAuthority(certificatePEM: ca.anchor.certificate.pem, keyPEM: SigningKey().pem)
        }
    }

    @Test func `a leaf is no CA`() throws {
        let leaf = try nodeCertificate("web-1")
        #expect(throws: IdentityError.self) { try TrustAnchor(leaf) }
    }

    @Test func `an admin's name that no URI can hold is refused`() throws {
        let name = try UserName("ann@acme.example")
        #expect(throws: IdentityError.self) { try ca.issueAdmin(name, key: key.publicKey, at: now) }
    }

    @Test func `a request proves that its key is held`() throws {
        let pem = try CertificateRequest.make(with: key, for: nodeID())
        let verified = try CertificateRequest(verifying: pem)
        #expect(verified.publicKey.x963Representation == key.publicKey.x963Representation)
    }

    @Test func `no change of a byte makes a request ask for another key`() throws {
        let pem = try CertificateRequest.make(with: key, for: nodeID())
        let lines = pem.split(separator: "\n").map(String.init)
        let original = try #require(decodeBase64(lines.dropFirst().dropLast().joined()))
        var refused = 0
        for index in original.indices {
            var bytes = original
            bytes[index] ^= 1
            let forged = "\(lines[0])\n\(encodeBase64(bytes).chunked)\n\(lines[lines.count - 1])\n"
            guard let request = try? CertificateRequest(verifying: forged) else {
                refused += 1
                continue
            }
            #expect(request.publicKey.x963Representation == key.publicKey.x963Representation)
        }
        #expect(refused >= original.count - 1)
    }

    @Test(arguments: ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"])
    func `what is no PEM is refused`(text: String) {
        #expect(throws: IdentityError.self) { try CertificateRequest(verifying: text) }
        #expect(throws: IdentityError.self) { try EncodedCertificate(pem: text) }
        #expect(throws: IdentityError.self) { try SigningKey(pem: text) }
    }

    @Test func `what is longer than any certificate is refused unread`() throws {
        let long = ca.anchor.certificate.pem + String(repeating: "\n", count: EncodedCertificate.maximumLength)
        #expect(throws: IdentityError.self) { try EncodedCertificate(pem: long) }
    }

    @Test func `a key prints as redacted`() {
        #expect("\(key)" == "redacted")
        #expect(String(reflecting: key) == "redacted")
        var text = ""
        dump(key, to: &text)
        #expect(!text.contains("PRIVATE"))
    }

    @Test func `two certificates for one name differ`() throws {
        #expect(try nodeCertificate("web-1") != nodeCertificate("web-1"))
    }

    @Test(arguments: ["192.0.2.1", "[2001:db8::1]", "coordinator.acme.example", "localhost"])
    func `a host is a name or an address`(text: String) throws { #expect(try ServerHost(text).description == text) }

    @Test(arguments: ["", "::1", "[::1", "[192.0.2.1]", "1.2.3", "300.1.1.1", "Host", "a b", "a/b", "*.example", "-a"])
    func `what is neither is no host`(text: String) {
        #expect(throws: IdentityError.self) { try ServerHost(text) }
    }

    private func nodeID() throws -> SPIFFEID { SPIFFEID(mesh: ca.mesh, role: .node(try NodeName("web-1"))) }

    private func request() throws -> CertificateRequest {
        try CertificateRequest(verifying: try CertificateRequest.make(with: key, for: nodeID()))
    }

    private func nodeCertificate(_ name: String) throws -> EncodedCertificate {
        try ca.issueNode(try NodeName(name), request: try request(), at: now)
    }

    private func serverCertificate() throws -> EncodedCertificate {
        try ca.issueServer(hosts: [try ServerHost("192.0.2.1")], key: key.publicKey, at: now)
    }
}

extension String {
    /// In lines of 64, as PEM has them.
    fileprivate var chunked: String {
        var (rest, lines) = (self[...], [Substring]())
        while !rest.isEmpty {
            lines.append(rest.prefix(64))
            rest = rest.dropFirst(64)
        }
        return lines.joined(separator: "\n")
    }
}
