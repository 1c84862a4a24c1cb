import CoordinationAPI
import Datapath
import Identity
import Logging
import Mesh
import WireGuard

/// The node's WireGuard key, exchanged for a new one while flows go on.
///
///     1 make      the new key is on the disk beside the old one
///     2 say       challenge, proof, the node's signed statement: the coordinator has taken it
///     3 switch    the map shows this node by the new key: the device takes it, and the old key goes
///
/// Broken off anywhere, both keys are there, and the map says which one counts.
extension Node {
    /// Begins, or goes on with, an exchange of keys; done when the map has come round.
    package func rotateKey() async throws {
        let key = try nextKey ?? Join.makeWireGuardKey(in: state, as: .nextWireGuardKey)
        nextKey = key
        let challenge = try await client.challenge(for: key.publicKey)
        guard let proof = Possession.proof(of: key, for: challenge, tlsKey: signer.publicKey) else {
            throw NodeError("the coordinator's challenge cannot be answered: its key is none")
        }
        let endpoints = map?.nodes[local.name]?.endpoints ?? membership.endpoints
        let statement = NodeStatement(name: local.name, key: key.publicKey, endpoints: endpoints)
        let document = Document(mesh: membership.mesh, madeAt: time.utc(at: .now()), statement: .node(statement))
        let answer = try await client.change(
            NodeRequest(statement: try Envelope(signing: document, with: signer.privateKey), proof: proof))
        await waitForMap(within: .seconds(10)) { $0.version >= answer.version }
        guard local.key == key else {
            throw NodeError(
                "the coordinator took the new key, but the map with it has not come yet: it will be used then")
        }
    }

    /// Takes the new key up when the map shows this node by it.
    func adoptNextKey() {
        guard let key = nextKey, map?.nodes[local.name]?.key == key.publicKey else { return }
        do {
            // From here on a start finds this key; the old one has done its service.
            try Join.keep(key, in: state)
            try state.remove(.nextWireGuardKey, by: .real)
        } catch {
            // Both keys stay on the disk, and the map says again which one counts.
            log.error("the node's new WireGuard key is not kept in its place: \(error)")
        }
        nextKey = nil
        switchKey(to: key)
        log.notice("the node's WireGuard key is now \(key.publicKey)")
    }
}
