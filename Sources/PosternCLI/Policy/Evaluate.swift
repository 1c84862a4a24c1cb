import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy evaluate`
    struct Evaluate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what an expression of the language evaluates to.",
            discussion: """
                A request is needed only for what the expression asks of it.

                Examples:
                  postern policy evaluate '1 + 2 * 3'
                  postern policy evaluate 'principal in Group::"staff"' -l 'User::"ann"' --entities e.json
                  postern policy evaluate 'context.at.toTime() < duration("17h")' -c context.json -s s.cedarschema -a \
                'Action::"view"'
                """)

        @OptionGroup var request: RequestOptions
        @OptionGroup var schema: SchemaOptions
        @OptionGroup var entities: EntitiesOptions

        @Flag(help: "Print JSON.")
        var json = false

        @Argument(help: "The expression.")
        var expression: String

        func run() throws {
            let schema = try schema.load()
            let source = SourceText(argument: expression, of: "expression")
            let parsed: Cedar.Expression
            do { parsed = try Cedar.Expression(parsing: expression) } catch { throw source.failure(error) }
            let request = try completed(for: parsed, schema)
            let entities = try entities.load(schema)
            do throws(EvaluationError) {
                let value = try parsed.value(for: request, in: entities)
                Terminal.current.print(json ? value.json.pretty : "\n\(value.printed)")
            } catch {
                throw CommandFailure(source.place("cannot evaluate: \(error.reason)", at: error.range))
            }
        }

        /// A request that lacks only what nobody asks for.
        private func completed(for expression: Cedar.Expression, _ schema: Schema?) throws(CommandFailure) -> Request {
            var parts = try request.parts
            var asked: Set<Cedar.Expression.Variable> = []
            expression.visit { if case .variable(let variable) = $0.kind { asked.insert(variable) } }
            let isWhole = parts.principal != nil && parts.action != nil && parts.resource != nil
            func filled(_ part: SourceText?, _ variable: Cedar.Expression.Variable) throws(CommandFailure) -> SourceText
            {
                if let part { return part }
                guard !asked.contains(variable) else {
                    throw CommandFailure(
                        "the expression asks for `\(variable.rawValue)`: say it with --\(variable.rawValue)")
                }
                return SourceText(argument: "Unasked::\"\"", of: "--\(variable.rawValue)")
            }
            let hasAction = parts.action != nil
            parts.principal = try filled(parts.principal, .principal)
            parts.action = try filled(parts.action, .action)
            parts.resource = try filled(parts.resource, .resource)
            // Only an action says what its context is made of.
            return try parts.request(hasAction ? schema : nil, validating: isWhole && request.requestValidation)
        }
    }
}

extension Value {
    /// As the reference prints results: every key of a record in quotes.
    var printed: String {
        switch self {
        case .set(let members): "[\(members.map(\.printed).sorted().joined(separator: ", "))]"
        case .record(let fields):
            "{\(fields.sorted { $0.key < $1.key }.map { "\(Value.string($0.key)): \($0.value.printed)" }.joined(separator: ", "))}"
        default: description
        }
    }

    /// In the JSON of entities and contexts.
    var json: JSON {
        switch self {
        case .bool(let bool): .bool(bool)
        case .long(let long): .number(long)
        case .string(let text): .string(text)
        case .entity(let uid):
            .object(["__entity": .object(["type": .string(Text(uid.type.name)), "id": .string(Text(uid.id))])])
        case .set(let members): .array(members.sorted { $0.description < $1.description }.map(\.json))
        case .record(let fields): .object(fields.mapValues(\.json))
        case .decimal(let decimal): Self.call("decimal", "\(decimal)")
        case .ip(let address): Self.call("ip", "\(address)")
        case .duration(let duration): Self.call("duration", "\(duration)")
        case .datetime(let datetime): Self.call("datetime", "\(datetime)")
        }
    }

    private static func call(_ function: Text, _ argument: String) -> JSON {
        .object(["__extn": .object(["fn": .string(function), "arg": .string(Text(argument))])])
    }
}
