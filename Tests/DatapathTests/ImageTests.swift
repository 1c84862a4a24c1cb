import Foundation
import Testing

@testable import Datapath

/// The compiled programs.
@Suite struct ImageTests {
    /// A function of the kernel that a program names makes libbpf read all of the kernel's types, each time it loads it.
    @Test func `what is loaded for each session names nothing of the kernel`() throws {
        for image in [classifierObject, connectObject] {
            let bytes = try #require(Data(base64Encoded: image))
            #expect(bytes.firstRange(of: Data(".ksyms".utf8)) == nil)
            #expect(bytes.firstRange(of: Data("__bpf_trap".utf8)) == nil)
        }
    }
}
