/// Cuts a stream of bytes into lines, each of a bounded length (newline-delimited JSON).
package struct LineSplitter: Sendable {
    private let limit: Int
    private var rest: [UInt8] = []

    package init(limit: Int) { self.limit = limit }

    /// The lines that end in these bytes, without their ends; empty lines are no lines.
    package mutating func take(_ bytes: some Collection<UInt8>) throws(NodeError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var left = bytes[...]
        while let end = left.firstIndex(of: UInt8(ascii: "\n")) {
            try add(left[..<end])
            if !rest.isEmpty { lines.append(rest) }
            rest = []
            left = left[left.index(after: end)...]
        }
        try add(left)
        return lines
    }

    private mutating func add(_ bytes: some Collection<UInt8>) throws(NodeError) {
        guard rest.count + bytes.count <= limit else { throw NodeError("a line is longer than \(limit) bytes") }
        rest += bytes
    }
}
