/// Writes JSON, the keys of objects in order, so that equal documents are equal texts.
extension JSON: CustomStringConvertible {
    /// On one line.
    package var description: String {
        var text = ""
        write(into: &text, indent: nil)
        return text
    }

    /// Over several lines, for people.
    package var pretty: String {
        var text = ""
        write(into: &text, indent: 0)
        return text
    }

    private func write(into text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let bool): text += "\(bool)"
        case .number(let number): text += "\(number)"
        case .string(let string): Self.write(string, into: &text)
        case .array(let members):
            Self.write(members.map { (nil, $0) }, "[", "]", into: &text, indent: indent)
        case .object(let fields):
            Self.write(
                fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, "{", "}", into: &text, indent: indent)
        }
    }

    private static func write(
        _ members: [(key: Text?, value: JSON)], _ open: String, _ close: String, into text: inout String, indent: Int?
    ) {
        text += open
        let inner = indent.map { $0 + 2 }
        for (number, member) in members.enumerated() {
            if number > 0 { text += "," }
            if let inner { text += "\n" + String(repeating: " ", count: inner) }
            if let key = member.key {
                write(key, into: &text)
                text += indent == nil ? ":" : ": "
            }
            member.value.write(into: &text, indent: inner)
        }
        if let indent, !members.isEmpty { text += "\n" + String(repeating: " ", count: indent) }
        text += close
    }

    private static func write(_ string: Text, into text: inout String) {
        text += "\""
        for scalar in string.string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
