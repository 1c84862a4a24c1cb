import CoordinationAPI
import Crypto
import Mesh
import Testing

@Suite struct CheckpointTests {
    @Test(arguments: [(1, 7, true), (1, 8, true), (2, 1, true), (1, 6, false), (0, 99, false)])
    func `the higher epoch goes before the higher version`(epoch: UInt64, version: UInt64, isAtLeast: Bool) {
        #expect(
            Sample.checkpoint(epoch: epoch, version: version).isAtLeast(Sample.checkpoint(epoch: 1, version: 7))
                == isAtLeast)
    }

    @Test func `a digest does not depend on the order`() throws {
        let statements = try signed()
        #expect(Fingerprint(ofStatements: statements) == Fingerprint(ofStatements: statements.reversed()))
    }

    @Test func `a digest changes with each statement that admins make, and with no other`() throws {
        let statements = try signed()
        let whole = Fingerprint(ofStatements: statements)
        for (index, (statement, _)) in statements.enumerated() {
            var rest = statements
            rest.remove(at: index)
            #expect((Fingerprint(ofStatements: rest) == whole) == (statement.entry == nil), "\(statement)")
        }
    }

    @Test func `a digest is of the texts and not of the signatures`() throws {
        let (one, other) = (try signed(by: Sample.key), try signed(by: Sample.otherKey))
        #expect(Fingerprint(ofStatements: one) == Fingerprint(ofStatements: other))
    }

    /// A length stands before each part, so that what ends one cannot begin the next.
    @Test func `parts that run into each other give another digest`() {
        let (one, other) = (
            [row("a", Envelope(document: "bc", signatures: []))], [row("ab", Envelope(document: "c", signatures: []))]
        )
        #expect(Fingerprint(ofStatements: one) != Fingerprint(ofStatements: other))
    }

    @Test func `the digest of nothing and of one policy are what the definition says`() throws {
        #expect(Fingerprint(ofStatements: [(Statement, Envelope)]()) == Fingerprint(of: []))
        let bytes: [UInt8] = ["policy", "p", "text"].flatMap { part in
            [0, 0, 0, 0, 0, 0, 0, UInt8(part.utf8.count)] + Array(part.utf8)
        }
        #expect(
            Fingerprint(ofStatements: [row("p", Envelope(document: "text", signatures: []))])
                == Fingerprint(of: bytes))
    }

    private func row(_ name: String, _ envelope: Envelope) -> (Statement, Envelope) {
        (.policy(PolicyDocument(name: PolicyName(unchecked: name), text: "")), envelope)
    }

    private func signed(by key: P256.Signing.PrivateKey = Sample.key) throws -> [(Statement, Envelope)] {
        try Sample.statements().map { ($0, try Envelope(signing: Sample.document($0), with: key)) }
    }
}
