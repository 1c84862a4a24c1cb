/// One file of a spool: a head, then a line for each record.
///
///     postern-audit 1 <spool> <sequence of the first record> <hash of the record before it>
///     <hash of the text> <text>
///
/// A line whose hash does not fit, or without its end, was being written when the machine stopped.
struct SpoolSegment: Equatable, Sendable {
    let spool: UInt64
    let first: UInt64
    /// Of the record before the first one.
    let previous: AuditHash

    private static let magic = "postern-audit 1"
    private static let suffix = ".spool"

    /// In the order of the names is in the order of the records.
    var name: String { "\(padded(spool))-\(padded(first))\(Self.suffix)" }
    var head: [UInt8] { Array("\(Self.magic) \(spool) \(first) \(previous)\n".utf8) }

    static func isName(_ name: String) -> Bool { name.hasSuffix(suffix) }

    /// The spool and the first record that a file's name tells.
    static func numbers(in name: String) -> (spool: UInt64, first: UInt64)? {
        let parts = name.dropLast(suffix.count).split(separator: "-")
        guard isName(name), parts.count == 2, let spool = UInt64(parts[0]), let first = UInt64(parts[1]) else {
            return nil
        }
        return (spool, first)
    }

    init(spool: UInt64, first: UInt64, previous: AuditHash) {
        (self.spool, self.first, self.previous) = (spool, first, previous)
    }

    /// Reads the head; nil where it is torn.
    init?(head bytes: some Collection<UInt8>) {
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard words.count == 5, words[0] + " " + words[1] == Self.magic, let spool = UInt64(words[2]),
            let first = UInt64(words[3]), let previous = AuditHash(hex: words[4].utf8)
        else { return nil }
        self.init(spool: spool, first: first, previous: previous)
        guard head.dropLast() == Array(bytes)[...] else { return nil }
    }

    static func line(_ text: [UInt8], hash: AuditHash) -> [UInt8] {
        var line = hash.hexDigits
        line.reserveCapacity(line.count + text.count + 2)
        line.append(UInt8(ascii: " "))
        line += text
        line.append(.newline)
        return line
    }

    /// The text of a line without its end, and its hash; nil where they do not fit.
    static func content(of line: ArraySlice<UInt8>) -> (text: [UInt8], hash: AuditHash)? {
        let digits = 2 * AuditHash.length
        guard line.count > digits, line[line.startIndex + digits] == UInt8(ascii: " "),
            let hash = AuditHash(hex: line.prefix(digits))
        else { return nil }
        let text = Array(line.dropFirst(digits + 1))
        return AuditHash(of: text) == hash ? (text, hash) : nil
    }

    /// What a file holds.
    struct Reading {
        let segment: SpoolSegment
        var records: [(text: [UInt8], hash: AuditHash)] = []
        /// How many bytes from the start on are whole.
        var length: Int
        /// How many behind them are not.
        var torn: Int
    }

    /// Nil where not even the head is whole.
    static func read(_ bytes: [UInt8]) -> Reading? {
        var lines = bytes.split(separator: .newline, omittingEmptySubsequences: false)[...]
        // What stands behind the last end of a line is nothing, or torn.
        lines.removeLast()
        guard let head = lines.popFirst(), let segment = SpoolSegment(head: head) else { return nil }
        var reading = Reading(segment: segment, length: head.count + 1, torn: 0)
        for line in lines {
            guard let content = content(of: line) else { break }
            reading.records.append(content)
            reading.length += line.count + 1
        }
        reading.torn = bytes.count - reading.length
        return reading
    }
}

/// Twenty digits, so that names are in the order of numbers.
func padded(_ number: UInt64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: 20 - digits.count) + digits
}

extension UInt8 {
    static let newline = UInt8(ascii: "\n")
}
