import CoordinationAPI
import Datapath
import Identity
import Mesh
import PosternNode
import Testing

@Suite struct CourierTests {
    private let start = BootTime(rawValue: 1_000_000_000)
    private let session = SessionID(unchecked: String(repeating: "ab", count: 16))
    private let other = SessionID(unchecked: String(repeating: "cd", count: 16))
    private func node(_ number: UInt32) -> IPv4Address { IPv4Address(rawValue: 10 << 24 | number) }
    private func after(_ milliseconds: Int) -> BootTime { start + .milliseconds(milliseconds) }

    @Test func `a letter goes out at once, then each second, five times in all`() {
        var courier = Courier()
        courier.take(Array("{}".utf8), about: session, to: [node(1)], now: start)
        var sent: [Int] = []
        for tenth in 0...100 where !courier.due(now: after(tenth * 100)).isEmpty { sent.append(tenth) }
        #expect(sent == [0, 10, 20, 30, 40])
        #expect(courier.count == 0)
    }

    @Test func `an answer from the node it went to ends it, and no other does`() throws {
        var courier = Courier()
        let letter = Array("{\"a\":1}".utf8)
        courier.take(letter, about: session, to: [node(1), node(2)], now: start)
        #expect(courier.due(now: start).count == 2)
        guard case .answer(let digest) = Courier.read(Courier.answer(to: letter)) else {
            Issue.record("an answer is read as one")
            return
        }
        courier.acknowledge(digest, by: node(3))
        courier.acknowledge(Array(digest.reversed()), by: node(1))
        #expect(courier.count == 2)
        courier.acknowledge(digest, by: node(1))
        #expect(courier.due(now: after(1000)).map(\.to) == [node(2)])
    }

    @Test func `what is newer about a session takes the place of what is older`() {
        var courier = Courier()
        courier.take(Array("{1".utf8), about: session, to: [node(1)], now: start)
        courier.take(Array("{2".utf8), about: other, to: [node(1)], now: start)
        courier.take(Array("{3".utf8), about: session, to: [node(1)], now: start)
        #expect(Set(courier.due(now: start).map(\.bytes)) == [Array("{3".utf8), Array("{2".utf8)])
    }

    @Test func `there are never more letters than fit, nor longer ones`() {
        var courier = Courier()
        courier.take([UInt8](repeating: 123, count: 1201), about: session, to: [node(1)], now: start)
        #expect(courier.count == 0)
        courier.take(Array("{}".utf8), about: session, to: (1...5000).map(node), now: start)
        #expect(courier.count == Courier.capacity)
        courier.take(Array("{4}".utf8), about: session, to: [node(1)], now: start)
        #expect(courier.due(now: start).contains { $0.bytes == Array("{4}".utf8) })
    }

    @Test(arguments: seeds)
    func `no bytes from the mesh end the daemon, and what is read is a letter or an answer`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 1...2000 {
            var bytes = (0..<Int.random(in: 0...1300, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator), !bytes.isEmpty { bytes[0] = Bool.random(using: &generator) ? 6 : 123 }
            switch Courier.read(bytes) {
            case .letter(let text): #expect(text == bytes && bytes.count <= 1200)
            case .answer(let digest): #expect(digest.count == 32)
            case nil: break
            }
        }
    }

    @Test func `a node may send many at once, then so many a second`() {
        var limit = LetterLimit()
        let (a, b) = (NodeName(unchecked: "a"), NodeName(unchecked: "b"))
        let first = (0..<1000).count { _ in limit.allows(a, now: start) }
        #expect(first == 256)
        let neighbour = limit.allows(b, now: start)
        #expect(neighbour)
        let second = (0..<1000).count { _ in limit.allows(a, now: after(1000)) }
        #expect(second == 64)
        // A clock that seems to go back gives nothing.
        let again = limit.allows(a, now: start)
        #expect(!again)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a datagram travels, and says from where`() throws {
        let (one, two) = (try #require(IPv4Address("127.0.0.1")), try #require(IPv4Address("127.0.0.2")))
        let (sender, receiver) = (try MeshSocket(one, port: 47_471), try MeshSocket(two, port: 47_471))
        #expect(receiver.receive() == nil)
        for length in [2, 1200, 1500] {
            #expect(sender.send([UInt8](repeating: 123, count: length), to: two, port: 47_471))
            let end = BootTime.now() + .seconds(10)
            var got = receiver.receive()
            while got == nil, BootTime.now() < end { got = receiver.receive() }
            #expect(got?.from == one)
            #expect(got?.bytes.count == min(length, 1201))
            #expect(
                got.flatMap { Courier.read($0.bytes) }
                    == (length > 1200 ? nil : .letter([UInt8](repeating: 123, count: length))))
        }
    }
}

@Suite struct SessionNewsTests {
    private var mesh: SignedMesh
    private let now = SignedMesh.now

    init() throws {
        mesh = try SignedMesh()
        mesh.sessions = [try mesh.session(3, lasting: .seconds(300)), try mesh.session(4, lasting: .seconds(300))]
    }

    private func belief() async throws -> BelievedMap { try await mesh.believe(try mesh.event()) }

    private func renewal(
        _ number: UInt32 = 3, until seconds: Int, by key: SigningKey? = nil, for mesh: MeshDomain = SignedMesh.name
    ) throws -> Envelope {
        let statement = SessionRenewal(id: self.mesh.id(number), expires: now + .seconds(seconds))
        return try self.mesh.sign(.renewal(statement), with: try #require(key ?? self.mesh.keys["a"]), for: mesh)
    }

    @Test func `a renewal that its node signed lengthens the session, here and in the saved map`() async throws {
        var belief = try await belief()
        let news = try belief.news(in: try renewal(until: 800), now: now)
        #expect(news == .renewed(mesh.id(3), until: now + .seconds(800)))
        belief.take(news)
        #expect(belief.map.sessions[mesh.id(3)]?.expires == now + .seconds(800))
        #expect(belief.map.sessions[mesh.id(4)]?.expires == now + .seconds(300))
        let again = try await mesh.believe(belief.saved.event)
        #expect(again.map.sessions == belief.map.sessions)
    }

    @Test func `a coordinator that was away does not shorten what was renewed without it, but may end it`() async throws
    {
        var belief = try await belief()
        belief.take(try belief.news(in: try renewal(until: 800), now: now))
        let same = try await mesh.believe(try mesh.event(version: 9), after: belief)
        #expect(same.map.sessions[mesh.id(3)]?.expires == now + .seconds(800))
        let gone = mesh.event(MapChanges(from: 7, removedSessions: [mesh.id(3)]), version: 9)
        #expect(try await mesh.believe(gone, after: belief).map.sessions[mesh.id(3)] == nil)
    }

    @Test(arguments: [(100_000, 900), (900, 900), (899, 899)])
    func `a renewal is for a quarter of an hour at most`(seconds: Int, taken: Int) async throws {
        let news = try await belief().news(in: try renewal(until: seconds), now: now)
        #expect(news == .renewed(mesh.id(3), until: now + .seconds(taken)))
    }

    @Test func `a renewal goes neither past the session's longest life nor past the map's lease`() async throws {
        var mesh = mesh
        let old = mesh.sessions[0]
        mesh.sessions[0] = MapMessage.SessionEntry(
            peer: old.peer, offset: old.offset, expires: old.expires, maximum: now + .seconds(500),
            statement: old.statement)
        let short = try await mesh.believe(try mesh.event())
        #expect(
            try short.news(in: try renewal(until: 800), now: now) == .renewed(mesh.id(3), until: now + .seconds(500)))
        let lease = try await self.mesh.believe(try self.mesh.event(validFor: .seconds(400)))
        #expect(
            try lease.news(in: try renewal(until: 800), now: now) == .renewed(mesh.id(3), until: now + .seconds(400)))
    }

    @Test(arguments: [(nil, 900), (30, 30), (1, 10), (100_000, 900)] as [(Int?, Int)])
    func `a renewal gives no more than a session's lease, and that has bounds`(said: Int?, lease: Int) async throws {
        let belief = try await mesh.believe(try mesh.event(sessionLease: said))
        // Just before the session ends that is renewed.
        let late = now + .seconds(299)
        #expect(
            try belief.news(in: try renewal(until: 5000), now: late)
                == .renewed(mesh.id(3), until: late + .seconds(lease)))
        #expect(try await mesh.believe(belief.saved.event).sessionLease == .seconds(lease))
    }

    @Test func `an older renewal says nothing`() async throws {
        #expect(try await belief().news(in: try renewal(until: 300), now: now) == .old)
        #expect(try await belief().news(in: try renewal(until: -5), now: now) == .old)
    }

    @Test func `nobody revives a session whose lease has ended`() async throws {
        let belief = try await belief()
        #expect(throws: NodeError.self) {
            try belief.news(in: try renewal(until: 2000), now: now + .seconds(301))
        }
    }

    @Test func `nobody but its node speaks for a session`() async throws {
        let belief = try await belief()
        for key in [mesh.keys["b"], mesh.admin, mesh.ca.key, SigningKey()] {
            #expect(throws: NodeError.self) { try belief.news(in: try renewal(until: 800, by: key), now: now) }
        }
        #expect(throws: NodeError.self) {
            try belief.news(in: try renewal(until: 800, for: MeshDomain(unchecked: "other.internal")), now: now)
        }
        let changed = try renewal(until: 400)
        let forged = Envelope(
            document: changed.document.replacing("400000", with: "800000"), signatures: changed.signatures)
        #expect(forged.document != changed.document)
        #expect(throws: NodeError.self) { try belief.news(in: forged, now: now) }
    }

    @Test func `other statements, and sessions that are not known, are no news`() async throws {
        let belief = try await belief()
        let statement = try #require(mesh.sessions.first).statement
        #expect(throws: NodeError.self) { try belief.news(in: statement, now: now) }
        #expect(throws: NodeError.self) { try belief.news(in: try renewal(9, until: 800), now: now) }
        #expect(throws: NodeError.self) {
            try belief.news(in: Envelope(document: "x", signatures: []), now: now)
        }
    }

    @Test func `a session of an agent that may not run any more is not renewed`() async throws {
        let off = try mesh.sign(
            .agent(SignedMesh.agent("one", on: "a", disabled: true)), with: mesh.admin, madeAt: now + .seconds(1))
        let belief = try await mesh.believe(
            mesh.event(MapChanges(from: 7, definitions: [off])), after: try await belief())
        #expect(throws: NodeError.self) { try belief.news(in: try renewal(until: 800), now: now) }
    }

    @Test func `an end that its node signed ends the session for good`() async throws {
        var belief = try await belief()
        let end = try mesh.sign(.sessionEnd(mesh.id(3)), with: try #require(mesh.keys["a"]))
        let news = try belief.news(in: end, now: now)
        #expect(news == .ended(mesh.id(3)))
        belief.take(news)
        #expect(Set(belief.map.sessions.keys) == [mesh.id(4)])
        // Neither a renewal nor a coordinator that does not know of it yet brings it back.
        #expect(try belief.news(in: try renewal(until: 800), now: now) == .old)
        let again = mesh.event(MapChanges(from: 7, sessions: [mesh.sessions[0]]))
        #expect(Set(try await mesh.believe(again, after: belief).map.sessions.keys) == [mesh.id(4)])
        let whole = try await mesh.believe(try mesh.event(version: 9), after: belief)
        #expect(Set(whole.map.sessions.keys) == [mesh.id(4)])
        // Nor does a restart.
        var read = try await mesh.believe(belief.saved.event)
        read.remember(belief.saved)
        #expect(Set(read.map.sessions.keys) == [mesh.id(4)])
    }

    @Test func `an end is forgotten when nobody can say otherwise any more`() async throws {
        var belief = try await belief()
        belief.take(.ended(mesh.id(3)))
        let later = now + .seconds(9 * 3600)
        let event = MapEvent(
            version: 8, issuedAt: later, validUntil: later + .seconds(60), checkpoint: nil, content: .unchanged)
        #expect(try await mesh.believe(event, after: belief).ended.isEmpty)
    }
}
