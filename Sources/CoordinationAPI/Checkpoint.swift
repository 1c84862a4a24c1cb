import Crypto
package import Mesh

/// How far the registry has come, and that nothing of it is withheld: what gives old statements their freshness.
///
/// Extended when an authenticated change is made; nodes keep the highest one and never go back.
package struct Checkpoint: Codable, Equatable, Sendable {
    /// Rises only when an operator brings an older database back on purpose.
    package let epoch: UInt64
    /// The version of the map that the last authenticated change made.
    package let version: UInt64
    /// Of all statements of admins that count: admins, agents, services, policies and removals that are remembered.
    package let statements: Fingerprint
    /// Of the chain of admins alone, removals too, which every node holds.
    package let admins: Fingerprint
    /// Of the policies alone, which every node holds.
    package let policies: Fingerprint
    /// Past this it says nothing.
    package let notAfter: Timestamp

    /// How long one lasts from its signing.
    package static let lifetime = Duration.seconds(24 * 3600)

    package init(
        epoch: UInt64, version: UInt64, statements: Fingerprint, admins: Fingerprint, policies: Fingerprint,
        notAfter: Timestamp
    ) {
        (self.epoch, self.version, self.statements) = (epoch, version, statements)
        (self.admins, self.policies, self.notAfter) = (admins, policies, notAfter)
    }

    /// Whether this one is as far as the other or farther.
    package func isAtLeast(_ other: Checkpoint) -> Bool {
        (epoch, version) >= (other.epoch, other.version)
    }
}

extension Fingerprint {
    /// Of signed statements, whatever order they come in.
    ///
    /// SHA-256 over them in the order of kind, name and text, each of these preceded by its length (8 bytes, big-endian).
    /// The kind of a removal is `removal of` what is removed. Signatures, which can be written in several ways, do
    /// not count; statements that no admin makes do not either.
    package init(ofStatements statements: some Sequence<(statement: Statement, envelope: Envelope)>) {
        let rows = statements.compactMap { item in
            item.statement.digestName.map { [$0.kind, $0.name, item.envelope.document] }
        }
        var hash = SHA256()
        for row in rows.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            for text in row {
                let bytes = Array(text.utf8)
                hash.update(data: (0..<8).map { UInt8(truncatingIfNeeded: UInt64(bytes.count) >> (56 - 8 * $0)) })
                hash.update(data: bytes)
            }
        }
        self.init(digest: Array(hash.finalize()))
    }
}

extension Statement {
    fileprivate var digestName: (kind: String, name: String)? {
        guard let entry else { return nil }
        if case .removal = self { return ("removal of \(entry.kind)", entry.name) }
        return (entry.kind, entry.name)
    }
}
