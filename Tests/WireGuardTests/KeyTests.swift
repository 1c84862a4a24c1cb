import Mesh
import Testing

@testable import WireGuard

@Suite struct KeyTests {
    @Test func `the public key is that of RFC 7748`() throws {
        // §6.1, Bob.
        let secret = try #require(bytes(hex: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
        let key = try #require(WireGuardPrivateKey(bytes: secret))
        #expect(hex(key.publicKey.bytes) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    }

    @Test func `two fresh keys differ`() {
        #expect(WireGuardPrivateKey.generate() != WireGuardPrivateKey.generate())
    }
}
