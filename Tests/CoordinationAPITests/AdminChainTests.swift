import CoordinationAPI
import Crypto
import Mesh
import Testing

/// Who the admins are, and who only says so.
@Suite struct AdminChainTests {
    private let ann = P256.Signing.PrivateKey()
    private let bob = P256.Signing.PrivateKey()
    private let eve = P256.Signing.PrivateKey()

    private func chain() throws -> AdminChain {
        try AdminChain(root: add("ann", ann, by: ann, at: 0), key: SigningPublicKey(ann.publicKey), of: Sample.mesh)
    }

    @Test func `an admin whom an admin made makes others`() throws {
        var chain = try chain()
        try chain.take(add("bob", bob, by: ann, at: 1))
        try chain.take(add("eve", eve, by: bob, at: 2))
        #expect(chain.admins.keys.sorted().map(\.rawValue) == ["ann", "bob", "eve"])
        #expect(chain.links.count == 3)
    }

    @Test func `a stranger makes nobody`() throws {
        var chain = try chain()
        #expect(throws: AdminChainError.untrusted(.unsigned)) { try chain.take(add("eve", eve, by: eve, at: 1)) }
        #expect(chain.admins.count == 1)
    }

    @Test func `the first admin is the one whose key was given`() throws {
        #expect(throws: AdminChainError.untrusted(.unsigned)) {
            try AdminChain(root: add("eve", eve, by: eve, at: 0), key: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        }
        #expect(throws: AdminChainError.noRoot) {
            try AdminChain(root: add("eve", eve, by: ann, at: 0), key: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        }
    }

    @Test func `a removed admin's key is worth nothing`() throws {
        var chain = try chain()
        try chain.take(add("bob", bob, by: ann, at: 1))
        try chain.take(remove("ann", by: bob, at: 2))
        #expect(throws: AdminChainError.untrusted(.unsigned)) { try chain.take(add("eve", eve, by: ann, at: 3)) }
        #expect(throws: EnvelopeError.unsigned) {
            try chain.document(in: Envelope(signing: Sample.document(), with: ann))
        }
        #expect(throws: AdminChainError.former(UserName(unchecked: "ann"))) {
            try chain.take(add("ann", eve, by: bob, at: 3))
        }
        #expect(throws: AdminChainError.keyTaken) { try chain.take(add("zoe", ann, by: bob, at: 3)) }
    }

    @Test func `nobody leaves a mesh without an admin`() throws {
        var chain = try chain()
        #expect(throws: AdminChainError.last(UserName(unchecked: "ann"))) {
            try chain.take(remove("ann", by: ann, at: 1))
        }
        #expect(throws: AdminChainError.unknown(UserName(unchecked: "bob"))) {
            try chain.take(remove("bob", by: ann, at: 1))
        }
    }

    @Test func `a statement that is not later than the last is not taken`() throws {
        var chain = try chain()
        try chain.take(add("bob", bob, by: ann, at: 5))
        for moment in [4, 5] {
            #expect(throws: AdminChainError.notAfterTheLast) { try chain.take(add("eve", eve, by: ann, at: moment)) }
        }
        #expect(throws: AdminChainError.notAboutAdmins) {
            try chain.take(envelope(.agent(Sample.agent), by: ann, at: 6))
        }
    }

    @Test func `a chain replayed in any order is the same`() throws {
        var chain = try chain()
        try chain.take(add("bob", bob, by: ann, at: 1))
        try chain.take(remove("ann", by: bob, at: 2))
        let links = chain.links.map(\.envelope)
        let again = try AdminChain(
            replaying: links.reversed(), root: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        #expect(again == chain)
        #expect(throws: AdminChainError.self) {
            try AdminChain(
                replaying: Array(links.dropFirst()), root: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        }
        #expect(throws: AdminChainError.noRoot) {
            try AdminChain(replaying: [], root: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        }
    }

    @Test func `a chain without end is not read`() throws {
        let one = try add("ann", ann, by: ann, at: 0)
        #expect(throws: AdminChainError.tooLong) {
            try AdminChain(
                replaying: Array(repeating: one, count: AdminChain.maximumLinks + 1),
                root: SigningPublicKey(ann.publicKey), of: Sample.mesh)
        }
    }

    private func add(
        _ name: String, _ key: P256.Signing.PrivateKey, by signer: P256.Signing.PrivateKey, at second: Int
    ) throws -> Envelope {
        let statement = AdminStatement(name: UserName(unchecked: name), key: SigningPublicKey(key.publicKey))
        return try envelope(.admin(statement), by: signer, at: second)
    }

    private func remove(_ name: String, by signer: P256.Signing.PrivateKey, at second: Int) throws -> Envelope {
        try envelope(.removal(.admin(UserName(unchecked: name))), by: signer, at: second)
    }

    private func envelope(
        _ statement: Statement, by signer: P256.Signing.PrivateKey, at second: Int
    ) throws -> Envelope {
        try Envelope(
            signing: Document(mesh: Sample.mesh, madeAt: Sample.moment + .seconds(second), statement: statement),
            with: signer)
    }
}
