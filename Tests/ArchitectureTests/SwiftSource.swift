/// A Swift file as the rules see it: what is code, and what is text within it.
struct SwiftSource {
    /// Relative to the repository: `Sources/Mesh/Names.swift`.
    let path: String
    let text: String
    /// The text with comments and string literals blanked; lines keep their numbers.
    let code: String
    /// What stands in string literals, with the line on which it begins.
    let literals: [(line: Int, text: String)]

    init(path: String, text: String) {
        var scanner = Scanner(text)
        scanner.run()
        (self.path, self.text) = (path, text)
        (code, literals) = (String(decoding: scanner.code, as: UTF8.self), scanner.literals)
    }

    /// `Mesh` for `Sources/Mesh/Names.swift`.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
    }

    /// Every module that the file imports, with its line.
    var imports: [(line: Int, module: String)] {
        statements.compactMap { line, words in
            guard let index = words.firstIndex(of: "import"), words[..<index].allSatisfy(isModifier) else { return nil }
            let named = words[(index + 1)...].first { !declarations.contains($0) }
            return named.map { (line, String($0.prefix { $0 != "." })) }
        }
    }

    /// Every type that the file declares, with its line.
    var types: [(line: Int, name: String)] {
        statements.compactMap { line, words in
            guard let index = words.firstIndex(where: { typeKeywords.contains($0) }), index + 1 < words.count,
                words[..<index].allSatisfy(isModifier)
            else { return nil }
            return (line, String(words[index + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
        }
    }

    var lineCount: Int {
        text.split(separator: "\n", omittingEmptySubsequences: false).count - (text.hasSuffix("\n") ? 1 : 0)
    }

    /// The words of each statement, one line at a time: no rule needs more of the grammar.
    private var statements: [(line: Int, words: [Substring])] {
        code.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { index, line in
            line.split(separator: ";").map { (index + 1, $0.split(separator: " ")) }
        }
    }
}

private let typeKeywords: Set<Substring> = ["struct", "class", "enum", "actor", "protocol", "typealias"]
private let declarations = typeKeywords.union(["func", "let", "var"])
private let modifiers: Set<Substring> = [
    "public", "package", "internal", "fileprivate", "private", "final", "indirect", "open", "nonisolated", "unsafe",
]

private func isModifier(_ word: Substring) -> Bool { modifiers.contains(word) || word.hasPrefix("@") }

/// Tells code from comments and string literals; interpolations are code again.
private struct Scanner {
    private let bytes: [UInt8]
    private var index = 0
    private var line = 1
    private(set) var code: [UInt8] = []
    private(set) var literals: [(line: Int, text: String)] = []

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func run() {
        while index < bytes.count { step() }
    }

    private mutating func step() {
        if isNext("//") {
            while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { skip() }
        } else if isNext("/*") {
            blockComment()
        } else if let hashes = hashesBeforeQuote() {
            literal(hashes: hashes)
        } else {
            code.append(bytes[index])
            advance()
        }
    }

    /// Swift's block comments nest.
    private mutating func blockComment() {
        var depth = 0
        repeat {
            if isNext("/*") {
                depth += 1
                skip(2)
            } else if isNext("*/") {
                depth -= 1
                skip(2)
            } else {
                skip()
            }
        } while depth > 0 && index < bytes.count
    }

    private mutating func literal(hashes: Int) {
        let guards = String(repeating: "#", count: hashes)
        skip(hashes)
        let quote = isNext("\"\"\"") ? "\"\"\"" : "\""
        skip(quote.utf8.count)
        let start = line
        var content: [UInt8] = []
        while index < bytes.count, !isNext(quote + guards) {
            if isNext("\\" + guards + "(") {
                skip(2 + hashes)
                interpolation()
            } else if isNext("\\" + guards), index + 1 + hashes < bytes.count {
                skip(2 + hashes)
            } else {
                content.append(bytes[index])
                skip()
            }
        }
        skip(quote.utf8.count + hashes)
        literals.append((start, String(decoding: content, as: UTF8.self)))
    }

    private mutating func interpolation() {
        var depth = 1
        while index < bytes.count, depth > 0 {
            if bytes[index] == UInt8(ascii: "(") { depth += 1 }
            if bytes[index] == UInt8(ascii: ")") { depth -= 1 }
            step()
        }
    }

    /// How many `#` stand before the quote that begins here; nil when no literal begins here.
    private func hashesBeforeQuote() -> Int? {
        let hashes = bytes[index...].prefix { $0 == UInt8(ascii: "#") }.count
        return index + hashes < bytes.count && bytes[index + hashes] == UInt8(ascii: "\"") ? hashes : nil
    }

    private func isNext(_ word: String) -> Bool { bytes[index...].starts(with: word.utf8) }

    private mutating func skip(_ count: Int = 1) {
        for _ in 0..<count where index < bytes.count {
            code.append(bytes[index] == UInt8(ascii: "\n") ? UInt8(ascii: "\n") : UInt8(ascii: " "))
            advance()
        }
    }

    private mutating func advance() {
        if bytes[index] == UInt8(ascii: "\n") { line += 1 }
        index += 1
    }
}
