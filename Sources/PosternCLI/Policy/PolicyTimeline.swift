import CoordinationAPI
import Mesh

/// What was said of policies, with those who signed it: the newest first.
///
/// The coordinator shows it, and is not believed: who counts is told by signatures and by the chain of admins. What it
/// withholds nobody can see.
struct PolicyTimeline {
    struct Entry: Codable, Equatable {
        /// Of the mesh, that the statement made.
        let version: UInt64
        let madeAt: Timestamp
        /// Those who signed it and were admins at that moment.
        let by: [UserName]
        let policy: PolicyName
        /// Nil where the document was removed.
        let text: String?
    }

    let entries: [Entry]

    init(_ changes: [PolicyHistory.Change], chain: AdminChain) throws(CommandFailure) {
        entries = try changes.map { change throws(CommandFailure) in try Entry(change, chain: chain) }
        try checkOrder()
    }

    /// Of each document a newer statement was made later than an older one, or the coordinator had not taken it.
    private func checkOrder() throws(CommandFailure) {
        var version = UInt64.max
        var made: [PolicyName: Timestamp] = [:]
        for entry in entries {
            guard entry.version <= version, made[entry.policy].map({ entry.madeAt < $0 }) ?? true else {
                throw CommandFailure(
                    "the coordinator's history of policies is out of order at version \(entry.version): it is not to be "
                        + "believed")
            }
            version = entry.version
            made[entry.policy] = entry.madeAt
        }
    }

    /// The last word on each policy, up to a version.
    func state(at version: UInt64) -> [PolicyName: Entry] {
        Dictionary(
            entries.filter { $0.version <= version }.map { ($0.policy, $0) }, uniquingKeysWith: { newer, _ in newer })
    }
}

extension PolicyTimeline.Entry {
    fileprivate init(_ change: PolicyHistory.Change, chain: AdminChain) throws(CommandFailure) {
        let document: Document
        do { document = try JSON.decode(Document.self, from: Array(change.envelope.document.utf8)) } catch {
            throw CommandFailure("a change of version \(change.version) cannot be read: \(error.reason)")
        }
        switch document.statement {
        case .policy(let said): (policy, text) = (said.name, said.text)
        case .removal(.policy(let name)): (policy, text) = (name, nil)
        default: throw CommandFailure("a change of version \(change.version) is not about a policy")
        }
        (version, madeAt) = (change.version, document.madeAt)
        by = chain.admins(at: madeAt).filter { _, key in
            (try? change.envelope.document(signedByOneOf: [key.key], of: chain.mesh)) != nil
        }.keys.sorted()
    }
}

/// What makes the policies what they were at a version.
struct PolicyRollback: Equatable {
    /// In the order of their names.
    let restored: [PolicyDocument]
    let removed: [PolicyName]
    /// Who signed what is restored, and is no admin any more.
    let formerSigners: [UserName]

    /// - Parameter registry: what the coordinator has now.
    init(
        to version: UInt64, in timeline: PolicyTimeline, from registry: Registry, chain: AdminChain
    ) throws(CommandFailure) {
        guard version <= registry.version else {
            throw CommandFailure("there is no version \(version): the mesh is at version \(registry.version)")
        }
        let now = Dictionary(registry.policies.map { ($0.name, $0.text) }, uniquingKeysWith: { first, _ in first })
        guard timeline.state(at: registry.version).compactMapValues(\.text) == now else {
            throw CommandFailure(
                "the coordinator's history does not lead to the policies that it has: if nobody changed them just now, "
                    + "it withholds something; nothing is signed")
        }
        let then = timeline.state(at: version)
        let changed = Set(now.keys).union(then.keys).filter { now[$0] != then[$0]?.text }
        let reasons = changed.sorted().compactMap { then[$0] }
        if let unsigned = reasons.first(where: { $0.by.isEmpty }) {
            throw CommandFailure(
                "no admin of its time stands behind what version \(unsigned.version) says of policy "
                    + "`\(unsigned.policy)`: nothing is signed")
        }
        restored = reasons.compactMap { entry in entry.text.map { PolicyDocument(name: entry.policy, text: $0) } }
        removed = changed.filter { then[$0]?.text == nil }.sorted()
        let former = reasons.filter { $0.text != nil && $0.by.allSatisfy { chain.admins[$0] == nil } }
        formerSigners = Set(former.flatMap(\.by)).sorted()
    }

    var statements: [Statement] { restored.map { .policy($0) } + removed.map { .removal(.policy($0)) } }

    func apply(to policies: inout [PolicyDocument]) {
        let touched = Set(restored.map(\.name)).union(removed)
        policies = policies.filter { !touched.contains($0.name) } + restored
    }
}
