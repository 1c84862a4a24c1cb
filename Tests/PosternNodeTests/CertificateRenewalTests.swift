import Mesh
import PosternNode
import Testing

@Suite struct CertificateRenewalTests {
    private let begin = SignedMesh.now
    private let day = 86_400

    @Test(arguments: [(0, false), (19, false), (20, true), (29, true), (31, true), (-1, false)])
    func `a certificate of thirty days is renewed from the twentieth on`(age: Int, isDue: Bool) {
        let end = begin + .seconds(30 * day)
        #expect(CertificateRenewal.isDue(from: begin, to: end, now: begin + .seconds(age * day)) == isDue)
    }

    @Test func `one that lasts for an hour is renewed after forty minutes`() {
        let end = begin + .seconds(3600)
        #expect(!CertificateRenewal.isDue(from: begin, to: end, now: begin + .seconds(2399)))
        #expect(CertificateRenewal.isDue(from: begin, to: end, now: begin + .seconds(2400)))
    }
}
