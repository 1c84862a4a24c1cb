import Cedar
package import Mesh

/// What the policies say of starting an agent.
package enum LaunchDecision: Equatable, Sendable {
    /// These policies permit it and none forbids it.
    case permitted([PolicyReference])
    /// These policies forbid it.
    case forbidden([PolicyReference])
    /// No policy permits or forbids it.
    case silent
}

extension PolicySnapshot {
    /// Decides whether somebody on a node may start an agent there: asked of the node, and of whoever proved himself.
    /// Either may permit it, and either forbid.
    ///
    /// - Parameters:
    ///   - person: whose login the node has checked.
    ///   - now: nil if the time is not known.
    ///   - selectors: what the node's kernel tells of who asks, such as `unix:uid` with `1000`; asked for where a policy
    ///     may want to know.
    package func decideLaunch<Failure: Error>(
        of agent: AgentName, on node: NodeName, for person: UserName? = nil, now: Timestamp?,
        selectors: () throws(Failure) -> [String: String]
    ) throws(Failure) -> LaunchDecision {
        var context = Context(now)
        context.attributes[MeshSchema.launchNode] = .entity(node.entity)
        context.attributes[MeshSchema.launchSelectors] = .entity(MeshSchema.selectors)
        let questions = [node.entity, person?.entity].compactMap(\.self).map { principal in
            let request = Request(
                principal: principal, action: MeshAction.launch.entity, resource: agent.entity, context: context)
            return (request: request, candidates: index.candidates(for: request))
        }
        let candidates = questions.flatMap(\.candidates)
        guard !candidates.isEmpty else { return .silent }
        let tags = try selectors().map { (Text($0.key), Value.string(Text($0.value))) }
        let who = Entity(MeshSchema.selectors, tags: Dictionary(tags, uniquingKeysWith: { first, _ in first }))
        var known = entities
        // To a policy somebody unknown has no tags, and a forbid that asks for one would not hold.
        do { try known.insert(who) } catch { return .forbidden(candidates.compactMap { references[$0.id] }) }
        let authorizer = Authorizer(policies: policies, entities: known)
        let counting = questions.flatMap { question in
            question.candidates.filter { $0.counts(authorizer.verdict(of: $0, on: question.request)) }
        }
        let forbids = counting.filter { $0.effect == .forbid }
        let ids = Set((forbids.isEmpty ? counting : forbids).map(\.id))
        let places = ids.sorted().compactMap { references[$0] }
        guard forbids.isEmpty else { return .forbidden(places) }
        return counting.isEmpty ? .silent : .permitted(places)
    }
}
