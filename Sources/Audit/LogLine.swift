import Mesh

/// One line of the log: an entry and the chain up to it.
///
///     {"number":7,"received":1700000000000,"record":{…},"chain":"…"}
///     {"number":8,"received":1700000000001,"checkpoint":{"statement":{…},"signature":"…"},"chain":"…"}
///
/// `chain` is the SHA-256 of the chain before it (32 bytes) and of the line's bytes up to the comma before `"chain"`.
struct LogLine: Equatable, Sendable {
    enum Kind: String, CaseIterable, Sendable { case record, checkpoint }

    let number: UInt64
    let received: Timestamp
    let kind: Kind
    let content: [UInt8]
    /// What the chain is over.
    let body: [UInt8]
    let chain: AuditHash

    static let maximumLength = AuditRecord.maximumLength + 512

    private static let behind = Array(",\"chain\":\"".utf8)
    private static let end = Array("\"}".utf8)

    init(number: UInt64, received: Timestamp, _ kind: Kind, _ content: [UInt8], after previous: AuditHash) {
        (self.number, self.received, self.kind, self.content) = (number, received, kind, content)
        body = Array("{\"number\":\(number),\"received\":\(received.rawValue),\"\(kind.rawValue)\":".utf8) + content
        chain = AuditHash(of: body, behind: previous)
    }

    var text: [UInt8] { body + Self.behind + chain.hexDigits + Self.end }

    /// Reads a line; nil for what is not exactly one. Whether the chain is right is another question.
    init?(_ text: some Collection<UInt8>) {
        let tail = Self.behind.count + 2 * AuditHash.length + Self.end.count
        guard text.count > tail, text.count <= Self.maximumLength else { return nil }
        let (body, rest) = (Array(text.dropLast(tail)), Array(text.suffix(tail)))
        guard rest.starts(with: Self.behind), rest.suffix(Self.end.count) == Self.end[...],
            let chain = AuditHash(hex: rest.dropFirst(Self.behind.count).dropLast(Self.end.count))
        else { return nil }
        var scanner = body[...]
        guard Self.take("{\"number\":", from: &scanner), let number = Self.number(from: &scanner),
            Self.take(",\"received\":", from: &scanner), let received = Self.number(from: &scanner),
            let moment = Int64(exactly: received), number > 0, number < UInt64(Int64.max),
            let kind = Kind.allCases.first(where: { Self.take(",\"\($0.rawValue)\":", from: &scanner) })
        else { return nil }
        (self.number, self.received, self.kind) = (number, Timestamp(rawValue: moment), kind)
        (self.content, self.body, self.chain) = (Array(scanner), body, chain)
    }

    private static func take(_ text: String, from bytes: inout ArraySlice<UInt8>) -> Bool {
        guard bytes.starts(with: text.utf8) else { return false }
        bytes = bytes.dropFirst(text.utf8.count)
        return true
    }

    /// Decimal, without zeros in front.
    private static func number(from bytes: inout ArraySlice<UInt8>) -> UInt64? {
        let digits = bytes.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard digits.count <= 20, digits.count == 1 || digits.first != UInt8(ascii: "0"),
            let number = UInt64(String(decoding: digits, as: UTF8.self))
        else { return nil }
        bytes = bytes.dropFirst(digits.count)
        return number
    }
}
