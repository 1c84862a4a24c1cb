import CoordinationAPI
import Crypto
import Datapath
import Identity
import Logging
package import Mesh

/// When a node asks for its next certificate: in good time, and not in the same instant as its neighbours.
package enum CertificateRenewal {
    /// At two thirds of its life: a coordinator may be away for ten days of thirty.
    package static func isDue(from begin: Timestamp, to end: Timestamp, now: Timestamp) -> Bool {
        let life = end - begin
        return now >= begin + life / 3 * 2
    }

    /// How often a node looks, and how long it waits after an answer that was no certificate.
    static let interval = Duration.seconds(60)
}

extension Node {
    /// Asks for another certificate with the same key when the time has come.
    func renewCertificateIfDue() async {
        do {
            guard let current = try await verifiedCertificate(),
                CertificateRenewal.isDue(from: current.begins, to: current.expires, now: time.utc(at: .now()))
            else { return }
            let id = SPIFFEID(mesh: membership.mesh, role: .node(membership.node))
            let request = NodeCertificateRequest(request: try CertificateRequest.make(with: signer, for: id))
            try await adopt(certificate: try await client.renew(request).certificate, after: current)
            certificateError = nil
        } catch is CancellationError {} catch {
            if certificateError == nil { log.warning("the node's certificate was not renewed: \(error)") }
            certificateError = "the node's certificate was not renewed: \(error)"
        }
    }

    private func verifiedCertificate() async throws -> VerifiedCertificate? {
        // Nobody knows what is due before the time is known.
        guard time.isSigned else { return nil }
        return try await verifier.anchor.verify(
            EncodedCertificate(pem: membership.certificate), for: .client, at: time.utc(at: .now()))
    }

    /// Takes a certificate that is this node's, and of which more is left; the next connection shows it.
    private func adopt(certificate pem: String, after current: VerifiedCertificate) async throws {
        let certificate = try await verifier.anchor.verify(
            EncodedCertificate(pem: pem), for: .client, at: time.utc(at: .now()))
        guard certificate.id == current.id, certificate.expires > current.expires,
            certificate.publicKey.x963Representation == signer.publicKey.x963Representation
        else { throw NodeError("the coordinator issued a certificate that is not for this node, or no longer one") }
        let next = try CoordinatorClient(
            url: membership.url, ca: membership.ca, certificate: pem, key: signer.pem)
        membership.certificate = pem
        do { try state.write(.membership, Array(try JSON.pretty(membership).utf8)) } catch {
            log.error("the new certificate is not kept: \(error)")
        }
        let old = client
        client = next
        log.info("the node's certificate was renewed; it ends at \(certificate.expires)")
        // The stream breaks, and comes back with the new one.
        await old.shutdown()
    }
}

extension NodeService {
    func keepCertificate() async {
        while !Task.isCancelled {
            await node.renewCertificateIfDue()
            try? await Task.sleep(for: CertificateRenewal.interval)
        }
    }
}
