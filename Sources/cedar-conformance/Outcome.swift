import Cedar

/// What came of one case: the lines of the results, and where they are not what the case expects.
struct Outcome {
    private(set) var lines: [String] = []
    private(set) var failures: [String] = []
    private let label: Text

    init(of name: Corpus.Name, in corpus: Corpus) {
        label = Text(name.label)
        do { try run(name, corpus) } catch { failures.append("\(error)") }
    }

    private mutating func run(_ name: Corpus.Name, _ corpus: Corpus) throws {
        let json = try JSON(parsing: corpus.read(name.path))
        func file(_ field: Text) throws -> String {
            guard let path = json[field]?.string else { throw CorpusError(description: "the case names no \(field)") }
            return try corpus.read(path, namedBy: name)
        }
        let policies = try PolicySet(parsing: file("policies"), naming: .place, allowingTemplates: true)
        let isJSON = json["schema"]?.string?.hasSuffix(".json") == true
        let schema = try isJSON ? Schema(parsingJSON: file("schema")) : Schema(parsing: file("schema"))
        validate(policies, schema, expected: json["shouldValidate"]?.bool)

        let entities = try Entities(parsingJSON: file("entities"), schema: schema)
        let judges = Judges(policies, entities)
        let requests = try json["requests"]?.members("the requests") ?? []
        for (number, request) in requests.enumerated() {
            do {
                let response = try judges.decide(self.request(request, schema))
                report(response, number, expected: request)
            } catch { failures.append("request \(number): \(error)") }
        }
    }

    private mutating func validate(_ policies: PolicySet, _ schema: Schema, expected: Bool?) {
        let result = Validator(schema: schema).validate(policies)
        write(["validates": .bool(result.isValid)])
        guard let expected, expected != result.isValid else { return }
        let reasons = result.errors.prefix(3).map(\.description).joined(separator: "; ")
        failures.append(expected ? "should validate, but \(reasons)" : "validates, but should not")
    }

    private func request(_ json: JSON, _ schema: Schema) throws -> Request {
        guard let principal = json["principal"], let action = json["action"], let resource = json["resource"] else {
            throw CorpusError(description: "has no `principal`, `action` or `resource`")
        }
        let uid = try EntityUID(action)
        let context = json["context"] ?? .object([:])
        let isValidated = json["validateRequest"]?.bool ?? true
        let request = try Request(
            principal: EntityUID(principal), action: uid, resource: EntityUID(resource),
            context: isValidated ? Context(context, schema, uid) : Context(context))
        if isValidated { try schema.validate(request) }
        return request
    }

    private mutating func report(_ response: Response, _ number: Int, expected: JSON) {
        let decision = response.decision == .allow ? "allow" : "deny"
        let reasons = response.determining.map(\.id)
        let errors = response.errors.map(\.policy)
        write([
            "request": .number(Int64(number)), "decision": .string(Text(decision)),
            "reason": .array(reasons.map { .string(Text($0)) }), "errors": .array(errors.map { .string(Text($0)) }),
        ])
        func compare(_ what: String, _ found: String, _ wanted: String) {
            if found != wanted { failures.append("request \(number): \(what) \(found), expected \(wanted)") }
        }
        if let wanted = expected["decision"]?.string { compare("decision", decision, wanted.lowercased()) }
        if let wanted = expected["reason"]?.strings {
            compare("reason", "\(Set(reasons).sorted())", "\(wanted.sorted())")
        }
        if let wanted = expected["errors"]?.strings {
            compare("errors", "\(Set(errors).sorted())", "\(wanted.sorted())")
        }
    }

    private mutating func write(_ fields: [Text: JSON]) {
        var fields = fields
        fields["case"] = .string(label)
        lines.append(JSON.object(fields).description)
    }
}
