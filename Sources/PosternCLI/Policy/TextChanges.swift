/// What changes between two texts, line by line, in the unified form of `diff -u`.
struct TextChanges {
    private static let context = 3
    /// Finding the fewest changes takes time by the square of their number; longer texts are told by their lengths alone.
    private static let maximumLines = 5000

    private enum Line {
        case kept(Substring)
        case gone(Substring)
        case come(Substring)

        var text: String {
            switch self {
            case .kept(let line): " \(line)"
            case .gone(let line): "-\(line)"
            case .come(let line): "+\(line)"
            }
        }

        var isKept: Bool { if case .kept = self { true } else { false } }
        var isOld: Bool { if case .come = self { false } else { true } }
        var isNew: Bool { if case .gone = self { false } else { true } }
    }

    /// Empty where nothing changes.
    let text: String

    /// - Parameters:
    ///   - old: nil where there is none yet.
    ///   - new: nil where it goes.
    init(in name: String, from old: String?, to new: String?) {
        let (before, after) = (Self.lines(of: old), Self.lines(of: new))
        guard before != after else {
            text = ""
            return
        }
        let header = "--- \(old == nil ? "/dev/null" : name)\n+++ \(new == nil ? "/dev/null" : name)\n"
        guard before.count + after.count <= Self.maximumLines else {
            text = header + "@@ too long to compare: \(before.count) lines, then \(after.count) @@\n"
            return
        }
        text = header + Self.hunks(Self.lines(from: before, to: after))
    }

    private static func lines(of text: String?) -> [Substring] {
        var lines = (text ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }

    /// All lines of both, in order.
    private static func lines(from old: [Substring], to new: [Substring]) -> [Line] {
        var (gone, come) = (Set<Int>(), Set<Int>())
        for change in new.difference(from: old) {
            switch change {
            case .remove(let offset, _, _): gone.insert(offset)
            case .insert(let offset, _, _): come.insert(offset)
            }
        }
        var lines: [Line] = []
        var (i, j) = (0, 0)
        while i < old.count || j < new.count {
            if gone.contains(i) {
                lines.append(.gone(old[i]))
                i += 1
            } else if come.contains(j) {
                lines.append(.come(new[j]))
                j += 1
            } else {
                lines.append(.kept(old[i]))
                (i, j) = (i + 1, j + 1)
            }
        }
        return lines
    }

    /// What changes, with some lines around it.
    private static func hunks(_ lines: [Line]) -> String {
        let changed = lines.indices.filter { !lines[$0].isKept }
        var ranges: [Range<Int>] = []
        for index in changed {
            let range = max(0, index - context)..<min(lines.count, index + context + 1)
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
        var (text, done, oldLine, newLine) = ("", 0, 1, 1)
        for range in ranges {
            oldLine += lines[done..<range.lowerBound].count(where: \.isOld)
            newLine += lines[done..<range.lowerBound].count(where: \.isNew)
            let (olds, news) = (lines[range].count(where: \.isOld), lines[range].count(where: \.isNew))
            // A side without lines is named by the line before it, as diff does.
            let (oldStart, newStart) = (olds == 0 ? oldLine - 1 : oldLine, news == 0 ? newLine - 1 : newLine)
            text += "@@ -\(oldStart),\(olds) +\(newStart),\(news) @@\n"
            text += lines[range].map { $0.text + "\n" }.joined()
            (done, oldLine, newLine) = (range.upperBound, oldLine + olds, newLine + news)
        }
        return text
    }
}
