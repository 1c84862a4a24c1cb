import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Why bytes from outside are not the message they should be.
package struct MessageError: Error, Equatable, Sendable, CustomStringConvertible {
    package let reason: String
    package var description: String { reason }
    package init(reason: String) { self.reason = reason }
}

/// The one way that messages are written and read: UTF-8 JSON, keys sorted, nesting bounded.
package enum JSON {
    /// Deeper than any message of ours, far from what a recursive decoder survives.
    package static let maximumDepth = 32

    package static func encode(_ value: some Encodable) throws(MessageError) -> [UInt8] {
        try encode(value, formatting: [.sortedKeys, .withoutEscapingSlashes])
    }

    /// For people: one member a line.
    package static func pretty(_ value: some Encodable) throws(MessageError) -> String {
        String(
            decoding: try encode(value, formatting: [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]),
            as: UTF8.self)
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(MessageError) -> Value
    {
        guard depth(of: bytes) <= maximumDepth else {
            throw MessageError(reason: "it is nested deeper than \(maximumDepth) levels")
        }
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch {
            throw MessageError(reason: sentence(for: error))
        }
    }

    private static func encode(
        _ value: some Encodable, formatting: JSONEncoder.OutputFormatting
    ) throws(MessageError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        do { return Array(try encoder.encode(value)) } catch {
            throw MessageError(reason: "it cannot be written as JSON: \(sentence(for: error))")
        }
    }

    /// The deepest nesting of brackets outside strings.
    private static func depth(of bytes: [UInt8]) -> Int {
        var (depth, deepest, inString, escaped) = (0, 0, false, false)
        for byte in bytes {
            if escaped {
                escaped = false
            } else if inString {
                escaped = byte == UInt8(ascii: "\\")
                inString = byte != UInt8(ascii: "\"")
            } else if byte == UInt8(ascii: "\"") {
                inString = true
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                depth += 1
                deepest = max(deepest, depth)
            } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                depth -= 1
            }
        }
        return deepest
    }

    private static func sentence(for error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            "`\(path(context.codingPath + [key]))` is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "`\(path(context.codingPath))` has the wrong type"
        case DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty:
            "it is not valid JSON"
        case DecodingError.dataCorrupted(let context):
            "`\(path(context.codingPath))`: \(context.debugDescription)"
        default: "\(error)"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        let text = keys.map { key in key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)" }.joined()
        return String((text.hasPrefix(".") ? text.dropFirst() : text[...]).prefix(200))
    }
}
