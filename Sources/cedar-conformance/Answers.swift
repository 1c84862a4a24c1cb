import Cedar
import Foundation

/// Answers questions about the language, so that it can be compared with the reference: a JSON object on each line of
/// the input, and for each a line of the output.
///
///     {"op": "authorize", "policies": …, "links": […], "entities": "[…]", "schema": …,
///      "requests": [{…}]}                                                       {"json": …, "answers": [{"decision": …}]}
///     {"op": "validate", "policies": …, "schema": …, "level": 1}                          {"validates": …, "errors": […]}
///     {"op": "schema", "schema": …}                                                       {"text": …, "json": …}
///     {"op": "format", "policies": …}      {"op": "to-json", "policies": …}      {"op": "from-json", "json": …}
enum Answers {
    static func run() {
        while let line = readLine() { FileHandle.standardOutput.write(Data("\(answer(line))\n".utf8)) }
    }

    private static func answer(_ line: String) -> JSON {
        do {
            let question = try JSON(parsing: line, maximumDepth: 2_000)
            return .object(try answer(question))
        } catch { return .object(["error": .string(Text("\(error)"))]) }
    }

    private static func answer(_ question: JSON) throws -> [Text: JSON] {
        func text(_ name: Text) throws -> String {
            guard let text = question[name]?.string else { throw CorpusError(description: "no `\(name)`") }
            return text
        }
        func policies() throws -> PolicySet {
            try PolicySet(parsing: text("policies"), naming: .place, allowingTemplates: true)
        }
        switch question["op"]?.string {
        case "authorize": return try authorize(question, linked(policies(), question["links"]))
        case "validate":
            let isPermissive = question["mode"]?.string == "permissive"
            let level: Int? = if case .number(let level)? = question["level"] { Int(level) } else { nil }
            let validator = try Validator(
                schema: Schema(parsing: text("schema")), mode: isPermissive ? .permissive : .strict)
            let result = try validator.validate(policies(), level: level)
            return [
                "validates": .bool(result.isValid), "errors": .array(result.errors.map { .string(Text("\($0)")) }),
                "warnings": .array(result.warnings.map { .string(Text("\($0)")) }),
            ]
        case "schema":
            let fragment =
                question["json"] == nil
                ? try SchemaFragment(parsing: text("schema")) : try SchemaFragment(parsingJSON: text("json"))
            _ = try Schema(fragment)
            return ["text": .string(Text(try fragment.text)), "json": .string(Text(fragment.json))]
        case "format": return ["text": .string(Text(try PolicyFormatter().format(text("policies"))))]
        case "to-json": return ["json": .string(Text(try policies().json))]
        case "from-json":
            let set = try PolicySet(parsingJSON: text("json"))
            return ["text": .string(Text(set.policies.map(\.description).joined(separator: "\n")))]
        default: throw CorpusError(description: "no such `op`")
        }
    }

    /// The set with the policies that links make of its templates: `{"template", "id", "values": {"?principal": {…}}}`.
    private static func linked(_ policies: PolicySet, _ links: JSON?) throws -> PolicySet {
        try links?.members("the links").reduce(policies) { set, link in
            guard let template = link["template"]?.string, let id = link["id"]?.string else {
                throw CorpusError(description: "a link has a `template` and an `id`")
            }
            var values: [Slot: EntityUID] = [:]
            for slot in [Slot.principal, .resource] {
                values[slot] = try link["values"]?[Text(slot.rawValue)].map { try EntityUID($0) }
            }
            return try set.linking(template, as: id, values)
        } ?? policies
    }

    /// Each request has an answer or an error of its own; the set is answered in JSON too.
    private static func authorize(_ question: JSON, _ policies: PolicySet) throws -> [Text: JSON] {
        let schema = try question["schema"]?.string.map { try Schema(parsing: $0) }
        let text = question["entities"]?.string ?? "[]"
        let entities =
            try schema.map { try Entities(parsingJSON: text, schema: $0) } ?? Entities(parsingJSON: text)
        let judges = Judges(policies, entities)
        let answers = try question["requests"]?.members("the requests").map { request -> JSON in
            do { return .object(try judges.answer(self.request(request, schema))) } catch {
                return .object(["error": .string(Text("\(error)"))])
            }
        }
        return ["json": .string(Text(policies.json)), "answers": .array(answers ?? [])]
    }

    private static func request(_ json: JSON, _ schema: Schema?) throws -> Request {
        guard let principal = json["principal"], let action = json["action"], let resource = json["resource"]
        else { throw CorpusError(description: "a request has a `principal`, an `action` and a `resource`") }
        let uid = try EntityUID(action)
        let context = json["context"] ?? .object([:])
        let request = try Request(
            principal: EntityUID(principal), action: uid, resource: EntityUID(resource),
            context: schema.map { try Context(context, $0, uid) } ?? Context(context))
        try schema?.validate(request)
        return request
    }
}

/// Both evaluators, which must always agree: the indexed one, and the plain one that is its model.
struct Judges {
    private let indexed: IndexedAuthorizer
    private let plain: Authorizer

    init(_ policies: PolicySet, _ entities: Entities) {
        indexed = IndexedAuthorizer(policies: policies, entities: entities)
        plain = Authorizer(policies: policies, entities: entities)
    }

    func decide(_ request: Request) throws -> Response {
        let response = indexed.decide(request).response
        guard response == plain.authorize(request) else {
            throw CorpusError(description: "the indexed evaluator and its model disagree")
        }
        return response
    }

    func answer(_ request: Request) throws -> [Text: JSON] {
        let response = try decide(request)
        return [
            "decision": .string(response.decision == .allow ? "allow" : "deny"),
            "reason": .array(response.determining.map { .string(Text($0.id)) }),
            "errors": .array(response.errors.map { .string(Text($0.policy)) }),
        ]
    }
}
