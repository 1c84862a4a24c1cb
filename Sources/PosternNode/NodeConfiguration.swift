package import Mesh
package import WireGuard

/// Where on its machine a node lives.
package struct NodeConfiguration: Sendable {
    package var stateDirectory: String
    /// The Unix socket of the local API.
    package var socket: String
    /// A directory of this node's own in a bpffs.
    package var bpffs: String
    /// The name of the node's own WireGuard device.
    package var device: DeviceName
    /// The program that is PID 1 of each session.
    package var sessionProgram: String
    package var keepalive: Keepalive
    /// How old a session's WireGuard key grows before the node exchanges it by itself.
    package var sessionKeyLife: Duration
    package static let sessionKeyLives = Duration.seconds(10)...Duration.seconds(86_400)

    package var sessionsBounds: SessionsBounds
    /// Where figures are served, if anywhere.
    package var metrics: Endpoint?

    package init(
        stateDirectory: String, socket: String, bpffs: String, device: DeviceName, sessionProgram: String,
        keepalive: Keepalive = .automatic, sessionKeyLife: Duration = .seconds(3600),
        sessionsBounds: SessionsBounds = .ofThisMachine, metrics: Endpoint? = nil
    ) {
        (self.stateDirectory, self.socket, self.bpffs) = (stateDirectory, socket, bpffs)
        (self.device, self.sessionProgram) = (device, sessionProgram)
        (self.keepalive, self.sessionKeyLife) = (keepalive, sessionKeyLife)
        (self.sessionsBounds, self.metrics) = (sessionsBounds, metrics)
    }
}
