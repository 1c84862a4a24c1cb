import AsyncHTTPClient
import CoordinationAPI
import Crypto
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import Testing

@testable import PosternCoordinator

/// The map as a node hears it: whole, then change by change.
@Suite(.timeLimit(.minutes(1))) struct StreamTests {
    @Test func `a node hears the whole map, and then what concerns it`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            var stream = try await lab.listen(one)
            let first = try await stream.next()
            guard case .whole(let map) = first.content else { throw Unexpected("\(first)") }
            #expect(map.nodes.map(\.certificate) == [one.certificate])
            #expect(map.version == first.version)
            #expect(first.validUntil <= first.issuedAt + .seconds(86_400))
            let checkpoint = try lab.checkpoint(first)
            #expect(first.validUntil <= checkpoint.notAfter)
            #expect(checkpoint.policies == Fingerprint(ofStatements: [(Statement, Envelope)]()))

            // What concerns the other one alone is not told, nor is its heartbeat due.
            _ = try await lab.change(try agent("b", nodes: [two.name])).read(VersionResponse.self)
            let change = try await lab.change(try agent("a", nodes: [one.name])).read(VersionResponse.self)
            let second = try await stream.next(where: { if case .changes = $0.content { true } else { false } })
            guard case .changes(let changes) = second.content else { throw Unexpected("\(second)") }
            #expect(second.version >= change.version)
            #expect(try changes.definitions.map(lab.statement) == [agent("a", nodes: [one.name])])
            #expect(changes.nodes.isEmpty && changes.sessions.isEmpty && changes.removed.isEmpty)
        }
    }

    @Test func `a session is told to those who may see it, and its end too`() async throws {
        try await withCoordinator { lab in
            let (web, db, other) = (
                try await lab.join("web"), try await lab.join("db"), try await lab.join("other")
            )
            _ = try await lab.change(
                try agent("a", nodes: [web.name]), try service("sql", on: "db"),
                try policy("permit (principal == Agent::\"a\", action, resource == Service::\"sql\");")
            ).read(VersionResponse.self)
            var heard = try await lab.listen(db)
            var unheard = try await lab.listen(other)
            (_, _) = (try await heard.next(), try await unheard.next())
            let id = testSession()
            let started: SessionResponse = try await lab.nodeClient(web).post(
                "/v1/sessions", try web.session(of: "a", in: lab, id: id)
            ).read()
            guard case .changes(let start) = try await heard.next().content else { throw Unexpected("no changes") }
            #expect(start.sessions.map(\.peer) == [started.peer])
            #expect(start.sessions.map(\.maximum) == [started.maximum])
            #expect(start.nodes.map(\.certificate) == [web.certificate])
            #expect(try start.definitions.map(lab.statement) == [agent("a", nodes: [web.name])])
            let renewal = try lab.signed(
                .renewal(SessionRenewal(id: id, expires: started.expires + .seconds(5))), by: web.tls)
            lab.clock.advance(by: .seconds(60))
            let renewed: SessionResponse = try await lab.nodeClient(web).post(
                "/v1/sessions", SessionRequest(statement: renewal)
            ).read()
            #expect(renewed.expires == started.expires + .seconds(5))
            guard case .changes(let later) = try await heard.next().content else { throw Unexpected("no changes") }
            #expect(later.sessions.map(\.expires) == [renewed.expires])
            _ = try await lab.nodeClient(web).delete("/v1/sessions/\(id)").read(VersionResponse.self)
            guard case .changes(let end) = try await heard.next().content else { throw Unexpected("no changes") }
            #expect((end.removedSessions, end.removedNodes) == ([id], [web.name]))
            #expect(end.removed == [.agent(try AgentName("a"))])
            // To the third one nothing of it was said.
            _ = try await lab.change(try agent("c", nodes: [other.name])).read(VersionResponse.self)
            guard case .changes(let own) = try await unheard.next().content else { throw Unexpected("no changes") }
            #expect(own.sessions.isEmpty && own.removedSessions.isEmpty && own.nodes.isEmpty)
        }
    }

    @Test func `a node that comes back is told what it missed`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            var stream = try await lab.listen(node)
            let first = try await stream.next()
            let epoch = try lab.checkpoint(first).epoch
            for name in ["a", "b"] {
                _ = try await lab.change(try agent(name, nodes: [node.name])).read(VersionResponse.self)
            }
            _ = try await lab.change(.removal(.agent(try AgentName("a")))).read(VersionResponse.self)
            var again = try await lab.listen(node, "?epoch=\(epoch)&version=\(first.version)")
            let missed = try await again.next()
            guard case .changes(let changes) = missed.content else { throw Unexpected("\(missed)") }
            #expect(changes.from == first.version)
            #expect(try changes.definitions.map(lab.statement) == [agent("b", nodes: [node.name])])
            #expect(changes.removed == [.agent(try AgentName("a"))])
            #expect(missed.checkpoint != nil)
            // The old stream ended when the new one came.
            await #expect(throws: (any Error).self) { while true { _ = try await stream.next() } }
            // Another epoch, or a version that is not known here, is no base for changes.
            for query in ["?epoch=\(epoch + 1)&version=\(missed.version)", "?epoch=\(epoch)&version=99999", "?epoch=0"]
            {
                var fresh = try await lab.listen(node, query)
                guard case .whole = try await fresh.next().content else { throw Unexpected(query) }
            }
        }
    }

    @Test func `a heartbeat carries time and version on`() async throws {
        let holds = Holds(confirmation: .seconds(60), heartbeat: .milliseconds(50))
        try await withCoordinator(holds: holds) { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            var stream = try await lab.listen(one)
            let first = try await stream.next()
            let change = try await lab.change(try agent("b", nodes: [two.name])).read(VersionResponse.self)
            let beat = try await stream.next { $0.version >= change.version && $0.content == .unchanged }
            #expect(beat.issuedAt > first.issuedAt)
            let quiet = try await stream.next()
            #expect((quiet.content, quiet.checkpoint) == (.unchanged, nil))
        }
    }

    @Test func `what is applied is confirmed`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            let version = try await lab.version()
            let client = try lab.nodeClient(one)
            async let held = client.get("/v1/confirmations?version=\(version)&node=web-1&node=web-2")
            for node in [one, two] {
                let answer: VersionResponse = try await lab.nodeClient(node).post(
                    "/v1/applied", AppliedRequest(version: version)
                ).read()
                #expect(answer.version == version)
            }
            #expect(try await held.read(ConfirmationResponse.self).confirmed == [one.name, two.name])
        }
    }

    @Test func `a node that is removed hears no more`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            _ = try await lab.change(
                try agent("a", nodes: [one.name]), try service("sql", on: "web-2"),
                try policy("permit (principal, action, resource);")
            ).read(VersionResponse.self)
            _ = try await lab.nodeClient(one).post("/v1/sessions", try one.session(of: "a", in: lab)).read(
                SessionResponse.self)
            var (gone, other) = (try await lab.listen(one), try await lab.listen(two))
            (_, _) = (try await gone.next(), try await other.next())
            _ = try await lab.change(.removal(.node(one.name))).read(VersionResponse.self)
            await #expect(throws: (any Error).self) { while true { _ = try await gone.next() } }
            try expect(try await lab.nodeClient(one).get("/v1/map?epoch=0"), 401, "unauthenticated")
            guard case .changes(let changes) = try await other.next().content else { throw Unexpected("no changes") }
            #expect(changes.removedNodes == [one.name] && changes.removedSessions.count == 1)
            // Its name may be taken by another machine, its address not for two days.
            let again = try await lab.join("web-1")
            let old = try await lab.nodeClient(two).get("/v1/registry")
            #expect(old.status == 403)
            #expect(again.certificate != one.certificate)
            try expect(try await lab.nodeClient(one).get("/v1/map?epoch=0"), 401, "unauthenticated")
            let nodes = try await lab.adminClient().get("/v1/registry").read(Registry.self).nodes
            #expect(Set(nodes.map(\.address)).count == 2)
        }
    }

    @Test func `the stream ends with the certificate`() async throws {
        let holds = Holds(confirmation: .seconds(60), heartbeat: .milliseconds(50))
        try await withCoordinator(holds: holds) { lab in
            var stream = try await lab.listen(try await lab.join("web-1"))
            _ = try await stream.next()
            lab.clock.advance(by: .seconds(31 * 86_400))
            await #expect(throws: (any Error).self) { while true { _ = try await stream.next() } }
        }
    }

    @Test func `a slow node is told once of all that happened`() throws {
        var streams = MapStreams(version: 1)
        let node = NodeName(unchecked: "n")
        let ticket = streams.open(node, after: 1)
        let checkpoint = Envelope(document: "c", signatures: [])
        for version in UInt64(2)...100 {
            let item = MapItem.session(SessionID(unchecked: "\(version % 3)"))
            let bells = streams.publish(MapDelta(version: version, nodes: [node: [item]]))
            #expect(bells.count == 1)
        }
        let first = streams.take(ticket, version: 100, checkpoint: checkpoint)
        let next = try #require(first)
        #expect((next.from, next.items.count, next.isNewCheckpoint) == (1, 3, true))
        let second = streams.take(ticket, version: 100, checkpoint: checkpoint)
        let quiet = try #require(second)
        #expect((quiet.from, quiet.items.count, quiet.isNewCheckpoint) == (100, 0, false))
        let other = streams.open(node, after: 100)
        let (ended, living) = (
            streams.take(ticket, version: 100, checkpoint: checkpoint),
            streams.take(other, version: 100, checkpoint: checkpoint)
        )
        #expect(ended == nil && living != nil)
    }

    @Test func `the history has an end`() throws {
        var history = MapHistory(from: 10)
        let node = NodeName(unchecked: "n")
        for version in UInt64(11)...UInt64(10 + 3 * MapHistory.maximumVersions) {
            history.add(MapDelta(version: version, nodes: [node: [.agent(AgentName(unchecked: "a\(version)"))]]))
        }
        let newest = UInt64(10 + 3 * MapHistory.maximumVersions)
        #expect(history.items(for: node, after: newest)?.isEmpty == true)
        #expect(history.items(for: node, after: newest + 1) == nil)
        let oldest = newest - UInt64(MapHistory.maximumVersions)
        #expect(history.items(for: node, after: oldest)?.count == MapHistory.maximumVersions)
        #expect(history.items(for: node, after: oldest - 1) == nil)
        // One change that concerns very many nodes fills it as well.
        let nodes = Dictionary(
            uniqueKeysWithValues: (0..<MapHistory.maximumItems).map {
                (NodeName(unchecked: "\($0)"), Set([MapItem.admins]))
            })
        history.add(MapDelta(version: newest + 1, nodes: nodes))
        #expect(history.items(for: node, after: newest) == nil)
        #expect(history.items(for: node, after: newest + 1)?.isEmpty == true)
    }
}

struct Unexpected: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

/// The events of one stream.
struct Listener {
    private var body: HTTPClientResponse.Body.AsyncIterator
    private var rest: [UInt8] = []

    init(_ response: HTTPClientResponse) { body = response.body.makeAsyncIterator() }

    mutating func next(where isWanted: (MapEvent) -> Bool = { _ in true }) async throws -> MapEvent {
        while true {
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let event = try JSON.decode(MapEvent.self, from: Array(rest[..<end]))
                rest.removeFirst(end + 1)
                if isWanted(event) { return event }
            }
            guard let part = try await body.next(isolation: #isolation) else { throw Unexpected("the stream ended") }
            rest += Array(buffer: part)
        }
    }
}

extension Client {
    /// The whole map, as one hears it first.
    func map() async throws -> MapMessage {
        let response = try await http.execute(
            HTTPClientRequest(url: base + "/v1/map?epoch=0"), timeout: .seconds(60))
        guard response.status == .ok else { throw Unexpected("status \(response.status)") }
        var listener = Listener(response)
        guard case .whole(let map) = try await listener.next().content else { throw Unexpected("no whole map") }
        return map
    }
}

extension Lab {
    func listen(_ node: TestNode, _ query: String = "?epoch=0") async throws -> Listener {
        let client = try nodeClient(node)
        let response = try await client.http.execute(
            HTTPClientRequest(url: client.base + "/v1/map" + query), timeout: .seconds(60))
        #expect(response.status == .ok)
        #expect(response.headers["content-type"] == ["application/x-ndjson"])
        return Listener(response)
    }

    /// The checkpoint in an event, whose signature must hold.
    func checkpoint(_ event: MapEvent) throws -> Checkpoint {
        let envelope = try #require(event.checkpoint)
        let document = try envelope.document(signedByOneOf: [try ca.key.publicKey], of: mesh)
        guard case .checkpoint(let checkpoint) = document.statement else { throw Unexpected("no checkpoint") }
        return checkpoint
    }

    func statement(_ envelope: Envelope) throws -> Statement {
        try JSON.decode(Document.self, from: Array(envelope.document.utf8)).statement
    }
}
