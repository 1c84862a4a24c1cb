import Testing

@testable import PosternCLI

@Suite struct TextChangesTests {
    private func changes(_ old: String?, _ new: String?) -> String {
        TextChanges(in: "p.cedar", from: old, to: new).text
    }

    @Test func `the same text has no changes`() {
        #expect(changes("a\nb\n", "a\nb\n") == "")
        #expect(changes(nil, nil) == "")
    }

    @Test func `what comes and what goes is told from nothing`() {
        #expect(changes(nil, "a\nb\n") == "--- /dev/null\n+++ p.cedar\n@@ -0,0 +1,2 @@\n+a\n+b\n")
        #expect(changes("a\n", nil) == "--- p.cedar\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n")
    }

    @Test func `a line that changes stands between three that stay`() {
        let old = (1...20).map { "\($0)\n" }.joined()
        let new = old.replacing("10\n", with: "ten\n").replacing("20\n", with: "20\n21\n")
        #expect(
            changes(old, new) == """
                --- p.cedar
                +++ p.cedar
                @@ -7,7 +7,7 @@
                 7
                 8
                 9
                -10
                +ten
                 11
                 12
                 13
                @@ -18,3 +18,4 @@
                 18
                 19
                 20
                +21

                """)
    }

    @Test func `changes that are near stand together`() {
        let text = changes("1\n2\n3\n4\n5\n6\n7\n", "one\n2\n3\n4\n5\n6\nseven\n")
        #expect(text.split(separator: "\n").count { $0.hasPrefix("@@") } == 1)
    }

    @Test func `texts that are too long to compare are told by their lengths`() {
        let long = String(repeating: "x\n", count: 5000)
        #expect(changes(long, "y\n").contains("5000 lines, then 1"))
    }
}
