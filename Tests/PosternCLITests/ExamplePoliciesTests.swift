import Foundation
import Testing

@testable import PosternCLI

/// The schema and the example policies in `config`: each is valid, and decides as its cases say.
@Suite struct ExamplePoliciesTests {
    private static let config = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "config")

    private static func path(_ name: String) -> String { config.appending(path: "examples/\(name)").path }

    private static let names = ["first-rules", "connections", "requests", "tools", "rows", "people", "templates"]

    @Test func `the schema in config is what the program has`() async throws {
        let recorder = Recorder()
        #expect(await recorder.postern(["policy", "schema"]) == 0)
        let text = try String(contentsOf: Self.config.appending(path: "postern.cedarschema"), encoding: .utf8)
        #expect(recorder.output == text)
    }

    @Test func `every example is looked at`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.path(""))
        #expect(Set(files.filter { $0.hasSuffix(".cedar") }) == Set(Self.names.map { "\($0).cedar" }))
    }

    @Test(arguments: names)
    func `an example is valid and decides as its cases say`(name: String) async throws {
        let folder = try PolicyFolder()
        let schema = Recorder()
        #expect(await schema.postern(["policy", "schema", "--part", Self.path("orders_db.cedarschema")]) == 0)
        try folder.write(schema.output, to: "mesh.cedarschema")
        let links = name == "templates" ? ["-k", Self.path("templates.links.json")] : []
        let files = ["-p", Self.path("\(name).cedar"), "-s", folder("mesh.cedarschema")] + links
        let validation = Recorder()
        #expect(
            await validation.postern(["policy", "validate", "--deny-warnings"] + files) == 0, "\(validation.output)")
        let cases = Recorder()
        let code = await cases.postern(
            ["policy", "test", "--entities", Self.path("entities.json"), "--tests", Self.path("\(name).tests.json")]
                + files + ["--min-coverage", "75"])
        #expect(code == 0, "\(cases.output)\(cases.errors)")
        // Whatever a policy does, there is a case in which it does it.
        #expect(!cases.output.contains("its scope was never seen to hold"))
        #expect(await Recorder().postern(["policy", "format", "-p", Self.path("\(name).cedar")]) == 0)
    }

    @Test(arguments: [
        ("entity T in [Table];", "declares everything in a namespace of its own"),
        ("namespace N { action a; }", "declares no actions"),
        ("namespace N { entity T in [Table] { a: Nothing }; }", "`Nothing`"),
        ("namespace N { entity", "part.cedarschema:1:"),
    ])
    func `a catalogue that is none is refused`(text: String, message: String) async throws {
        let folder = try PolicyFolder(["part.cedarschema": text])
        let recorder = Recorder()
        #expect(await recorder.postern(["policy", "schema", "--part", folder("part.cedarschema")]) == 1)
        #expect(recorder.errors.contains(message), "\(recorder.errors)")
        #expect(recorder.output.isEmpty)
    }
}
