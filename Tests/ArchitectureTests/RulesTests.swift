import Testing

/// The rules themselves: each is shown something bad and must say so.
@Suite struct RulesTests {
    private static let manifestText = """
        let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
        let package = Package(
            name: "x",
            targets: [
                // A comment.
                .target(name: "Low", swiftSettings: strict),
                .target(
                    name: "High",
                    dependencies: [
                        "Low", crypto,
                    ],
                    swiftSettings: strict),  // a caption, with a comma
                .testTarget(name: "HighTests", dependencies: ["High"], swiftSettings: strict),
            ]
        )
        """
    private let manifest = Manifest(text: manifestText)
    private let house = House(rooms: [
        .init("Low", "it stands on nothing"),
        .init("High", ours: ["Low"], libraries: ["Crypto", "GRDB"], "it stands on Low"),
    ])

    @Test func `a manifest is read`() {
        #expect(manifest.products == ["Crypto"])
        #expect(
            manifest.targets == [
                .init(kind: "target", name: "Low", dependencies: [], isStrict: true),
                .init(kind: "target", name: "High", dependencies: ["Low", "Crypto"], isStrict: true),
                .init(kind: "testTarget", name: "HighTests", dependencies: ["High"], isStrict: true),
            ])
        #expect(Rules.dependencies(of: manifest, in: house).isEmpty)
    }

    @Test(arguments: [
        "import High", "package import High", "@preconcurrency import High", "  import struct High.Thing",
        "import Foundation; import High", "#if canImport(High)\nimport High\n#endif", "import High.Part",
        "let s = \"\\(\"a\")\"\nimport High", "/* /* */ */ import High", "import Crypto", "import Glibc",
    ])
    func `a forbidden import is found`(text: String) throws {
        let found = Rules.imports(of: [file("Sources/Low/A.swift", text)], in: house, manifest: manifest)
        let violation = try #require(found.first)
        #expect(found.count == 1)
        #expect(violation.what.hasPrefix("Low may not import "))
        #expect(violation.reason == "it stands on nothing")
    }

    @Test(arguments: [
        "// import High", "/*\nimport High\n*/", "let text = \"\"\"\n    import High\n    \"\"\"",
        "let text = #\"\" import High\"#", "import Foundation", "let `import` = High",
    ])
    func `what is no import, or is allowed, passes`(text: String) {
        #expect(Rules.imports(of: [file("Sources/Low/A.swift", text)], in: house, manifest: manifest).isEmpty)
    }

    @Test func `an import that the manifest does not declare is found`() {
        let found = Rules.imports(of: [file("Sources/High/A.swift", "import GRDB")], in: house, manifest: manifest)
        #expect(found.map(\.what) == ["High does not declare GRDB in Package.swift"])
    }

    @Test func `a target outside the table is found`() {
        let found = Rules.imports(of: [file("Sources/New/A.swift", "")], in: house, manifest: manifest)
        #expect(found.map(\.what) == ["its target has no line in the table"])
    }

    @Test(arguments: [
        (
            "\"Low\", crypto,", "\"Low\", \"Other\",",
            ["it may not depend on Other", "it depends on Other, which stands below it"]
        ),
        (
            "name: \"Low\",", "name: \"Low\", dependencies: [\"High\"],",
            ["it may not depend on High", "it depends on High, which stands below it"]
        ),
        ("name: \"High\"", "name: \"Higher\"", ["it has no line in the table", "`High` is missing"]),
    ])
    func `a manifest that gives too much is found`(part: String, instead: String, expected: [String]) {
        let changed = Manifest(text: Self.manifestText.replacing(part, with: instead))
        #expect(Rules.dependencies(of: changed, in: house).map(\.what) == expected)
    }

    @Test func `a target without the strict settings is found`() {
        let changed = Manifest(
            text: Self.manifestText.replacing("(name: \"Low\", swiftSettings: strict)", with: "(name: \"Low\")"))
        let found = Rules.settings(of: changed, files: [file("Sources/Low/A.swift", "")])
        #expect(found.map(\.what) == ["it lacks `swiftSettings: strict`"])
    }

    @Test(arguments: [
        "struct Low {", "package final class Crypto: X", "  private enum High: Int {", "public typealias Low = Int",
    ])
    func `a type with the name of a module is found`(text: String) {
        #expect(Rules.names(of: [file("Sources/Low/A.swift", text)], manifest: manifest).count == 1)
    }

    @Test(arguments: ["struct Lower {", "extension High {", "// struct Low {", "let x: Low"])
    func `another name is not taken for a module's`(text: String) {
        #expect(Rules.names(of: [file("Sources/Low/A.swift", text)], manifest: manifest).isEmpty)
    }

    @Test(arguments: [
        "import GRDB", "let q = \"SELECT a FROM b\"", "let q = \"\"\"\n  INSERT OR REPLACE INTO b VALUES (1)\n  \"\"\"",
        "f(\"DELETE FROM \\(table)\")",
    ])
    func `SQL outside the store is found`(text: String) {
        #expect(Rules.database(of: [file("Sources/PosternCoordinator/Registry.swift", text)]).count == 1)
        #expect(Rules.database(of: [file("Sources/PosternCoordinator/Store/Registry.swift", text)]).isEmpty)
    }

    @Test func `prose that sounds like SQL passes`() {
        let text = "let s = \"cannot delete from here\" // SELECT a FROM b"
        #expect(Rules.database(of: [file("Sources/High/A.swift", text)]).isEmpty)
    }

    @Test func `a file that is too long is found`() {
        let (long, fits) = (String(repeating: "\n", count: 601), String(repeating: "\n", count: 600))
        #expect(Rules.length(of: [file("Sources/Low/A.swift", long)]).count == 1)
        #expect(Rules.length(of: [file("Sources/Low/A.swift", fits)]).isEmpty)
    }

    @Test func `a word on a folder outside is found`() {
        let text = "see ../" + Rules.outsideFolder + "plan.md"
        #expect(Rules.outside(in: [("README.md", text)]).count == 1)
        #expect(Rules.outside(in: [(".ci/run", text), ("README.md", "a shared table")]).isEmpty)
    }

    @Test func `an eBPF program under one licence is found`() {
        let one = "/* SPDX-License-Identifier: Apache-2.0 */\n"
        let both = "/* \(Rules.bothLicences) */\n"
        #expect(Rules.licences(of: [("Sources/Datapath/BPF/a.bpf.c", one)]).count == 1)
        #expect(Rules.licences(of: [("Sources/Datapath/BPF/a.bpf.c", both)]).isEmpty)
    }

    private func file(_ path: String, _ text: String) -> SwiftSource { SwiftSource(path: path, text: text) }
}
