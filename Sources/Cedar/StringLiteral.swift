/// The string literals of the language, whose escapes are Rust's.
enum StringLiteral {
    /// Prints a string as a literal that reads back as the same string.
    static func quoted(_ string: String) -> String { "\"\(body(string))\"" }

    /// The literal without its quotes, which a mark at its start must not join: then they would be one `Character`.
    static func body(_ string: String) -> String {
        var text = ""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\0": text += "\\0"
            case _ where scalar.isPrintable: text.unicodeScalars.append(scalar)
            default: text += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return text
    }

    /// Why an escape sequence is none.
    struct BadEscape: Error, Equatable {
        let reason: String
        /// Bytes of the sequence, from its backslash.
        let length: Int
    }

    /// Reads the escape sequence at the start of `bytes`, which is a backslash.
    static func unescape(_ bytes: ArraySlice<UInt8>) throws(BadEscape) -> (scalar: Unicode.Scalar, length: Int) {
        let digits = bytes.dropFirst(2)
        switch bytes.dropFirst().first {
        case UInt8(ascii: "\""): return ("\"", 2)
        case UInt8(ascii: "'"): return ("'", 2)
        case UInt8(ascii: "\\"): return ("\\", 2)
        case UInt8(ascii: "n"): return ("\n", 2)
        case UInt8(ascii: "r"): return ("\r", 2)
        case UInt8(ascii: "t"): return ("\t", 2)
        case UInt8(ascii: "0"): return ("\0", 2)
        case UInt8(ascii: "x"): return try ascii(digits.prefix(2))
        case UInt8(ascii: "u"): return try unicode(digits)
        default: throw BadEscape(reason: "unknown escape sequence in a string", length: min(2, bytes.count))
        }
    }

    /// `\xHH`, at most 7F.
    private static func ascii(_ digits: ArraySlice<UInt8>) throws(BadEscape) -> (Unicode.Scalar, Int) {
        guard digits.count == 2, let value = hexadecimal(digits), value < 0x80 else {
            throw BadEscape(reason: "`\\x` needs two hexadecimal digits, at most 7F", length: 2)
        }
        return (Unicode.Scalar(UInt8(value)), 4)
    }

    /// `\u{H}` to `\u{HHHHHH}`. As in Rust, underscores may stand anywhere behind the first digit.
    private static func unicode(_ rest: ArraySlice<UInt8>) throws(BadEscape) -> (Unicode.Scalar, Int) {
        let written = rest.dropFirst().prefix { $0 != UInt8(ascii: "}") && $0 != UInt8(ascii: "\"") }
        let digits = written.lazy.filter { $0 != UInt8(ascii: "_") }.prefix(7)
        guard rest.first == UInt8(ascii: "{"), written.first != UInt8(ascii: "_"), (1...6).contains(digits.count),
            rest[written.endIndex...].first == UInt8(ascii: "}"),
            let value = hexadecimal(digits), let scalar = Unicode.Scalar(value)
        else { throw BadEscape(reason: "`\\u` needs a Unicode scalar in braces, such as `\\u{1F600}`", length: 2) }
        return (scalar, written.count + 4)
    }

    private static func hexadecimal(_ digits: some Sequence<UInt8>) -> UInt32? {
        var value: UInt32 = 0
        for digit in digits {
            guard let nibble = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(nibble)
        }
        return value
    }
}

extension Unicode.Scalar {
    /// Whether the scalar may stand in output as it is: it drives no terminal and reorders or hides no text.
    var isPrintable: Bool {
        guard value >= 0x80 else { return value >= 0x20 && value != 0x7F }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate, .privateUse,
            .unassigned:
            false
        default: true
        }
    }
}
