/// A JSON document (RFC 8259), read whole and to a bound.
///
/// Numbers are whole and fit into 64 bits, as the language's do; a key stands once in its object.
package enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Int64)
    case string(Text)
    case array([JSON])
    case object([Text: JSON])

    static let maximumBytes = 64 << 20
    package static let maximumDepth = 100

    package init(parsing text: String, maximumDepth: Int = JSON.maximumDepth) throws(JSONError) {
        var reader = JSONReader(Array(text.utf8), maximumDepth: maximumDepth)
        self = try reader.document()
    }
}

/// Why a text is no JSON, or not what was asked for.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }
}

private struct JSONReader {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var place = 0
    private var depth = 0

    init(_ bytes: [UInt8], maximumDepth: Int) { (self.bytes, self.maximumDepth) = (bytes, maximumDepth) }

    mutating func document() throws(JSONError) -> JSON {
        guard bytes.count <= JSON.maximumBytes else { throw refused("the text is too long") }
        let value = try value()
        skipBlanks()
        guard place == bytes.count else { throw refused("something follows the value") }
        return value
    }

    private mutating func value() throws(JSONError) -> JSON {
        skipBlanks()
        depth += 1
        defer { depth -= 1 }
        guard depth <= maximumDepth else { throw refused("nested too deep") }
        guard place < bytes.count else { throw refused("the text ends too early") }
        switch bytes[place] {
        case UInt8(ascii: "{"): return .object(try object())
        case UInt8(ascii: "["): return .array(try array())
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        default:
            if take("true") { return .bool(true) }
            if take("false") { return .bool(false) }
            if take("null") { return .null }
            throw refused("no value begins like this")
        }
    }

    private mutating func object() throws(JSONError) -> [Text: JSON] {
        place += 1
        var fields: [Text: JSON] = [:]
        skipBlanks()
        if take("}") { return fields }
        repeat {
            skipBlanks()
            let key = try string()
            skipBlanks()
            guard take(":") else { throw refused("expected `:`") }
            guard fields.updateValue(try value(), forKey: key) == nil else {
                throw refused("the key \(StringLiteral.quoted(key.string)) stands twice in its object")
            }
            skipBlanks()
        } while take(",")
        guard take("}") else { throw refused("expected `,` or `}`") }
        return fields
    }

    private mutating func array() throws(JSONError) -> [JSON] {
        place += 1
        var members: [JSON] = []
        skipBlanks()
        if take("]") { return members }
        repeat {
            members.append(try value())
            skipBlanks()
        } while take(",")
        guard take("]") else { throw refused("expected `,` or `]`") }
        return members
    }

    private mutating func number() throws(JSONError) -> Int64 {
        let negative = take("-")
        let digits = bytes[place...].prefix(while: Identifier.isDigit)
        place += digits.count
        guard let value = signedInteger(digits, negative: negative), !digits.isEmpty,
            digits.count == 1 || digits.first != UInt8(ascii: "0"),
            place == bytes.count || ![UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[place])
        else { throw refused("numbers are whole and fit into 64 bits") }
        return value
    }

    private mutating func string() throws(JSONError) -> Text {
        guard take("\"") else { throw refused("expected a string") }
        var text: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return Text(String(decoding: text, as: UTF8.self))
            case UInt8(ascii: "\\"): text.append(contentsOf: String(Character(try escape())).utf8)
            case 0..<0x20: throw refused("a control character in a string")
            default: text.append(byte)
            }
        }
        throw refused("a string has no end")
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        guard place < bytes.count else { throw refused("a string has no end") }
        let byte = bytes[place]
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicode()
        default: throw refused("an unknown escape in a string")
        }
    }

    /// Beyond the first 65,536 a scalar is two units, a high and a low one.
    private mutating func unicode() throws(JSONError) -> Unicode.Scalar {
        let first = try unit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take("\\u"), case let second = try unit(), (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw refused("half of a character in a string") }
        return scalar
    }

    private mutating func unit() throws(JSONError) -> UInt32 {
        let digits = bytes[place...].prefix(4).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 4 else { throw refused("`\\u` needs four hexadecimal digits") }
        place += 4
        return digits.reduce(0) { $0 << 4 | UInt32($1) }
    }

    private mutating func take(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes[place...].prefix(count).elementsEqual(word.description.utf8) else { return false }
        place += count
        return true
    }

    private mutating func skipBlanks() {
        while place < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
    }

    /// Line and column as editors count them.
    private func refused(_ reason: String) -> JSONError {
        let before = bytes.prefix(place)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = String(decoding: bytes[start..<before.endIndex], as: UTF8.self).unicodeScalars.count + 1
        return JSONError("no JSON at \(line):\(column): \(reason)")
    }
}
