import Testing

@testable import PosternNode

@Suite struct CallerTests {
    @Test(
        arguments: [
            ("0::/postern/postern0/00112233445566778899aabbccddeeff\n", true), ("0::/postern/a/b/c\n", true),
            ("3:pids:/postern/x\n0::/postern/x/y\n", true), ("", true), ("1:cpu:/\n", true),
            ("0::/\n", false), ("0::/user.slice/user-1000.slice\n", false), ("0::/posterns/x\n", false),
            ("3:pids:/postern/x\n0::/init.scope\n", false), ("0::/system.slice/postern/x\n", false),
        ])
    func `who is in the cgroup of a session is told by his cgroup`(text: String, isSession: Bool) {
        #expect(Caller.isSession(cgroups: text) == isSession)
    }
}
