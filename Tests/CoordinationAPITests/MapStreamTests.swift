import CoordinationAPI
import Mesh
import Testing

/// The lines of the map's stream.
@Suite struct MapStreamTests {
    @Test func `a heartbeat is one short line`() throws {
        let json = #"{"content":{"unchanged":{}},"issuedAt":1769850000000,"validUntil":1769850000001,"version":7}"#
        let event = MapEvent(
            version: 7, issuedAt: Sample.moment, validUntil: Sample.moment + .milliseconds(1), checkpoint: nil,
            content: .unchanged)
        #expect(String(decoding: try JSON.encode(event), as: UTF8.self) == json)
        #expect(try JSON.decode(MapEvent.self, from: Array(json.utf8)) == event)
    }

    @Test func `changes and whole maps come back as they went`() throws {
        let envelope = try Envelope(signing: Sample.document(), with: Sample.key)
        let peer = try #require(PeerID(rawValue: 3))
        let offset = try #require(MeshOffset(rawValue: 4))
        let node = MapMessage.NodeEntry(peer: peer, offset: offset, certificate: "PEM\n", statement: envelope)
        let session = MapMessage.SessionEntry(
            peer: peer, offset: offset, expires: Sample.moment, maximum: Sample.moment + .seconds(1),
            statement: envelope)
        let pool = try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56))
        let map = MapMessage(
            mesh: Sample.mesh, pool: pool, version: 9, definitions: [envelope], nodes: [node], sessions: [session])
        let changes = MapChanges(
            from: 8, definitions: [envelope],
            removed: [.agent(Sample.agent.name), .policy(PolicyName(unchecked: "demo.cedar"))], nodes: [node],
            removedNodes: [Sample.node], sessions: [session], removedSessions: [Sample.session])
        for content in [MapContent.whole(map), .changes(changes), .unchanged] {
            let event = MapEvent(
                version: 9, issuedAt: Sample.moment, validUntil: Sample.moment, checkpoint: envelope, content: content)
            let line = try JSON.encode(event)
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try JSON.decode(MapEvent.self, from: line) == event)
        }
        #expect(!changes.isEmpty && MapChanges(from: 8).isEmpty)
    }

    @Test(arguments: [
        "{}", #"{"unchanged":1}"#, #"{"unchanged":{},"whole":{}}"#, #"{"changes":{}}"#, #"{"changes":{"from":-1}}"#,
        #"{"whole":{"mesh":"a"}}"#, "[]", "null",
    ])
    func `what is no content is refused`(json: String) {
        #expect(throws: MessageError.self) { try JSON.decode(MapContent.self, from: Array(json.utf8)) }
    }

    @Test(arguments: ["\"\"", "\"00\"", "1", "\"" + String(repeating: "g", count: 64) + "\""])
    func `a challenge is 64 hexadecimal digits`(json: String) {
        #expect(throws: MessageError.self) { try JSON.decode(Challenge.Nonce.self, from: Array(json.utf8)) }
    }
}
