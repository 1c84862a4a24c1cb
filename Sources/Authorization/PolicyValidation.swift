import Cedar

/// Checks policies against what is asked here: types, attributes, and whether they can apply at all.
extension PolicySnapshot {
    /// The first thing wrong with each policy, by its id in the set. Strictly: a forbid that fails on a request counts
    /// for nothing in other tools, so none that could fail is taken.
    func invalidPolicies(among policies: PolicySet) -> [Policy.ID: ConditionProblem] {
        guard let schema = MeshSchema.ofRequests else {
            let problem = ConditionProblem(
                message: "cannot be checked: the schema of what is asked is broken", range: nil)
            return Dictionary(policies.policies.map { ($0.id, problem) }) { first, _ in first }
        }
        let result = Validator(schema: schema).validate(policies)
        var problems: [Policy.ID: ConditionProblem] = [:]
        for error in result.errors where problems[error.policy] == nil {
            problems[error.policy] = ConditionProblem(message: "\(error.kind)", range: error.range)
        }
        for warning in result.warnings where problems[warning.policy] == nil {
            let message = warning.kind == .impossiblePolicy ? Self.neverApplies : "\(warning.kind)"
            problems[warning.policy] = ConditionProblem(message: message, range: warning.range)
        }
        return problems
    }

    private static let neverApplies = "can never match: its conditions hold for no agent, service and time"
}

extension MeshSchema {
    /// What packets, and who starts an agent, tell of a request: the part of the mesh's schema that something enforces.
    fileprivate static let ofRequests: Schema? = {
        let groups = parents.sorted { $0.key < $1.key }.map { id, parents in
            "action \"\(id)\""
                + (parents.isEmpty ? "" : " in [\(parents.map { "\"\($0)\"" }.joined(separator: ", "))]")
                + (applications[id] ?? "") + ";\n"
        }
        return try? Schema(parsing: entityTypes + groups.joined())
    }()

    private static let entityTypes = """
        entity Group in [Group]; entity User; entity Tag in [Tag]; entity Node;
        entity TextMap tags String;
        entity Agent in [Group, Agent] { owner: User, disabled: Bool };
        entity Service in [Tag] { protocol: String, external: Bool, node: Node };

        """

    private static let applications = [
        MeshAction.connect.rawValue:
            " appliesTo { principal: [Agent], resource: [Service], context: { now: datetime } }",
        MeshAction.launch.rawValue:
            " appliesTo { principal: [Node, User], resource: [Agent], "
            + "context: { now: datetime, node: Node, selectors: TextMap } }",
    ]
}
