import Foundation
import Testing

@testable import Sandbox

/// A session with a uid of its own.
@Suite(.timeLimit(.minutes(1))) struct OwnUIDTests {
    private static let own: UInt32 = 1_900_000_000

    @Test func `its processes are nobody else, and have a name`() async throws {
        var run = EnclosureRun(shell: "id -u; id -g; id -un; id -gn; stat -c %u ~; cat /proc/self/status")
        run.ownUID = Self.own
        let lines = try await run.run().lines
        #expect(lines.prefix(5) == ["\(Self.own)", "\(Self.own)", "agent", "agent", "\(Self.own)"])
        #expect(lines.contains("Groups:\t "))
    }

    @Test func `it works in its owner's directory, and what it makes there is the owner's`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid, mode: 0o700)
        defer { folder.remove() }
        try write("private", to: folder.path + "/mine", owner: EnclosureRun.uid)
        try write("root's", to: folder.path + "/foreign", owner: 0)
        var run = EnclosureRun(
            shell: """
                cat mine; echo; stat -c %u . mine; echo changed >mine; mkdir -p a/b; echo new >a/b/made; mv a/b/made made
                cat foreign || echo refused; chown 0 made || echo kept
                """)
        (run.ownUID, run.workingDirectory) = (Self.own, folder.path)
        let outcome = try await run.run()
        #expect(
            outcome.lines.filter { !$0.contains(":") } == ["private", "\(Self.own)", "\(Self.own)", "refused", "kept"])
        #expect(try String(contentsOfFile: folder.path + "/mine", encoding: .utf8) == "changed\n")
        for name in ["mine", "made", "a/b"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)
            #expect(attributes[.ownerAccountID] as? UInt32 == EnclosureRun.uid, "\(name)")
            #expect(attributes[.groupOwnerAccountID] as? UInt32 == EnclosureRun.uid, "\(name)")
        }
    }

    @Test func `it can be root by name`() async throws {
        var run = EnclosureRun(shell: "id -u; echo x >made; stat -c %u made; cat /proc/self/uid_map")
        (run.ownUID, run.asRoot) = (Self.own, true)
        let lines = try await run.run().lines
        #expect(lines.prefix(2) == ["0", "0"])
        #expect(lines.last?.split(separator: " ") == ["0", "\(Self.own)", "1"])
    }

    @Test func `a directory whose file system does not map owners is refused, and why is said`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        try FileManager.default.createDirectory(atPath: folder.path + "/below", withIntermediateDirectories: false)
        try #require(unsafe mount("none", folder.path + "/below", "ramfs", 0, nil) == 0)
        defer { unsafe umount(folder.path + "/below") }
        var run = EnclosureRun("true")
        (run.ownUID, run.workingDirectory) = (Self.own, folder.path)
        let reports = try await run.run().reports
        #expect(reports.contains { "\($0)".contains("does not map owners") })
    }

    @Test(arguments: [0, .max, EnclosureRun.uid] as [UInt32])
    func `a uid that is somebody's is refused`(uid: UInt32) {
        var run = EnclosureRun("true")
        run.ownUID = uid
        #expect(throws: SandboxError.self) { try run.specification(in: "/tmp/x") }
    }

    private func write(_ text: String, to path: String, owner: UInt32) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        try #require(unsafe chmod(path, 0o600) == 0 && chown(path, owner, owner) == 0)
    }
}
