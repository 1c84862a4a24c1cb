import Foundation

/// The files of this repository.
enum Repository {
    /// The folder of Package.swift, as it really is on disk.
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// Every Swift file below `Sources`.
    static func sources() throws -> [SwiftSource] {
        try paths(below: "Sources").filter { $0.hasSuffix(".swift") }.map {
            SwiftSource(path: $0, text: try text($0))
        }
    }

    /// The eBPF programs and the header that they share with Swift.
    static func programs() throws -> [(path: String, text: String)] {
        try paths(below: "Sources").filter { path in
            path.hasPrefix("Sources/CPosternABI/include/") || path.contains("/BPF/")
        }.filter { $0.hasSuffix(".c") || $0.hasSuffix(".h") }.map { ($0, try text($0)) }
    }

    /// Every file that is text, but what building and git keep for themselves.
    static func everything() throws -> [(path: String, text: String)] {
        try paths(below: "").compactMap { path in (try? text(path)).map { (path, $0) } }
    }

    private static func paths(below folder: String) throws -> [String] {
        let base = folder.isEmpty ? root : root.appending(path: folder)
        guard let walk = FileManager.default.enumerator(at: base, includingPropertiesForKeys: [.isRegularFileKey])
        else {
            throw CocoaError(.fileReadNoSuchFile)
        }
        var paths: [String] = []
        for case let file as URL in walk {
            if isKeptByTools(file.lastPathComponent) {
                walk.skipDescendants()
            } else if try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true {
                paths.append(String(file.path().dropFirst(root.path().count)))
            }
        }
        return paths.sorted()
    }

    private static func isKeptByTools(_ name: String) -> Bool {
        name == ".git" || name == ".swiftpm" || name.hasPrefix(".build")
    }
}
