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
        for event in try Sample.mapEvents() {
            let line = try JSON.encode(event)
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try JSON.decode(MapEvent.self, from: line) == event)
        }
        #expect(MapChanges(from: 8).isEmpty)
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
