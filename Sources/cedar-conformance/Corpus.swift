import Cedar
import Foundation

/// Why cases cannot be read.
struct CorpusError: Error, CustomStringConvertible {
    let description: String
}

/// The files of a conformance corpus, unpacked where they are archives.
struct Corpus {
    /// A case, and what it is called in the results.
    struct Name {
        /// From the root.
        let path: String
        let label: String
    }

    private let root: String
    /// Where archives were unpacked to.
    private let temporary: String?

    init(at path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw CorpusError(description: "there is no `\(path)`")
        }
        // What has no contents is no folder.
        let names = try? FileManager.default.contentsOfDirectory(atPath: path).sorted()
        let archives = names.map { $0.filter(Self.isArchive).map { "\(path)/\($0)" } } ?? [path]
        guard !archives.isEmpty else {
            (root, temporary) = (path, nil)
            return
        }
        let folder = NSTemporaryDirectory() + "cedar-conformance-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        (root, temporary) = (folder, folder)
        for archive in archives { try unpack(archive) }
    }

    private static func isArchive(_ name: String) -> Bool {
        [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"].contains { name.hasSuffix($0) }
    }

    private func unpack(_ archive: String) throws {
        let tar = Process()
        tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        tar.arguments = ["tar", "-xf", archive, "-C", root]
        try tar.run()
        tar.waitUntilExit()
        guard tar.terminationStatus == 0 else {
            remove()
            throw CorpusError(description: "cannot unpack `\(archive)`")
        }
    }

    func remove() {
        if let temporary { try? FileManager.default.removeItem(atPath: temporary) }
    }

    /// Every file that has requests, in the order of their paths. A case is called by its file's name, or by its path
    /// where several files have one name.
    func cases() throws -> [Name] {
        let files = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        let paths = files.filter { path in
            guard path.hasSuffix(".json"), !path.hasSuffix(".entities.json") else { return false }
            guard let text = try? read(path), let json = try? JSON(parsing: text) else { return false }
            return json["requests"] != nil && json["policies"] != nil
        }.sorted()
        let counts = Dictionary(grouping: paths) { ($0 as NSString).lastPathComponent }.mapValues(\.count)
        return paths.map { path in
            let name = (path as NSString).lastPathComponent
            return Name(path: path, label: counts[name] == 1 ? name : path)
        }
    }

    func read(_ path: String) throws -> String { try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8) }

    /// A file that a case names: from the root of the corpus, which may lie above the folder that was given.
    func read(_ path: String, namedBy name: Name) throws -> String {
        let folder = (name.path as NSString).deletingLastPathComponent
        let places = [path, "../\(path)", "\(folder)/\((path as NSString).lastPathComponent)"]
        for place in places where FileManager.default.fileExists(atPath: "\(root)/\(place)") { return try read(place) }
        throw CorpusError(description: "there is no `\(path)`")
    }
}

extension JSON {
    /// The field of an object, if there is one.
    subscript(name: Text) -> JSON? { if case .object(let fields) = self { fields[name] } else { nil } }

    var string: String? { if case .string(let text) = self { text.string } else { nil } }
    var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    var strings: Set<String> {
        guard case .array(let members) = self else { return [] }
        return Set(members.compactMap(\.string))
    }
}
