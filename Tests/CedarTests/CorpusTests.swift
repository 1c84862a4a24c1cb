import Foundation
import Testing

@testable import Cedar

/// The conformance cases of the language, where the environment variable `CEDAR_CORPUS` names a folder that has them,
/// unpacked or as archives. They are no part of the project.
@Suite(.enabled(if: Corpus.named != nil)) struct CorpusTests {
    @Test func `decisions, reasons and errors are those of the reference`() throws {
        let corpus = try Corpus()
        defer { corpus.remove() }
        let cases = try corpus.cases()
        #expect(!cases.isEmpty)
        var tally = Corpus.Tally()
        for name in cases { try corpus.run(name, &tally) }
        print(
            "corpus: \(tally.requests) requests of \(cases.count - tally.needSchema) cases agree,",
            "\(tally.needSchema) cases need their schema to be read")
    }
}

private struct Corpus {
    struct Tally {
        var requests = 0
        var needSchema = 0
    }

    static let named = ProcessInfo.processInfo.environment["CEDAR_CORPUS"]

    private let folder: String
    /// Where archives were unpacked to.
    private let temporary: String?

    init() throws {
        let named = try #require(Self.named)
        let archives = try FileManager.default.contentsOfDirectory(atPath: named).filter { $0.hasSuffix(".tar.xz") }
        guard !archives.isEmpty else {
            (folder, temporary) = (named, nil)
            return
        }
        let unpacked = NSTemporaryDirectory() + "cedar-corpus-\(UUID())"
        try FileManager.default.createDirectory(atPath: unpacked, withIntermediateDirectories: true)
        (folder, temporary) = (unpacked, unpacked)
        for archive in archives {
            let tar = Process()
            tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            tar.arguments = ["tar", "-xJf", "\(named)/\(archive)", "-C", unpacked]
            try tar.run()
            tar.waitUntilExit()
            #expect(tar.terminationStatus == 0, "cannot unpack \(archive)")
        }
    }

    func remove() {
        if let temporary { try? FileManager.default.removeItem(atPath: temporary) }
    }

    /// Paths of the cases, from the folder.
    func cases() throws -> [String] {
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return try files.filter { $0.hasSuffix(".json") && !$0.hasSuffix(".entities.json") }.sorted().filter {
            try JSON(parsing: text($0)).field("requests") != nil
        }
    }

    func run(_ name: String, _ tally: inout Tally) throws {
        let json = try JSON(parsing: text(name))
        let policies = try PolicySet(parsing: text(json.string("policies")))
        let entitiesText = try text(json.string("entities"))
        // Without the schema such an entity would be a record.
        if Self.needsSchema(try JSON(parsing: entitiesText)) {
            tally.needSchema += 1
            return
        }
        let entities = try Entities(parsingJSON: entitiesText)
        for request in try #require(json.field("requests")).members("requests") {
            let context = try #require(request.field("context"))
            let asked = Request(
                principal: try EntityUID(try #require(request.field("principal"))),
                action: try EntityUID(try #require(request.field("action"))),
                resource: try EntityUID(try #require(request.field("resource"))),
                context: Context(try Value.fields(of: context, "the context")))
            let response = Authorizer(policies: policies, entities: entities).authorize(asked)
            let comment = Comment(rawValue: "\(name): \(try request.string("description"))")
            #expect(response.decision == (try request.string("decision") == "allow" ? .allow : .deny), comment)
            #expect(Set(response.determining.map(\.id)) == (try request.strings("reason")), comment)
            #expect(Set(response.errors.map(\.policy)) == (try request.strings("errors")), comment)
            tally.requests += 1
        }
    }

    /// Whether an entity is named without `__entity`, or an extension value without `__extn`, in an attribute.
    private static func needsSchema(_ json: JSON) -> Bool {
        guard case .array(let entities) = json else { return false }
        return entities.contains { entity in
            [entity.field("attrs"), entity.field("tags")].contains { $0.map(hasBareEntity) ?? false }
        }
    }

    private static func hasBareEntity(_ json: JSON) -> Bool {
        switch json {
        case .array(let members): members.contains(where: hasBareEntity)
        case .object(let fields) where Set(fields.keys) == ["type", "id"]: true
        case .object(let fields): fields["__entity"] == nil && fields.values.contains(where: hasBareEntity)
        default: false
        }
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: folder + "/" + path, encoding: .utf8)
    }
}

extension JSON {
    fileprivate func field(_ name: Text) -> JSON? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    fileprivate func string(_ name: Text) throws -> String {
        guard case .string(let text)? = field(name) else { throw JSONError("no string `\(name)`") }
        return text.string
    }

    fileprivate func strings(_ name: Text) throws -> Set<String> {
        Set(
            try field(name)?.members("ids").map { id in
                guard case .string(let text) = id else { throw JSONError("no id") }
                return text.string
            } ?? [])
    }
}
