import Mesh
import Testing

@testable import WireGuard

@Suite struct DeviceChangesTests {
    @Test func `a prefix that moves to another peer is nobody's in between`() throws {
        let moving = prefix("10.0.0.1/32")
        let state = DeviceState(peers: [key(1): PeerState(allowedIPs: [moving]), key(2): PeerState()])
        let wanted = try DeviceConfiguration(
            privateKey: secret,
            peers: [key(1): PeerConfiguration(allowedIPs: []), key(2): PeerConfiguration(allowedIPs: [moving])])

        let changes = wanted.changes(from: state)

        #expect(changes.tightening == .init(keptAllowedIPs: [key(1): []]))
        #expect(changes.loosening.peers == [key(2): .init(allowedIPs: [moving])])
    }

    @Test func `an endpoint that was learnt stays when none is wanted`() throws {
        let state = DeviceState(
            publicKey: secret.publicKey, peers: [key(1): PeerState(endpoint: Endpoint("192.0.2.1:1"))])
        let wanted = try DeviceConfiguration(privateKey: secret, peers: [key(1): PeerConfiguration(allowedIPs: [])])
        #expect(wanted.changes(from: state).isEmpty)
    }

    @Test func `two peers never hold the same prefix`() {
        let shared = prefix("10.0.0.1/32")
        #expect(throws: ConfigurationError.sharedPrefix(shared)) {
            try DeviceConfiguration(
                privateKey: secret,
                peers: [
                    key(1): PeerConfiguration(allowedIPs: [shared]), key(2): PeerConfiguration(allowedIPs: [shared]),
                ])
        }
    }

    @Test func `a device is not its own peer`() {
        #expect(throws: ConfigurationError.ownKey(secret.publicKey)) {
            try DeviceConfiguration(privateKey: secret, peers: [secret.publicKey: PeerConfiguration(allowedIPs: [])])
        }
    }

    @Test(arguments: 0..<200)
    func `changes make any device into any other, tightening first`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let start = model(of: try configuration(using: &random))
        let wanted = try configuration(using: &random)
        let changes = wanted.changes(from: start)

        let tightened = applied(changes.onlyTightening, to: start)
        #expect(holdings(tightened).isSubset(of: holdings(start)))
        #expect(holdings(tightened) == holdings(start).intersection(holdings(model(of: wanted))))

        let finished = applied(changes.onlyLoosening, to: tightened)
        #expect(holdings(finished) == holdings(model(of: wanted)))
        #expect(Set(finished.peers.keys) == Set(wanted.peers.keys))
        #expect(wanted.changes(from: finished).isEmpty)
        #expect(applied(changes, to: start) == finished)
    }
}

private let secret = WireGuardPrivateKey.generate()
private let otherSecret = WireGuardPrivateKey.generate()

/// Who may speak for what.
private func holdings(_ state: DeviceState) -> Set<String> {
    Set(state.peers.flatMap { key, peer in peer.allowedIPs.map { "\(key) \($0)" } })
}

private func configuration(using random: inout SeededRandom) throws -> DeviceConfiguration {
    var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
    var free = (0..<24).compactMap { IPPrefix("10.0.0.\($0)/32") }.shuffled(using: &random)
    for number in 0..<8 where Bool.random(using: &random) {
        let share = Int.random(in: 0...4, using: &random)
        peers[key(UInt8(number))] = PeerConfiguration(
            allowedIPs: Set(free.prefix(share)),
            endpoint: Endpoint("192.0.2.\(Int.random(in: 1...3, using: &random)):51820"),
            keepalive: Bool.random(using: &random) ? .seconds(25) : nil)
        free.removeFirst(min(share, free.count))
    }
    return try DeviceConfiguration(
        privateKey: Bool.random(using: &random) ? secret : otherSecret,
        listenPort: Port(rawValue: UInt16.random(in: 1...3, using: &random)), peers: peers)
}

private func model(of configuration: DeviceConfiguration) -> DeviceState {
    DeviceState(
        publicKey: configuration.privateKey.publicKey, listenPort: configuration.listenPort,
        peers: configuration.peers.mapValues { peer in
            PeerState(allowedIPs: peer.allowedIPs, endpoint: peer.endpoint, keepaliveSeconds: peer.keepaliveSeconds)
        })
}

/// What WireGuard does with changes: adding a prefix takes it from whoever holds it.
private func applied(_ changes: DeviceChanges, to state: DeviceState) -> DeviceState {
    var state = state
    for key in changes.tightening.removedPeers { state.peers[key] = nil }
    for (key, kept) in changes.tightening.keptAllowedIPs { state.peers[key]?.allowedIPs = kept }
    if let key = changes.loosening.privateKey { state.publicKey = key.publicKey }
    state.listenPort = changes.loosening.listenPort ?? state.listenPort
    for (key, addition) in changes.loosening.peers {
        if addition.isNew { state.peers[key] = PeerState() }
        for other in state.peers.keys where other != key {
            state.peers[other]?.allowedIPs.subtract(addition.allowedIPs)
        }
        state.peers[key]?.allowedIPs.formUnion(addition.allowedIPs)
        if let endpoint = addition.endpoint { state.peers[key]?.endpoint = endpoint }
        if let seconds = addition.keepaliveSeconds { state.peers[key]?.keepaliveSeconds = seconds }
    }
    return state
}
