import CoordinationAPI
import Crypto
import Foundation
import Mesh
import Testing

@testable import PosternCLI

@Suite struct AdminTests {
    private let folder: TemporaryFolder
    private let key = P256.Signing.PrivateKey()

    init() throws { folder = try TemporaryFolder() }

    private func text(url: String = "https://127.0.0.1:1", key: String? = nil) throws -> [UInt8] {
        try JSON.encode(
            AdminFile(
                mesh: MeshDomain(unchecked: "demo.internal"), url: url, ca: "", certificate: "",
                key: key ?? self.key.pemRepresentation))
    }

    @Test(arguments: [0o644, 0o640, 0o604, 0o660, 0o606])
    func `an admin file that others can read is refused`(mode: Int) throws {
        let path = try folder.file("admin.json", try text(), mode: mode)
        #expect(throws: CommandFailure("`\(path)` holds a secret and others can read it: chmod 600 \(path)")) {
            try AdminAccess(path: path)
        }
    }

    @Test(arguments: [0o600, 0o400])
    func `an admin file that is its owner's alone is read`(mode: Int) throws {
        let path = try folder.file("admin.json", try text(), mode: mode)
        #expect(try AdminAccess(path: path).file.mesh.rawValue == "demo.internal")
    }

    @Test func `an admin file that another user could have changed is refused`() throws {
        let path = try folder.file("admin.json", try text())
        try FileManager.default.setAttributes([.ownerAccountID: 65_534], ofItemAtPath: path)
        let error = #expect(throws: CommandFailure.self) { try AdminAccess(path: path) }
        #expect(error?.message.contains("belongs to another user") == true)
    }

    @Test func `what is no file is refused`() throws {
        for path in [folder.path, "/dev/null", folder.path + "/none"] {
            #expect(throws: CommandFailure.self) { try AdminAccess(path: path) }
        }
    }

    @Test func `another content is refused with its reason`() throws {
        let cases: [([UInt8], String)] = [
            ([], "this is no admin file"), (Array("{}".utf8), "`kind` is missing"),
            (try text(url: "http://127.0.0.1:1"), "https://"), (try text(key: "PEM"), "not a P-256 key"),
            ([UInt8](repeating: 32, count: AdminFile.maximumLength + 1), "longer than"),
        ]
        for (index, (content, words)) in cases.enumerated() {
            let path = try folder.file("\(index).json", content)
            let error = #expect(throws: CommandFailure.self) { try AdminAccess(path: path) }
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
            #expect(error?.message.contains("PRIVATE KEY") == false)
        }
    }

    @Test func `the option goes before the environment, and that before the home`() throws {
        let environment = ["POSTERN_ADMIN_FILE": "/env", "HOME": "/home/ana"]
        #expect(try AdminOptions.path(option: "/opt", environment: environment) == "/opt")
        #expect(try AdminOptions.path(option: nil, environment: environment) == "/env")
        #expect(
            try AdminOptions.path(option: nil, environment: ["HOME": "/home/ana", "POSTERN_ADMIN_FILE": ""])
                == "/home/ana/.config/postern/admin.json")
        #expect(throws: CommandFailure.self) { try AdminOptions.path(option: nil, environment: [:]) }
    }

    @Test func `a change bears the admin's signature`() throws {
        let access = try AdminAccess(path: try folder.file("admin.json", try text()))
        let statement = Statement.removal(.agent(Sample.agent))
        let change = try access.sign([statement, statement], at: Sample.now)
        #expect(change.documents.count == 2)
        for envelope in change.documents {
            let document = try envelope.document(signedByOneOf: [key.publicKey], of: access.file.mesh)
            #expect(document == Document(mesh: access.file.mesh, madeAt: Sample.now, statement: statement))
            #expect(throws: EnvelopeError.unsigned) {
                try envelope.document(signedByOneOf: [P256.Signing.PrivateKey().publicKey], of: access.file.mesh)
            }
        }
    }

    @Test func `no token file is left when no token came`() async throws {
        let admin = try folder.file("admin.json", try text())
        let output = folder.path + "/join.json"
        let recorder = Recorder()
        #expect(await recorder.postern(["join-token", "create", "--output", output, "--admin-file", admin]) == 1)
        #expect(!FileManager.default.fileExists(atPath: output))
        #expect(!recorder.errors.contains("PRIVATE KEY"))
    }

    @Test func `a file that is there is not overwritten with a secret`() throws {
        let path = try folder.file("there", [1])
        let error = #expect(throws: CommandFailure.self) { _ = try SecretFile.create(path) }
        #expect(error?.message.hasSuffix("remove it, or choose another name") == true)
        let new = folder.path + "/new"
        let descriptor = try SecretFile.create(new)
        try SecretFile.write([1, 2], to: descriptor, path: new)
        close(descriptor)
        #expect(try SecretFile.read(new, upTo: 2) == [1, 2])
        #expect(throws: CommandFailure.self) { try SecretFile.read(new, upTo: 1) }
    }
}

@Suite struct PolicyFilesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func `a document has its file's name and text`() throws {
        let text = "permit (principal, action, resource);"
        let path = try folder.file("demo.cedar", text.utf8)
        #expect(try PolicyFiles.read([path]) == [PolicyDocument(name: PolicyName(unchecked: "demo.cedar"), text: text)])
    }

    @Test func `a mistake is shown with a caret`() async throws {
        let path = try folder.file("bad.cedar", "permit (principal, action, resource)\n".utf8)
        let recorder = Recorder()
        #expect(await recorder.postern(["policy", "check", path]) == 1)
        #expect(recorder.errors.hasPrefix("postern: bad.cedar:1:37: expected `;`"), "\(recorder.errors)")
        #expect(recorder.errors.contains("\n1 | permit (principal, action, resource)\n"))
        #expect(recorder.errors.contains("^"))
    }

    @Test func `what is no policy file is refused`() throws {
        let other = try TemporaryFolder()
        let twice = [try folder.file("a.cedar", [] as [UInt8]), try other.file("a.cedar", [] as [UInt8])]
        let cases: [([String], String)] = [
            ([folder.path + "/none.cedar"], "cannot read"),
            ([try folder.file("Bad Name", [] as [UInt8])], "is not a name"),
            ([try folder.file("bytes.cedar", [0xFF, 0xFE])], "UTF-8"), (twice, "two files have the name `a.cedar`"),
            (
                [try folder.file("long.cedar", [UInt8](repeating: 32, count: PolicyDocument.maximumLength + 1))],
                "is longer than"
            ),
            (["/"], "is not a name"),
        ]
        for (paths, words) in cases {
            let error = #expect(throws: CommandFailure.self) { try PolicyFiles.read(paths) }
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
        }
    }
}
