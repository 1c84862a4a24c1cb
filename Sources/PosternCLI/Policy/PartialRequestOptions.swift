import ArgumentParser
import Cedar

/// A request of which parts may be left out: by the flags of the reference's `tpe`, or those of a whole request.
struct PartialRequestOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The type of the principal, such as User.", valueName: "type"))
    var principalType: String?

    @Option(help: ArgumentHelp("The id of the principal, if it is known.", valueName: "id"))
    var principalEid: String?

    @Option(help: ArgumentHelp("The type of the resource, such as Doc.", valueName: "type"))
    var resourceType: String?

    @Option(help: ArgumentHelp("The id of the resource, if it is known.", valueName: "id"))
    var resourceEid: String?

    @Option(
        name: [.customShort("l"), .customLong("principal")],
        help: ArgumentHelp("Type and id of the principal at once.", valueName: "entity"))
    var principal: String?

    @Option(
        name: [.customShort("a"), .customLong("action")],
        help: ArgumentHelp("What is asked for, such as 'Action::\"view\"'.", valueName: "entity"))
    var action: String?

    @Option(
        name: [.customShort("r"), .customLong("resource")],
        help: ArgumentHelp("Type and id of the resource at once.", valueName: "entity"))
    var resource: String?

    @Option(
        name: [.customShort("c"), .customLong("context")],
        help: ArgumentHelp(
            "File with the context, a JSON object; without it nothing is known of it.", valueName: "file")
    )
    var contextFile: String?

    @Flag(help: "The context has only what is known of it; there may be more.")
    var contextIsPartial = false

    @Option(
        name: .customLong("request-json"),
        help: ArgumentHelp(
            """
            File with the request: an object with "action", "principal_type", "resource_type", and what is known of \
            "principal_eid", "resource_eid" and "context".
            """, valueName: "file"))
    var requestFile: String?

    /// What is known, of which types.
    struct Question {
        let principal: EntityType
        let action: EntityUID
        let resource: EntityType
        let request: PartialRequest
    }

    private struct Parts {
        var principal: (type: String?, id: String?) = (nil, nil)
        var resource: (type: String?, id: String?) = (nil, nil)
        var action: String?
        var context: RequestParts?
    }

    func load(_ schema: Schema) throws(CommandFailure) -> Question {
        let parts = if let requestFile { try read(requestFile) } else { try typed() }
        guard let text = parts.action else { throw CommandFailure("say what is asked for, with --action") }
        let action = try SourceText(argument: text, of: "--action").entity("action")
        let definition = schema.actions[action]
        let principal = try type(parts.principal.type, of: "principal", definition?.principals)
        let resource = try type(parts.resource.type, of: "resource", definition?.resources)
        let context = try context(parts.context, schema, action, principal, resource)
        return Question(
            principal: principal, action: action, resource: resource,
            request: PartialRequest(principal: parts.principal.id, resource: parts.resource.id, context: context))
    }

    private func context(
        _ parts: RequestParts?, _ schema: Schema, _ action: EntityUID, _ principal: EntityType, _ resource: EntityType
    ) throws(CommandFailure) -> Context {
        guard let parts else { return Context(isPartial: true) }
        var context = try parts.context(schema, action: action)
        context.isPartial = contextIsPartial
        guard !contextIsPartial, let definition = schema.actions[action],
            !Value.record(context.attributes).conforms(to: .record(definition.context))
        else { return context }
        throw CommandFailure(
            "\(parts.origin): the context is not that of `\(action)`: \(definition.context) is, or say --context-is-partial"
        )
    }

    /// The type that was said, or the only one there is.
    private func type(
        _ text: String?, of variable: String, _ possible: [EntityType]?
    ) throws(CommandFailure) -> EntityType {
        if let text {
            do { return try EntityType(parsing: text) } catch {
                throw SourceText(argument: text, of: "--\(variable)-type").failure(error)
            }
        }
        guard let possible, possible.count == 1, let only = possible.first else {
            throw CommandFailure("say of which type the \(variable) is, with --\(variable)-type")
        }
        return only
    }
}

// MARK: - How it is written

extension PartialRequestOptions {
    private func typed() throws(CommandFailure) -> Parts {
        var parts = Parts(
            principal: (principalType, principalEid), resource: (resourceType, resourceEid), action: action)
        if let principal {
            let uid = try SourceText(argument: principal, of: "--principal").entity("principal")
            parts.principal = (uid.type.name, uid.id)
        }
        if let resource {
            let uid = try SourceText(argument: resource, of: "--resource").entity("resource")
            parts.resource = (uid.type.name, uid.id)
        }
        if let contextFile {
            let source = try SourceText(of: contextFile, what: "context")
            var context = RequestParts()
            do { context.context = try JSON(parsing: source.text) } catch { throw source.failure(error) }
            context.origin = contextFile
            parts.context = context
        }
        return parts
    }

    private func read(_ path: String) throws(CommandFailure) -> Parts {
        let source = try SourceText(of: path, what: "request")
        do throws(JSONError) {
            let json = try JSON(parsing: source.text)
            let fields = try json.fields("a request")
            func text(_ name: Text) throws(JSONError) -> String? {
                switch fields[name] {
                case nil, .null: return nil
                case .string(let text): return text.string
                default: throw JSONError("`\(name)` of a request is a string")
                }
            }
            var parts = Parts(
                principal: (try text("principal_type"), try text("principal_eid")),
                resource: (try text("resource_type"), try text("resource_eid")), action: try text("action"))
            if fields["context"] != nil, fields["context"] != .null {
                var context = RequestParts()
                (context.context, context.origin) = (fields["context"], path)
                parts.context = context
            }
            return parts
        } catch { throw source.failure(error) }
    }
}
