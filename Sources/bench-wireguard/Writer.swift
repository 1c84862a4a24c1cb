import Glibc
import WireGuard

/// Who tells a device of its peers.
enum Writer: CaseIterable {
    case ours
    case wg
    /// The same once more: what differs between the two is noise.
    case wgAgain

    /// All of them, to a device that knows nobody.
    func writeMany(_ peers: SimulatedPeers, to device: DeviceName, of backend: some WireGuardBackend) throws {
        switch self {
        case .ours: try backend.apply(peers.many.changes(from: DeviceState()), to: device)
        case .wg, .wgAgain: try run("wg", "setconf", device.rawValue, peers.manyFile)
        }
    }

    /// One more, to a device that has its key.
    func writeOne(
        _ peer: (peer: DeviceConfiguration, file: String), to device: DeviceName, of backend: some WireGuardBackend
    ) throws {
        switch self {
        case .ours:
            let present = DeviceState(publicKey: peer.peer.privateKey.publicKey)
            try backend.apply(peer.peer.changes(from: present), to: device)
        case .wg, .wgAgain: try run("wg", "addconf", device.rawValue, peer.file)
        }
    }
}

extension WireGuardBackend {
    /// Whether the device knows all of them and so many further ones, with what each of them may speak for.
    func knows(_ peers: SimulatedPeers, further: Int, _ device: DeviceName) throws -> Bool {
        let state = try state(of: device)
        let wanted = peers.more.prefix(further).reduce(into: peers.many.peers) { all, one in
            all.merge(one.peer.peers) { first, _ in first }
        }
        return state.publicKey == peers.many.privateKey.publicKey && state.peers.count == wanted.count
            && wanted.allSatisfy { state.peers[$0]?.allowedIPs == $1.allowedIPs }
    }
}

/// A command that must succeed, in the network namespace of the calling thread.
func run(_ command: String...) throws {
    var words = unsafe command.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    var (pid, status): (pid_t, Int32) = (0, 0)
    let started = unsafe posix_spawnp(&pid, command[0], nil, nil, &words, nil)
    guard started == 0, unsafe waitpid(pid, &status, 0) == pid, status == 0 else {
        throw BenchError("`\(command.joined(separator: " "))` failed")
    }
}
