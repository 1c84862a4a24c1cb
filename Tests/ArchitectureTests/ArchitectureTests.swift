import Testing

/// The house as it stands, held against its rules.
@Suite struct ArchitectureTests {
    private let files: [SwiftSource]
    private let manifest: Manifest
    /// Read once: there is much of it.
    private static let read = Result { try Repository.sources() }

    init() throws {
        files = try Self.read.get()
        manifest = Manifest(text: try Repository.text("Package.swift"))
    }

    @Test func `there is something to check`() {
        #expect(files.count > 50)
        #expect(manifest.targets.count > 20)
        #expect(manifest.products.contains("Crypto"))
    }

    @Test func `each import stands in the table`() {
        expectNone(Rules.imports(of: files, in: .postern, manifest: manifest))
    }

    @Test func `the manifest gives no target more than the table`() {
        expectNone(Rules.dependencies(of: manifest, in: .postern))
    }

    @Test func `every Swift target is strict`() {
        expectNone(Rules.settings(of: manifest, files: files))
    }

    @Test func `no type has the name of a module`() {
        expectNone(Rules.names(of: files, manifest: manifest))
    }

    @Test func `SQL is in the store only`() {
        expectNone(Rules.database(of: files))
    }

    @Test func `no file is too long to read`() {
        expectNone(Rules.length(of: files))
    }

    @Test func `the repository speaks of nothing outside it`() throws {
        expectNone(Rules.outside(in: try Repository.everything()))
    }

    @Test func `the eBPF programs name both licences`() throws {
        let programs = try Repository.programs()
        #expect(!programs.isEmpty)
        expectNone(Rules.licences(of: programs))
    }

    private func expectNone(_ violations: [Violation]) {
        for violation in violations { Issue.record("\(violation)") }
    }
}
