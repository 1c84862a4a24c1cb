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

/// One compiled entry: this agent may open connections to that service, until then.
package struct Grant: Hashable, Sendable {
    package let agent: AgentName
    package let service: ServiceName
    /// The permits that say so, in the order of their documents.
    package let policies: [PolicyReference]
    /// The first moment at which it may be otherwise; nil where time changes nothing.
    package let until: Timestamp?

    package init(
        agent: AgentName, service: ServiceName, policies: [PolicyReference], until: Timestamp? = nil
    ) {
        (self.agent, self.service, self.policies, self.until) = (agent, service, policies, until)
    }
}
