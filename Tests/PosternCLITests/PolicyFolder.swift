import Foundation

/// A folder with the files that a test of policy commands needs; it goes with the test.
final class PolicyFolder {
    private let path = NSTemporaryDirectory() + "postern-policy-\(UUID().uuidString)"

    init(_ files: [String: String] = [:]) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in PolicyFolder.usual.merging(files, uniquingKeysWith: { _, given in given }) {
            try write(text, to: name)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: self(name)))
    }

    func read(_ name: String) throws -> String { try String(contentsOf: URL(filePath: self(name)), encoding: .utf8) }

    private static let usual = [
        "p.cedar": """
        @id("staff-view")
        permit (principal in Group::"staff", action == Action::"view", resource) when { context.level < 3 };
        @id("no-secrets")
        forbid (principal, action, resource) when { resource.secret };
        """,
        "s.cedarschema": """
        entity Group; entity User in [Group] { name?: String }; entity Doc { secret: Bool };
        action view, edit appliesTo { principal: User, resource: Doc, context: { level: Long } };
        """,
        "e.json": """
        [{"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
         {"uid": {"type": "Doc", "id": "open"}, "attrs": {"secret": false}, "parents": []},
         {"uid": {"type": "Doc", "id": "shut"}, "attrs": {"secret": true}, "parents": []}]
        """,
        "c.json": #"{"level": 2}"#,
        "t.cedar": #"@id("t") permit (principal == ?principal, action, resource);"#,
        "wrong.cedar": "permit (principal, action, resource);\npermit (principal action, resource);",
        "invalid.cedar": "permit (principal, action, resource) when { principal.nothing == 1 };",
        "never.cedar": "permit (principal, action, resource is Group);",
    ]
}
