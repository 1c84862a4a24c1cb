/// A name that text from outside failed to be.
package struct NameError: Error, Equatable, Sendable, CustomStringConvertible {
    package let kind: String
    package let text: String
    package let rule: String

    package var description: String { "`\(text.prefix(80))` is not a name for \(kind): \(rule)" }
}

/// A checked name that is encoded as its text.
///
/// Each kind has its own type, so that a node's name is never taken for a service's.
package protocol MeshName: RawRepresentable<String>, Hashable, Comparable, Codable, Sendable, CustomStringConvertible,
    CodingKeyRepresentable
{
    static var kind: String { get }
    init(_ text: String) throws(NameError)
    init(unchecked text: String)
}

extension MeshName {
    package init?(rawValue: String) { try? self.init(rawValue) }
    package var description: String { rawValue }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    fileprivate static func checked(_ text: String, separator: Character?) throws(NameError) -> String {
        let parts = separator.map { text.split(separator: $0, omittingEmptySubsequences: false) } ?? [text[...]]
        guard text.utf8.count <= 253, parts.allSatisfy(isLabel) else {
            throw NameError(
                kind: kind, text: text,
                rule: "use lower-case letters, digits and `-`, at most 63 to a label, a letter or digit at both ends")
        }
        return text
    }
}

/// A DNS label (RFC 1123 §2.1), lower case, so that every name can stand in a host name and in a SPIFFE id.
private func isLabel(_ label: Substring) -> Bool {
    let bytes = label.utf8
    guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else {
        return false
    }
    return bytes.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
    }
}

/// The mesh: a DNS name that is also the SPIFFE trust domain.
package struct MeshDomain: MeshName {
    package static let kind = "a mesh"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: ".") }
    package init(unchecked text: String) { rawValue = text }
}

/// A machine that joined the mesh.
package struct NodeName: MeshName {
    package static let kind = "a node"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: nil) }
    package init(unchecked text: String) { rawValue = text }
}

/// An agent. A crew's roles stand below it: `crew/writer`.
package struct AgentName: MeshName {
    package static let kind = "an agent"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: "/") }
    package init(unchecked text: String) { rawValue = text }

    /// The agent that this one stands below: `crew` for `crew/writer`.
    package var parent: AgentName? {
        rawValue.lastIndex(of: "/").map { AgentName(unchecked: String(rawValue[..<$0])) }
    }
}

/// Something that agents call.
package struct ServiceName: MeshName {
    package static let kind = "a service"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: nil) }
    package init(unchecked text: String) { rawValue = text }
}

/// A group of agents or people.
package struct GroupName: MeshName {
    package static let kind = "a group"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: nil) }
    package init(unchecked text: String) { rawValue = text }
}

/// A label on nodes and services.
package struct TagName: MeshName {
    package static let kind = "a tag"
    package let rawValue: String
    package init(_ text: String) throws(NameError) { rawValue = try Self.checked(text, separator: nil) }
    package init(unchecked text: String) { rawValue = text }
}

/// A person: an owner of agents, an admin.
package struct UserName: MeshName {
    package static let kind = "a person"
    package let rawValue: String
    package init(_ text: String) throws(NameError) {
        _ = try Self.checked(text.replacing("@", with: "."), separator: ".")
        rawValue = text
    }
    package init(unchecked text: String) { rawValue = text }
}

/// A document of policies: a relative path such as `demo.cedar`.
package struct PolicyName: MeshName {
    package static let kind = "a policy document"
    package let rawValue: String
    package init(_ text: String) throws(NameError) {
        do { _ = try Self.checked(text.replacing(".", with: "/").replacing("_", with: "-"), separator: "/") } catch {
            throw NameError(kind: Self.kind, text: text, rule: error.rule)
        }
        rawValue = text
    }
    package init(unchecked text: String) { rawValue = text }
}

/// One run of an agent: 128 random bits as 32 hexadecimal digits.
package struct SessionID: MeshName {
    package static let kind = "a session"
    package let rawValue: String
    package init(_ text: String) throws(NameError) {
        guard text.utf8.count == 32, text.utf8.allSatisfy(isHexDigit) else {
            throw NameError(kind: Self.kind, text: text, rule: "it is 32 lower-case hexadecimal digits")
        }
        rawValue = text
    }
    package init(unchecked text: String) { rawValue = text }

    package static func random(using generator: inout some RandomNumberGenerator) -> SessionID {
        SessionID(unchecked: hex((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }))
    }
}

private func isHexDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
}
