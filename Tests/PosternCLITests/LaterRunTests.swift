import Foundation
import Testing

@testable import PosternCLI

@Suite struct LaterRunTests {
    @Test func `what its owner runs later is named, and an empty directory is not spoken of`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "postern-later-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appending(path: ".git/hooks"), withIntermediateDirectories: true)
        let path = folder.path(percentEncoded: false)
        #expect(LaterRun.warning(in: path) == "the command may change what you run later: `.git/hooks`")
        try Data().write(to: folder.appending(path: "Makefile"))
        #expect(LaterRun.warning(in: path)?.hasSuffix("`.git/hooks`, `Makefile`") == true)
        #expect(LaterRun.warning(in: path + "/.git/hooks") == nil)
    }
}
