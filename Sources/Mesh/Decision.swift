/// Where a policy stands: the document, its `@id`, and the line and column of its first word.
package struct PolicyReference: Hashable, Codable, Sendable, CustomStringConvertible {
    package let document: PolicyName
    package let id: String
    package let line: Int
    package let column: Int

    package init(document: PolicyName, id: String, line: Int, column: Int) {
        (self.document, self.id, self.line, self.column) = (document, id, line, column)
    }

    package var description: String { "policy `\(id)` (\(document):\(line):\(column))" }
}

/// One compiled entry: this agent may open connections to that service.
package struct Grant: Hashable, Sendable {
    package let agent: AgentName
    package let service: ServiceName
    /// The permits that say so, in the order of their documents.
    package let policies: [PolicyReference]

    package init(agent: AgentName, service: ServiceName, policies: [PolicyReference]) {
        (self.agent, self.service, self.policies) = (agent, service, policies)
    }
}
