import ArgumentParser
import Cedar

/// What is asked, by the flags of Cedar's own command line.
struct RequestOptions: ParsableArguments {
    @Option(
        name: [.customShort("l"), .customLong("principal")],
        help: ArgumentHelp("Who asks, such as 'User::\"alice\"'.", valueName: "entity"))
    var principal: String?

    @Option(
        name: [.customShort("a"), .customLong("action")],
        help: ArgumentHelp("What for, such as 'Action::\"view\"'.", valueName: "entity"))
    var action: String?

    @Option(
        name: [.customShort("r"), .customLong("resource")],
        help: ArgumentHelp("Of what, such as 'Photo::\"p.jpg\"'.", valueName: "entity"))
    var resource: String?

    @Option(
        name: [.customShort("c"), .customLong("context")],
        help: ArgumentHelp("File with the context, a JSON object.", valueName: "file"))
    var contextFile: String?

    @Option(
        name: .customLong("request-json"),
        help: ArgumentHelp(
            "File with the whole request: an object with \"principal\", \"action\", \"resource\" and \"context\".",
            valueName: "file"))
    var requestFile: String?

    @Option(help: "Whether the request must fit the schema, if there is one.")
    var requestValidation = true

    func validate() throws {
        guard requestFile == nil || [principal, action, resource, contextFile].allSatisfy({ $0 == nil }) else {
            throw ArgumentParser.ValidationError(
                "--request-json has the whole request: leave the other flags of it out")
        }
    }

    var parts: RequestParts {
        get throws(CommandFailure) {
            guard let requestFile else {
                var parts = RequestParts()
                if let principal { parts.principal = SourceText(argument: principal, of: "--principal") }
                if let action { parts.action = SourceText(argument: action, of: "--action") }
                if let resource { parts.resource = SourceText(argument: resource, of: "--resource") }
                if let contextFile {
                    let source = try SourceText(of: contextFile, what: "context")
                    do { parts.context = try JSON(parsing: source.text) } catch { throw source.failure(error) }
                    parts.origin = contextFile
                }
                return parts
            }
            let source = try SourceText(of: requestFile, what: "request")
            do throws(JSONError) {
                return try RequestParts(JSON(parsing: source.text), origin: requestFile)
            } catch { throw source.failure(error) }
        }
    }

    func load(_ schema: Schema?) throws(CommandFailure) -> Request {
        try parts.request(schema, validating: requestValidation)
    }
}

/// A request as it was written, its parts not read yet.
struct RequestParts {
    var principal: SourceText?
    var action: SourceText?
    var resource: SourceText?
    var context: JSON?
    /// Where it was written.
    var origin = "the command line"

    init() {}

    /// `{"principal": "User::\"a\"", "action": …, "resource": …, "context": {…}}`
    init(_ json: JSON, origin: String) throws(JSONError) {
        let fields = try json.fields("a request")
        func entity(_ name: Text) throws(JSONError) -> SourceText? {
            switch fields[name] {
            case nil, .null: nil
            case .string(let text): SourceText(argument: text.string, of: "\(origin): \(name)")
            case .some(let other): SourceText(argument: "\(try EntityUID(other))", of: "\(origin): \(name)")
            }
        }
        self.origin = origin
        principal = try entity("principal")
        action = try entity("action")
        resource = try entity("resource")
        context = fields["context"]
    }

    func request(_ schema: Schema?, validating: Bool = true) throws(CommandFailure) -> Request {
        guard let principal, let action, let resource else {
            throw CommandFailure("a request has a principal, an action and a resource: say all three")
        }
        let request = try Request(
            principal: principal.entity("principal"), action: action.entity("action"),
            resource: resource.entity("resource"), context: context(schema, action: action.entity("action")))
        guard validating, let schema else { return request }
        do { try schema.validate(request) } catch {
            throw CommandFailure("\(origin): the request does not fit the schema: \(error)")
        }
        return request
    }

    /// Read as the schema says, if there is one.
    func context(_ schema: Schema?, action: EntityUID) throws(CommandFailure) -> Context {
        guard let context else { return Context() }
        do throws(JSONError) {
            return if let schema { try Context(context, schema, action) } else { try Context(context) }
        } catch { throw CommandFailure("\(origin): \(error)") }
    }
}
