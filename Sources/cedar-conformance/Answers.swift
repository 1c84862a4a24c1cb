import Cedar
import Foundation

/// Answers questions about the language, so that it can be compared with the reference: a JSON object on each line of
/// the input, and for each a line of the output.
///
///     {"op": "authorize", "policies": …, "entities": "[…]", "schema": …, "request": {…}}  {"decision": …, …}
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
        case "authorize": return try authorize(question, policies())
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

    private static func authorize(_ question: JSON, _ policies: PolicySet) throws -> [Text: JSON] {
        let schema = try question["schema"]?.string.map { try Schema(parsing: $0) }
        let entities = question["entities"]?.string ?? "[]"
        guard let request = question["request"], let principal = request["principal"],
            let action = request["action"], let resource = request["resource"]
        else { throw CorpusError(description: "no `request`") }
        let uid = try EntityUID(action)
        let context = request["context"] ?? .object([:])
        let asked = try Request(
            principal: EntityUID(principal), action: uid, resource: EntityUID(resource),
            context: schema.map { try Context(context, $0, uid) } ?? Context(context))
        try schema?.validate(asked)
        let known =
            try schema.map { try Entities(parsingJSON: entities, schema: $0) } ?? Entities(parsingJSON: entities)
        let response = IndexedAuthorizer(policies: policies, entities: known).decide(asked).response
        return [
            "decision": .string(response.decision == .allow ? "allow" : "deny"),
            "reason": .array(response.determining.map { .string(Text($0.id)) }),
            "errors": .array(response.errors.map { .string(Text($0.policy)) }),
        ]
    }
}
