import CoordinationAPI
import Logging
import Mesh
import WireGuard

// Down means: no mesh device, no session, nothing passes. The wall stays, the map is followed, and a restart
// remembers it: only a person who says `postern up` brings the mesh back.

extension Node {
    func down(caller: Caller) throws(NodeError) -> LocalResponse {
        try demandRoot(caller, to: "take the mesh down")
        // Kept before anything is done: a daemon that dies half way goes on with it.
        try state.setDown(true)
        isDown = true
        for session in sessions.values { stop(session, because: "the mesh was taken down here, by `postern down`") }
        reconcile()
        log.notice("the mesh is down here: `postern down`")
        return .down
    }

    func up(_ order: JoinOrder?, caller: Caller) throws(NodeError) -> LocalResponse {
        try demandRoot(caller, to: "bring the mesh up")
        guard order == nil else {
            throw NodeError(
                "this machine is already node `\(local.name)` of `\(membership.mesh)`: `postern up` without a token "
                    + "brings it up")
        }
        try state.setDown(false)
        isDown = false
        reconcile()
        log.notice("the mesh is up here: `postern up`")
        return .up
    }

    func rotateKey(for caller: Caller) async throws -> LocalResponse {
        try demandRoot(caller, to: "exchange the node's key")
        try await rotateKey()
        return .rotated(local.key.publicKey)
    }

    private func demandRoot(_ caller: Caller, to act: String) throws(NodeError) {
        guard caller.uid == 0 else { throw NodeError("only root may \(act)") }
    }
}
