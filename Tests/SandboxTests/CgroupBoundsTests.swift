import Foundation
import Mesh
import Testing

@testable import Sandbox

/// What the sessions of a machine may take of it.
@Suite(.timeLimit(.minutes(1))) struct CgroupBoundsTests {
    @Test(arguments: [Cgroup.Resource.processes, .memory])
    func `a resource is bounded where the kernel can, and only there`(resource: Cgroup.Resource) throws {
        let root = try Cgroup.root()
        let parent = root.child("postern-test-\(UUID().uuidString)")
        let cgroup = parent.child("session")
        try cgroup.create()
        let canBound = root.controllers.contains(resource.rawValue)
        #expect(try cgroup.bound(resource, to: 1 << 30) == canBound)
        let file = "\(cgroup.path)/\(resource.rawValue).max"
        #expect((try? String(contentsOfFile: file, encoding: .utf8)) == (canBound ? "\(1 << 30)\n" : nil))
        try parent.remove()
    }

    @Test func `a bound is written once every cgroup above passes the controller on`() throws {
        let tree = try FakeTree(controllers: "cpu pids")
        defer { tree.folder.remove() }
        #expect(try tree.session.bound(.processes, to: 4096))
        #expect(tree.text("cgroup.subtree_control") == "+pids")
        #expect(tree.text("node/cgroup.subtree_control") == "+pids")
        #expect(tree.text("node/session/pids.max") == "4096")
    }

    @Test func `a controller that is passed on already is left alone`() throws {
        let tree = try FakeTree(controllers: "memory", passed: "cpu memory\n")
        defer { tree.folder.remove() }
        #expect(try tree.session.bound(.memory, to: 5))
        #expect(tree.text("cgroup.subtree_control") == "cpu memory\n")
        #expect(tree.text("node/session/memory.max") == "5")
    }

    @Test func `what the tree has no controller for is not bounded, and no error`() throws {
        let tree = try FakeTree(controllers: "cpu")
        defer { tree.folder.remove() }
        #expect(try !tree.session.bound(.memory, to: 5))
        #expect(try !Cgroup(path: "/tmp/no/cgroup").bound(.memory, to: 5))
    }

    @Test func `a bound that cannot be set where the controller is, is an error that names it`() throws {
        let tree = try FakeTree(controllers: "memory")
        defer { tree.folder.remove() }
        try FileManager.default.removeItem(atPath: tree.session.path + "/memory.max")
        let unset = #expect(throws: SandboxError.self) { try tree.session.bound(.memory, to: 5) }
        #expect(
            unset
                == SandboxError(
                    .cgroup, "cannot bound the memory of the cgroup `\(tree.session.path)`: no such file or directory"))
        try FileManager.default.removeItem(atPath: tree.folder.path + "/node/cgroup.subtree_control")
        let stopped = #expect(throws: SandboxError.self) { try tree.session.bound(.memory, to: 5) }
        #expect(stopped?.reason.contains("`\(tree.folder.path)/node` does not pass `memory` on") == true)
    }

    @Test func `a session whose memory cannot be bounded does not start`() throws {
        let tree = try FakeTree(controllers: "memory")
        defer { tree.folder.remove() }
        try FileManager.default.removeItem(atPath: tree.session.path + "/memory.max")
        let streams = Streams()
        let error = #expect(throws: SandboxError.self) {
            _ = try Enclosure.start(
                EnclosureRun("true").specification(in: tree.folder.path), network: EnclosureRun.network,
                cgroup: tree.session, bounds: EnclosureRun.bounds, stdio: streams.inner, program: EnclosureRun.program()
            )
        }
        #expect(error?.step == .cgroup && error?.reason.contains("cannot bound the memory") == true)
    }
}

/// Files that look like a cgroup tree with a session in it.
private struct FakeTree {
    let folder: Folder
    var session: Cgroup { Cgroup(path: folder.path + "/node/session") }

    init(controllers: String, passed: String = "") throws {
        folder = try Folder(owner: 0)
        try FileManager.default.createDirectory(atPath: session.path, withIntermediateDirectories: true)
        let files = [
            "cgroup.controllers": controllers, "cgroup.subtree_control": passed, "node/cgroup.subtree_control": passed,
            "node/session/memory.max": "", "node/session/pids.max": "", "node/session/cgroup.procs": "",
        ]
        for (name, text) in files {
            try text.write(toFile: "\(folder.path)/\(name)", atomically: false, encoding: .utf8)
        }
    }

    func text(_ name: String) -> String? { try? String(contentsOfFile: "\(folder.path)/\(name)", encoding: .utf8) }
}
