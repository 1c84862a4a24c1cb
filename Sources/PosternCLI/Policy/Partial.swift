import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy partial`
    struct Partial: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decide a request of which only parts are known, or say what is left to ask.",
            discussion: """
                Of the principal and the resource the id may be left out, and the whole context. Prints ALLOW, DENY, or \
                UNKNOWN with what is left of the policies. Exit code 0 means allowed, 2 denied, 4 not known yet.

                Example: which documents may ann view?
                  postern policy partial -p p.cedar -s s.cedarschema --entities e.json -a 'Action::"view"' \\
                    --principal-type User --principal-eid ann --resource-type Doc
                """,
            aliases: ["tpe", "partially-authorize"])

        @OptionGroup var request: PartialRequestOptions
        @OptionGroup var policies: PoliciesOptions
        @OptionGroup var schema: SchemaOptions
        @OptionGroup var entities: EntitiesOptions

        @Flag(name: .shortAndLong, help: "Say how long it took.")
        var timing = false

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let schema = try schema.required()
            let question = try request.load(schema)
            let entities = try entities.load(schema)
            let policies = try policies.load()
            let start = ContinuousClock.now
            let response: PartialResponse
            do throws(PartialError) {
                let authorizer = try PartialAuthorizer(
                    policies: policies, schema: schema, principal: question.principal, action: question.action,
                    resource: question.resource)
                response = authorizer.authorize(question.request, in: entities)
            } catch { throw CommandFailure("\(error)") }
            let duration = ContinuousClock.now - start
            let terminal = Terminal.current
            if json {
                terminal.print(response.json.pretty)
            } else {
                terminal.print("")
                if timing { terminal.print(PolicyCommand.timing(duration)) }
                terminal.print(response.text)
            }
            switch response.decision {
            case .allow: break
            case .deny: throw ExitStatus.denied
            case nil: throw ExitStatus.unknown
            }
        }
    }
}

extension PartialResponse {
    fileprivate var text: String {
        switch decision {
        case .allow: "ALLOW"
        case .deny: "DENY"
        case nil: (["UNKNOWN", "All policy residuals:"] + residuals.map(\.description)).joined(separator: "\n")
        }
    }

    fileprivate var json: JSON {
        func ids(_ policies: [Policy]) -> JSON { .array(policies.map { .string(Text($0.id)) }) }
        let decision: Text =
            switch decision {
            case .allow: "allow"
            case .deny: "deny"
            case nil: "unknown"
            }
        let residuals: [(Text, JSON)] = residuals.map { (Text($0.id), .string(Text($0.description))) }
        return .object([
            "decision": .string(decision), "matching": ids(matching), "failing": ids(failing),
            "residuals": .object(Dictionary(residuals) { first, _ in first }),
        ])
    }
}
