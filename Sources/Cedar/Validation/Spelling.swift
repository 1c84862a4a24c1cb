/// Finds the name that someone may have meant.
enum Spelling {
    /// The nearest of these, if it is near.
    static func nearest(to name: Text, among candidates: [Text]) -> Text? {
        let wanted = Array(name.string.utf8.prefix(64))
        return candidates.prefix(1000).map { ($0, distance(wanted, Array($0.string.utf8.prefix(64)))) }
            .filter { $0.1 <= max(1, wanted.count / 3) }
            .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
    }

    /// How many letters must be put in, taken out or changed.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (number, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = number + 1
            for place in right.indices {
                let change = diagonal + (right[place] == letter ? 0 : 1)
                diagonal = row[place + 1]
                row[place + 1] = min(change, row[place] + 1, row[place + 1] + 1)
            }
        }
        return row[right.count]
    }
}
