import CoordinationAPI
package import Mesh

/// An event in its place in a node's chain.
///
/// The text is what is hashed, stored and exported; nobody encodes it again. Each text holds the hash of the one before
/// it, so a node's records are a chain from the first of its spool, over restarts of the daemon and of the machine:
///
///     {"node":"a","spool":1700000000000,"sequence":7,"previous":"<SHA-256 of text 6>","time":…,"kind":"flow-denied",…}
package struct AuditRecord: Equatable, Sendable {
    package let node: NodeName
    /// When the node's spool was made, in milliseconds since 1970: a node that lost its spool begins another chain.
    package let spool: UInt64
    /// From 1 on.
    package let sequence: UInt64
    package let previous: AuditHash
    package let event: AuditEvent

    /// The longest text, in bytes: what the bounds of an event add up to, and more.
    package static let maximumLength = 8192

    package init(node: NodeName, spool: UInt64, sequence: UInt64, previous: AuditHash, event: AuditEvent) {
        (self.node, self.spool, self.sequence) = (node, spool, sequence)
        (self.previous, self.event) = (previous, event.bounded)
    }

    /// What it is called wherever it is shown: no two have the same.
    package var id: String { "\(node)-\(spool)-\(sequence)" }

    /// Reads a text, which must be exactly as we would write it: two readers never see two things in it.
    package init(parsing text: [UInt8]) throws(AuditError) {
        guard text.count <= Self.maximumLength else {
            throw AuditError("a record is longer than \(Self.maximumLength) bytes")
        }
        do { self = try JSON.decode(AuditRecord.self, from: text) } catch {
            throw AuditError("a record cannot be read: \(error.reason)")
        }
        guard self.text == text else { throw AuditError("a record is not written as records are") }
    }
}

extension AuditRecord: Decodable {
    private enum Key: CodingKey { case node, spool, sequence, previous }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        node = try container.decode(NodeName.self, forKey: .node)
        spool = try container.decode(UInt64.self, forKey: .spool)
        sequence = try container.decode(UInt64.self, forKey: .sequence)
        previous = try container.decode(AuditHash.self, forKey: .previous)
        event = try AuditEvent(from: decoder)
    }
}

// MARK: - The text

extension AuditRecord {
    /// Written by hand, for a node writes twenty thousand in a second.
    package var text: [UInt8] {
        var writer = ObjectWriter()
        writer.add("node", node.rawValue)
        writer.add("spool", spool)
        writer.add("sequence", sequence)
        writer.add("previous", digits: previous)
        writer.add("time", event.time.rawValue)
        writer.add("kind", event.kind.rawValue)
        writer.add("session", event.session?.rawValue)
        writer.add("agent", event.agent?.rawValue)
        writer.add("owner", event.owner?.rawValue)
        writer.add("person", event.person?.rawValue)
        writer.add("uid", event.uid)
        writer.add("chain", event.chain)
        writer.add("service", event.service?.rawValue)
        writer.add("target", event.target)
        writer.add("transport", event.transport)
        writer.add("port", event.port?.rawValue)
        writer.add("place", event.place)
        writer.add("policies", event.policies)
        writer.add("reason", event.reason)
        writer.add("count", event.count)
        return writer.finished
    }
}

/// Writes the members of one object in the order in which they are added; what is nil is left out.
private struct ObjectWriter {
    private var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(512) }

    var finished: [UInt8] { bytes + [UInt8(ascii: "}")] }

    mutating func add(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        begin(name)
        write(value)
    }

    mutating func add(_ name: StaticString, _ value: (some BinaryInteger)?) {
        guard let value else { return }
        begin(name)
        bytes += String(value).utf8
    }

    mutating func add(_ name: StaticString, digits hash: AuditHash) {
        begin(name)
        bytes.append(UInt8(ascii: "\""))
        bytes += hash.hexDigits
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func add(_ name: StaticString, _ values: [String]?) {
        guard let values else { return }
        begin(name)
        bytes.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(value)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func begin(_ name: StaticString) {
        bytes.append(bytes.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
        write("\(name)")
        bytes.append(UInt8(ascii: ":"))
    }

    /// Control characters have been taken out before.
    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
