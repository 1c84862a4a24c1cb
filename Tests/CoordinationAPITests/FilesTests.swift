import CoordinationAPI
import Mesh
import Testing

@Suite struct FilesTests {
    private let token = Sample.token
    private let admin = Sample.adminFile

    @Test func `a token comes back from its file`() throws {
        let text = try JSON.encode(token)
        #expect(try JoinToken(parsing: text) == token)
        #expect(try JoinToken(parsing: Array("\n ".utf8) + text + Array("\n".utf8)) == token)
    }

    @Test func `an admin file comes back`() throws {
        #expect(try AdminFile(parsing: try JSON.encode(admin)).certificate == "PEM")
    }

    @Test(arguments: ["", "{}", "hello", "[]", "{\"kind\":\"postern-join-token\"}", "\u{FEFF}{}"])
    func `another file is no token, and the error says so`(text: String) {
        let error = #expect(throws: MessageError.self) { try JoinToken(parsing: Array(text.utf8)) }
        #expect(error?.reason.hasPrefix("this is no join token: ") == true)
    }

    @Test func `one file is not taken for the other`() throws {
        let json = String(decoding: try JSON.encode(token), as: UTF8.self)
        let renamed = json.replacing("postern-join-token", with: "postern-admin")
        #expect(throws: MessageError(reason: "this file is not a join token")) {
            try JoinToken(parsing: Array(renamed.utf8))
        }
        let adminJSON = String(decoding: try JSON.encode(admin), as: UTF8.self)
        #expect(throws: MessageError(reason: "this file is not an admin file")) {
            try AdminFile(parsing: Array(adminJSON.replacing("postern-admin", with: "postern-join-token").utf8))
        }
    }

    @Test func `a file past its bound is refused unread`() {
        let long = [UInt8](repeating: UInt8(ascii: "["), count: AdminFile.maximumLength + 1)
        #expect(throws: MessageError(reason: "the join token is longer than 4096 bytes")) {
            try JoinToken(parsing: long)
        }
        #expect(throws: MessageError(reason: "the admin file is longer than 65536 bytes")) {
            try AdminFile(parsing: long)
        }
    }

    @Test(arguments: ["\"ca\":\"sha256:", "\"mesh\":\"demo", "\"expires\":1", "\"node\":\"node"])
    func `a token with a broken member names it`(part: String) throws {
        let json = String(decoding: try JSON.encode(token), as: UTF8.self)
        #expect(json.contains(part))
        let broken = json.replacing(
            part, with: part.prefix { $0 != ":" } + ":\"!\(part.hasSuffix("1") ? "\",\"x\":1" : "")")
        let error = #expect(throws: MessageError.self) { try JoinToken(parsing: Array(broken.utf8)) }
        #expect(error?.reason.contains(part.dropFirst().prefix { $0 != "\"" }) == true)
    }
}
