import Foundation
import Testing

@testable import Cedar

/// The conformance cases of the language, where the environment variable `CEDAR_CORPUS` names a folder that has them,
/// unpacked or as archives. They are no part of the project.
@Suite(.enabled(if: Corpus.named != nil)) struct CorpusTests {
    @Test func `decisions, reasons, errors and validation are those of the reference`() throws {
        let corpus = try Corpus()
        defer { corpus.remove() }
        let cases = try corpus.cases()
        #expect(!cases.isEmpty)
        var requests = 0
        for name in cases {
            requests += try corpus.run(name)
            try corpus.compareSchema(name)
        }
        print("corpus: \(requests) requests of \(cases.count) cases")
    }
}

private struct Corpus {
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

    /// The schemas of the generated cases were printed by the reference.
    func compareSchema(_ name: String) throws {
        let path = try JSON(parsing: text(name)).string("schema")
        guard path.hasPrefix("corpus-tests/") else { return }
        let printed = try text(path)
        let fragment = try SchemaFragment(parsing: printed)
        let ours = try fragment.text
        let (lines, expected) = (ours.split(separator: "\n"), printed.split(separator: "\n"))
        let difference = zip(lines, expected).first { $0 != $1 }
        #expect(difference == nil && lines.count == expected.count, "\(path): \(String(describing: difference))")
        #expect(try SchemaFragment(parsingJSON: fragment.json) == fragment, "\(path)")
    }

    /// - Returns: how many requests there were.
    func run(_ name: String) throws -> Int {
        let json = try JSON(parsing: text(name))
        let policies = try PolicySet(parsing: text(json.string("policies")), naming: .place, allowingTemplates: true)
        let schema = try Schema(parsing: text(json.string("schema")))
        let entities = try Entities(parsingJSON: text(json.string("entities")), schema: schema)
        let validation = Validator(schema: schema).validate(policies)
        #expect(validation.isValid == (json.field("shouldValidate") == .bool(true)), "\(name): \(validation.errors)")
        let requests = try #require(json.field("requests")).members("requests")
        for request in requests {
            let context = try #require(request.field("context"))
            let action = try EntityUID(try #require(request.field("action")))
            let isValidated = request.field("validateRequest") != .bool(false)
            let asked = Request(
                principal: try EntityUID(try #require(request.field("principal"))), action: action,
                resource: try EntityUID(try #require(request.field("resource"))),
                context: try isValidated ? Context(context, schema, action) : Context(context))
            if isValidated { try schema.validate(asked) }
            let response = Authorizer(policies: policies, entities: entities).authorize(asked)
            let indexed = IndexedAuthorizer(policies: policies, entities: entities).decide(asked).response
            let comment = Comment(rawValue: "\(name): \(try request.string("description"))")
            #expect(response.decision == (try request.string("decision") == "allow" ? .allow : .deny), comment)
            #expect(Set(response.determining.map(\.id)) == (try request.strings("reason")), comment)
            #expect(Set(response.errors.map(\.policy)) == (try request.strings("errors")), comment)
            #expect(indexed == response, comment)
            if validation.isValid, isValidated { try ask(asked, inPart: policies, schema, entities, response, comment) }
        }
        return requests.count
    }

    /// With any part of a request unknown at first, the answer is the same in the end.
    private func ask(
        _ request: Request, inPart policies: PolicySet, _ schema: Schema, _ entities: Entities, _ whole: Response,
        _ comment: Comment
    ) throws {
        let authorizer = try PartialAuthorizer(
            policies: policies, schema: schema, principal: request.principal.type, action: request.action,
            resource: request.resource.type)
        for mask in 1..<8 {
            let partial = PartialRequest(
                principal: mask & 1 == 0 ? request.principal.id : nil,
                resource: mask & 2 == 0 ? request.resource.id : nil,
                context: mask & 4 == 0 ? request.context : Context(isPartial: true))
            let response = authorizer.authorize(partial, in: entities)
            #expect(response.decision == nil || response.decision == whole.decision, comment)
            let answer = response.reauthorize(request, in: entities)
            #expect(answer.decision == whole.decision, comment)
            #expect(answer.determining == Set(whole.determining.map(\.id)), comment)
            #expect(answer.failing == Set(whole.errors.map(\.policy)), comment)
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
