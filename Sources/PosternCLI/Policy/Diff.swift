import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy diff`
    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show requests that one set of policies decides otherwise than another.",
            discussion: """
                Asks both for whatever the schema allows between the given entities, where a policy that changed may \
                speak; contexts are made of what these policies compare with. What is shown is true, but there may be \
                changes that no example was found for.

                Example:
                  postern policy diff old.cedar new.cedar -s config/postern.cedarschema --entities e.json --fail-on-change
                """)

        @Argument(help: "File with the policies as they were; in JSON if it is named so.")
        var old: String

        @Argument(help: "File with the policies as they will be.")
        var new: String

        @OptionGroup var schema: SchemaOptions

        @Option(
            name: .customLong("entities"), help: ArgumentHelp("File with the entities, in JSON.", valueName: "file"))
        var entitiesFile: String

        @Option(help: "How many examples to show.")
        var limit = 20

        @Flag(help: "Exit with 3 if a decision changes.")
        var failOnChange = false

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let schema = try schema.required()
            let (before, after) = (try read(old), try read(new))
            let source = try SourceText(of: entitiesFile, what: "entities")
            let entities = try EntitiesOptions.read(source, schema)
            let comparison = PolicyComparison(
                old: Authorizer(policies: before, entities: entities),
                new: Authorizer(policies: after, entities: entities), schema: schema, listed: try uids(in: source))
            let result = comparison.run()
            Terminal.current.print(json ? result.json(limit).pretty : result.text(limit))
            if failOnChange, !result.changes.isEmpty { throw ExitStatus.invalid }
        }

        private func read(_ path: String) throws(CommandFailure) -> PolicySet {
            let format: PoliciesOptions.Format = path.hasSuffix(".json") ? .json : .cedar
            return try PoliciesOptions.read(SourceText(of: path, what: "policies"), format)
        }

        private func uids(in source: SourceText) throws(CommandFailure) -> [EntityUID] {
            do throws(JSONError) {
                var uids: [EntityUID] = []
                for entity in try JSON(parsing: source.text).members("the entities") {
                    if let uid = try entity.fields("an entity")["uid"] { uids.append(try EntityUID(uid)) }
                }
                return uids.sorted()
            } catch { throw source.failure(error) }
        }
    }
}

/// Two sets of policies, asked the same.
struct PolicyComparison {
    /// One kind of request whose decision changes.
    struct Change {
        let request: Request
        let old: Response
        let new: Response
    }

    struct Result {
        var changes: [Change] = []
        var asked = 0
        /// Whether there was more to ask than there was time for.
        var isCut = false
    }

    static let maximumRequests = 100_000

    let old: Authorizer
    let new: Authorizer
    let schema: Schema
    /// The entities there are, in order.
    let listed: [EntityUID]

    /// Asks until a change is found for each principal, action and resource, or there is nothing left to ask.
    func run() -> Result {
        var result = Result()
        let changed = Self.changed(old.policies, new.policies) + Self.changed(new.policies, old.policies)
        guard !changed.isEmpty else { return result }
        let byType = Dictionary(grouping: listed, by: \.type)
        for action in schema.sortedActions {
            let policies = changed.filter { $0.scope.action.matches(action.uid, in: new.entities) }
            guard !policies.isEmpty else { continue }
            let others = new.policies.policies.filter { $0.scope.action.matches(action.uid, in: new.entities) }
            let contexts = ExampleContexts(policies: policies, entities: byType)
                .contexts(of: action.context, among: ExampleContexts(policies: others, entities: byType))
            for principal in action.principals.flatMap({ byType[$0] ?? [] }) {
                for resource in action.resources.flatMap({ byType[$0] ?? [] }) {
                    let first = Request(principal: principal, action: action.uid, resource: resource)
                    guard policies.contains(where: { $0.scope.matches(first, in: new.entities) }) else { continue }
                    guard result.asked < Self.maximumRequests else {
                        result.isCut = true
                        return result
                    }
                    if let change = change(first, contexts, &result.asked) { result.changes.append(change) }
                }
            }
        }
        return result
    }

    private func change(_ first: Request, _ contexts: [Context], _ asked: inout Int) -> Change? {
        for context in contexts {
            asked += 1
            let request = Request(
                principal: first.principal, action: first.action, resource: first.resource, context: context)
            let (before, after) = (old.authorize(request), new.authorize(request))
            if before.decision != after.decision { return Change(request: request, old: before, new: after) }
        }
        return nil
    }

    /// The policies that the other set does not have, whatever they are called there.
    private static func changed(_ policies: PolicySet, _ others: PolicySet) -> [Policy] {
        func meaning(_ policy: Policy) -> String {
            ([policy.effect.rawValue, policy.scope.description] + policy.conditions.map(\.description))
                .joined(separator: "\n")
        }
        let known = Set(others.policies.map(meaning))
        return policies.policies.filter { !known.contains(meaning($0)) }
    }
}

extension PolicyComparison.Change {
    fileprivate var text: String {
        "\(request.principal) \(request.action) \(request.resource)\n"
            + "  \(old.decision.word)\(Self.names(old)) -> \(new.decision.word)\(Self.names(new))\n"
            + (request.context.attributes.isEmpty
                ? "" : "  with \(Value.record(request.context.attributes))\n")
    }

    private static func names(_ response: Response) -> String {
        let names = response.determining.map { "`\($0.id)`" }.joined(separator: ", ")
        return names.isEmpty ? "" : " by \(names)"
    }

    fileprivate var json: JSON {
        .object([
            "principal": .string(Text("\(request.principal)")), "action": .string(Text("\(request.action)")),
            "resource": .string(Text("\(request.resource)")), "context": Value.record(request.context.attributes).json,
            "old": old.json, "new": new.json,
        ])
    }
}

extension PolicyComparison.Result {
    private var summary: String {
        let allowed = changes.count { $0.new.decision == .allow }
        return changes.isEmpty
            ? "no request was found whose decision changes, of \(asked) that were asked"
            : "\(changes.count) change: \(allowed) newly allowed, \(changes.count - allowed) newly denied; "
                + "\(asked) requests were asked"
    }

    func text(_ limit: Int) -> String {
        changes.prefix(max(0, limit)).map { $0.text + "\n" }.joined() + summary
            + (isCut ? ", and there are more that were not" : "")
    }

    func json(_ limit: Int) -> JSON {
        .object([
            "changes": .array(changes.prefix(max(0, limit)).map(\.json)), "count": .number(Int64(changes.count)),
            "asked": .number(Int64(asked)), "complete": .bool(!isCut),
        ])
    }
}
