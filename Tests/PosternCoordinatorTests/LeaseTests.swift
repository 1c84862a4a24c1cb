import CoordinationAPI
import Mesh
import PosternCoordinator
import Testing

/// For how long nodes and sessions may go on alone, where an operator chose it.
@Suite struct LeaseTests {
    @Test(arguments: [
        (10, 30, true), (900, 86_400, true), (9, 30, false), (901, 86_400, false), (10, 29, false), (10, 86_401, false),
    ])
    func `leases have bounds`(session: Int, map: Int, good: Bool) {
        #expect((Leases(session: .seconds(session), map: .seconds(map)) != nil) == good)
    }

    @Test func `unless said otherwise they are the longest`() {
        #expect(Leases() == Leases(session: .seconds(900), map: .seconds(86_400)))
    }

    @Test func `sessions and maps last as long as was chosen, and nodes are told`() async throws {
        let leases = try #require(Leases(session: .seconds(20), map: .seconds(60)))
        try await withCoordinator(leases: leases) { lab in
            lab.clock.stop()
            let node = try await lab.join("web-1")
            _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
            let (client, id) = (try lab.nodeClient(node), testSession())
            let started: SessionResponse = try await client.post(
                "/v1/sessions", try node.session(of: "a", in: lab, id: id)
            ).read()
            #expect(started.expires == lab.clock.now + .seconds(20))
            var stream = try await lab.listen(node)
            let event = try await stream.next()
            #expect(event.validUntil == event.issuedAt + .seconds(60))
            #expect(event.sessionLeaseSeconds == 20)
            lab.clock.advance(by: .seconds(15))
            let renewal = try lab.signed(
                .renewal(SessionRenewal(id: id, expires: lab.clock.now + .seconds(900))), by: node.tls)
            let renewed: SessionResponse = try await client.post(
                "/v1/sessions", SessionRequest(statement: renewal)
            ).read()
            #expect(renewed.expires == lab.clock.now + .seconds(20))
        }
    }
}
