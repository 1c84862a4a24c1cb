/// What `like` compares a string with: pieces of text with anything between them.
public struct Pattern: Hashable, Sendable, CustomStringConvertible {
    /// What stands between the wildcards, so one more than there are of these; never empty.
    public let pieces: [Text]

    public init(pieces: [Text]) {
        precondition(!pieces.isEmpty, "a pattern has a piece before its first wildcard")
        self.pieces = pieces
    }

    /// The pattern of a string, each star of which is a wildcard but those at the places `literalStars`.
    init(_ bytes: some Collection<UInt8>, literalStars: Set<Int> = []) {
        var pieces: [[UInt8]] = [[]]
        for (place, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "*"), !literalStars.contains(place) {
                pieces.append([])
            } else {
                pieces[pieces.count - 1].append(byte)
            }
        }
        self.init(pieces: pieces.map { Text(String(decoding: $0, as: UTF8.self)) })
    }

    /// The literal of the pattern: `"*"` stands for any text, `"\*"` for a star.
    public var description: String {
        let bodies = pieces.map { piece in
            StringLiteral.body(piece.string).unicodeScalars.map { $0 == "*" ? "\\*" : String($0) }.joined()
        }
        return "\"\(bodies.joined(separator: "*"))\""
    }

    public func matches(_ text: Text) -> Bool {
        var rest = Array(text.string.utf8)[...]
        let pieces = pieces.map { Array($0.string.utf8) }
        guard let first = pieces.first, let last = pieces.last, rest.starts(with: first) else { return false }
        rest = rest.dropFirst(first.count)
        guard pieces.count > 1 else { return rest.isEmpty }
        // The leftmost place is the best one for each piece but the last, whose place is the end.
        for piece in pieces.dropFirst().dropLast() {
            guard let place = Self.firstPlace(of: piece, in: rest) else { return false }
            rest = rest[(place + piece.count)...]
        }
        return rest.count >= last.count && rest.suffix(last.count).elementsEqual(last)
    }

    private static func firstPlace(of piece: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard !piece.isEmpty else { return bytes.startIndex }
        guard bytes.count >= piece.count else { return nil }
        return (bytes.startIndex...bytes.endIndex - piece.count).first { bytes[$0...].starts(with: piece) }
    }
}
