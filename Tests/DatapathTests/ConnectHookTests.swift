import Foundation
import Mesh
import Testing

@testable import Datapath

/// A cgroup of version 2 with the agent's hook on it.
private final class HookedCgroup {
    let path: String
    let mount: PinMount

    init(_ tables: borrowing Tables, _ mount: PinMount) throws {
        let line = try #require(
            try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
                .first { $0.contains(" - cgroup2 ") })
        path = "\(line.split(separator: " ")[4])/ptdp-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        self.mount = mount
        try must("mkdir \(path)")
        try ConnectHook.attach(
            cgroup: path, identity: Who.agentDevice, tables: tables, pins: mount.path + "/sessions/hook")
    }

    deinit { try? must("rmdir \(path)") }

    /// Runs a line of bash inside, in a network namespace with nothing in it: what the hook lets pass is unreachable.
    func bash(_ line: String) throws -> String {
        try run("bash", "-c", "echo $$ > \(path)/cgroup.procs && exec unshare -n bash -c '\(line)'").output
    }

    func connect(_ address: String, _ port: UInt16, transport: String = "tcp") throws -> String {
        try bash("exec 3<>/dev/\(transport)/\(address)/\(port)")
    }
}

@Suite struct ConnectHookTests {
    static let refused: [(address: String, port: UInt16, transport: String, reason: Reason)] = [
        ("\(pool.ipv4(at: Who.node))", Who.admin, "tcp", .noGrant),
        ("\(pool.ipv6(at: Who.node))", Who.admin, "tcp", .noGrant),
        ("::ffff:\(pool.ipv4(at: Who.node))", Who.admin, "tcp", .noGrant),
        ("\(pool.ipv4(at: Who.node))", 22, "tcp", .noService),
        ("\(pool.ipv4(at: Who.node))", Who.sidecarred, "tcp", .sidecarOnly),
        ("\(pool.ipv4(at: Who.nobody))", Who.web, "tcp", .unknownPeer),
        ("\(pool.ipv4(at: Who.node))", 54, "udp", .noService),
        ("\(pool.ipv4(at: Who.node))", Who.dns, "tcp", .noService),
        ("\(pool.ipv6(at: Who.node))", Who.ended, "tcp", .grantEnded),
        ("192.0.2.1", 443, "tcp", .outsidePool),
        ("2001:db8::1", 443, "tcp", .outsidePool),
        ("::ffff:192.0.2.1", 443, "tcp", .outsidePool),
    ]

    @Test(arguments: refused.indices)
    func `what no grant allows is refused at once`(index: Int) throws {
        let test = Self.refused[index]
        let world = try World()
        let cgroup = try HookedCgroup(world.tables, world.mount)
        var events = try EventStream(world.tables)
        let said = try cgroup.connect(test.address, test.port, transport: test.transport)
        #expect(said.contains("Operation not permitted"), "\(test) \(said)")
        #expect(try world.tables.counts(at: .connect).keys.map { $0 } == [test.reason])
        let event = try #require(try events.drain().first)
        #expect(event.place == .connect && event.kind == .denied && event.reason == test.reason)
        #expect(event.initiator == Who.agentSlot && event.destinationPort?.rawValue == test.port && event.source == nil)
    }

    @Test(arguments: ["\(pool.ipv4(at: Who.node))", "\(pool.ipv6(at: Who.node))", "::ffff:\(pool.ipv4(at: Who.node))"])
    func `what a grant allows goes on to the network`(address: String) throws {
        let world = try World()
        let cgroup = try HookedCgroup(world.tables, world.mount)
        let said = try cgroup.connect(address, Who.web)
        #expect(!said.contains("Operation not permitted"), "\(said)")
        #expect(try world.tables.counts(at: .connect).keys.map { $0 } == [.allowed])
    }

    @Test(arguments: [
        "127.0.0.1", "::1", "0.0.0.0", "::", "\(pool.ipv4(at: Who.agent))", "\(pool.ipv6(at: Who.agent))",
    ])
    func `loopback and the own address are the session's own`(address: String) throws {
        let world = try World()
        let cgroup = try HookedCgroup(world.tables, world.mount)
        #expect(try !cgroup.connect(address, 7).contains("Operation not permitted"))
        #expect(try world.tables.counts(at: .connect).keys.map { $0 } == [.allowedLoopback])
    }

    @Test func `a datagram without connect is refused too`() throws {
        let world = try World()
        let cgroup = try HookedCgroup(world.tables, world.mount)
        let send = "socket(S,2,2,0); send(S,1,0,pack_sockaddr_in(53,inet_aton(q(192.0.2.1)))) or print \\$!"
        #expect(try cgroup.bash("perl -MSocket -e \"\(send)\"").contains("Operation not permitted"))
    }

    @Test func `an ended lease and an ended row refuse`() throws {
        var set = Who.tables
        set.rows = [:]
        let world = try World(set)
        let cgroup = try HookedCgroup(world.tables, world.mount)
        _ = try cgroup.connect("\(pool.ipv4(at: Who.node))", Who.web)
        var expired = set
        expired.peers[Who.agent] = Who.entry(Who.agentSlot, until: Who.past)
        try world.tables.tighten(set.changes(to: expired))
        _ = try cgroup.connect("\(pool.ipv4(at: Who.node))", Who.web)
        let counts = try world.tables.counts(at: .connect)
        #expect(counts.mapValues(\.packets) == [.staleGeneration: 1, .ownLease: 1])
    }

    @Test func `a hook left behind refuses what the next peer of its slot may do`() throws {
        var set = Who.tables
        set.peers[Who.agent] = Who.entry(Who.agentSlot, Who.second)
        set.rows[Who.agentSlot] = Who.second
        let world = try World(set)
        let cgroup = try HookedCgroup(world.tables, world.mount)
        let said = try cgroup.connect("\(pool.ipv4(at: Who.node))", Who.web)
        #expect(said.contains("Operation not permitted"))
        #expect(try world.tables.counts(at: .connect).mapValues(\.packets) == [.ownLease: 1])
    }

    @Test func `without the hook the call goes on`() throws {
        let world = try World()
        let cgroup = try HookedCgroup(world.tables, world.mount)
        try ConnectHook.detach(pins: world.mount.path + "/sessions/hook")
        #expect(try cgroup.connect("192.0.2.1", 443).contains("Network is unreachable"))
    }
}
