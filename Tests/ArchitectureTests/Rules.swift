/// One thing that is not as the house wants it.
struct Violation: Equatable, CustomStringConvertible {
    let place: String
    let what: String
    let reason: String
    var description: String { "\(place): \(what); \(reason)" }
}

/// The rules, each a function from text to what breaks it.
enum Rules {
    /// Each import stands in the table, and in the manifest.
    static func imports(of files: [SwiftSource], in house: House, manifest: Manifest) -> [Violation] {
        files.flatMap { file -> [Violation] in
            guard let target = file.target, let room = house[target] else {
                return [
                    Violation(
                        place: file.path, what: "its target has no line in the table",
                        reason: "each target says what it may import")
                ]
            }
            let allowed = room.ours.union(room.libraries).union(House.platform)
            let declared = Set(manifest.targets.first { $0.name == target }?.dependencies ?? [])
            return file.imports.compactMap { line, module in
                let place = "\(file.path):\(line)"
                guard allowed.contains(module) else {
                    return Violation(place: place, what: "\(target) may not import \(module)", reason: room.reason)
                }
                guard declared.contains(module) || House.platform.union(House.linux).contains(module) else {
                    return Violation(
                        place: place, what: "\(target) does not declare \(module) in Package.swift",
                        reason: "an import that happens to build breaks in a clean build")
                }
                return nil
            }
        }
    }

    /// The manifest gives no target more than the table, and its list is in the order of the arrows.
    static func dependencies(of manifest: Manifest, in house: House) -> [Violation] {
        let targets = manifest.targets.filter { !["testTarget", "plugin"].contains($0.kind) }
        var seen: Set<String> = []
        var found = targets.flatMap { target -> [Violation] in
            defer { seen.insert(target.name) }
            guard let room = house[target.name] else {
                return [violation(target, "it has no line in the table", "each target says what it may import")]
            }
            let allowed = room.ours.union(room.libraries)
            let beyond = target.dependencies.filter { !allowed.contains($0) }
                .map { violation(target, "it may not depend on \($0)", room.reason) }
            let upwards = target.dependencies.filter { !manifest.products.contains($0) && !seen.contains($0) }
                .map { violation(target, "it depends on \($0), which stands below it", "imports point up the list") }
            return beyond + upwards
        }
        for room in house.rooms where !seen.contains(room.target) {
            found.append(
                Violation(place: "Package.swift", what: "`\(room.target)` is missing", reason: "the table names it"))
        }
        return found
    }

    /// Every Swift target is built with the strict settings.
    static func settings(of manifest: Manifest, files: [SwiftSource]) -> [Violation] {
        let swift = Set(files.compactMap(\.target))
        return manifest.targets.filter { !$0.isStrict && (swift.contains($0.name) || $0.kind == "testTarget") }
            .map { violation($0, "it lacks `swiftSettings: strict`", "a warning is a mistake not yet made") }
    }

    /// A type with a module's name makes the module's other names unreachable.
    static func names(of files: [SwiftSource], manifest: Manifest) -> [Violation] {
        let modules = manifest.products.union(manifest.targets.map(\.name))
        return files.flatMap { file in
            file.types.filter { modules.contains($0.name) }.map { line, name in
                Violation(
                    place: "\(file.path):\(line)", what: "the type `\(name)` has the name of a module",
                    reason: "it hides the module's other names")
            }
        }
    }

    /// Nothing but the store knows the database.
    static func database(of files: [SwiftSource]) -> [Violation] {
        files.filter { !$0.path.hasPrefix(store) }.flatMap { file in
            let imports = file.imports.filter { $0.module == "GRDB" }.map { ($0.line, "it imports GRDB") }
            let statements = file.literals.filter { isSQL($0.text) }.map { ($0.line, "it holds SQL") }
            return (imports + statements).map { line, what in
                Violation(place: "\(file.path):\(line)", what: what, reason: "the only SQL is in \(store)")
            }
        }
    }

    private static let store = "Sources/PosternCoordinator/Store/"

    private static func isSQL(_ text: String) -> Bool {
        let statement =
            /(?m)^\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|(CREATE|ALTER|DROP)\s+TABLE|PRAGMA)\b/
        return text.firstMatch(of: statement) != nil
    }

    /// A file holds one type or one step; past this length it holds a second idea for certain.
    static func length(of files: [SwiftSource]) -> [Violation] {
        files.filter { $0.lineCount > maximumLines }.map {
            Violation(
                place: $0.path, what: "it has \($0.lineCount) lines, more than \(maximumLines)",
                reason: "a file holds one idea")
        }
    }

    static let maximumLines = 600

    /// The repository stands alone: no file speaks of a folder beside it.
    static func outside(in files: [(path: String, text: String)]) -> [Violation] {
        files.filter { $0.path != ".ci/run" && $0.text.contains(outsideFolder) }.map {
            Violation(
                place: $0.path, what: "it speaks of `\(outsideFolder)`",
                reason: "whoever has a clone has that and no more")
        }
    }

    static let outsideFolder = "shared" + "/"

    /// The eBPF programs are under two licences, and the kernel's is one of them.
    static func licences(of programs: [(path: String, text: String)]) -> [Violation] {
        programs.filter { !$0.text.prefix(200).contains(bothLicences) }.map {
            Violation(
                place: $0.path, what: "its first line lacks `\(bothLicences)`",
                reason: "the kernel's helpers are for programs under the GPL")
        }
    }

    static let bothLicences = "SPDX-License-Identifier: Apache-2.0 OR GPL-2.0"

    private static func violation(_ target: Manifest.Target, _ what: String, _ reason: String) -> Violation {
        Violation(place: "Package.swift, target `\(target.name)`", what: what, reason: reason)
    }
}
