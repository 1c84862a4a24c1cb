/// A text whose line breaks are not chosen yet, after Wadler's _A prettier printer_.
///
/// A group stands on one line if it fits there, with all groups in it; else each of its own lines breaks.
indirect enum Layout: Sendable {
    case text(String)
    /// A break, or this if there is none.
    case line(String)
    case hardLine
    case concat([Layout])
    /// Breaks in it go this much further to the right.
    case nest(Int, Layout)
    case group(Layout)

    static let empty = Layout.concat([])
    static let line = Layout.line(" ")
    static let softLine = Layout.line("")

    private var isEmpty: Bool {
        switch self {
        case .text, .line, .hardLine: false
        case .concat(let parts): parts.allSatisfy(\.isEmpty)
        case .nest(_, let inner), .group(let inner): inner.isEmpty
        }
    }

    private enum Mode { case flat, broken }
    private struct Item {
        let indent: Int
        let mode: Mode
        let layout: Layout
    }

    func text(width: Int) -> String {
        var text = ""
        var column = 0
        var stack = [Item(indent: 0, mode: .broken, layout: self)]
        while let item = stack.popLast() {
            switch item.layout {
            case .text(let piece):
                text += piece
                column += DisplayWidth.of(piece)
            case .line(let flat) where item.mode == .flat:
                text += flat
                column += flat.unicodeScalars.count
            case .line, .hardLine:
                // What comes next may stand further to the left than what ends here.
                column = stack.last?.indent ?? item.indent
                text += "\n" + String(repeating: " ", count: column)
            case .concat(let parts):
                let more = parts.reversed().filter { !$0.isEmpty }
                stack += more.map { Item(indent: item.indent, mode: item.mode, layout: $0) }
            case .nest(let more, let inner):
                stack.append(Item(indent: item.indent + more, mode: item.mode, layout: inner))
            case .group(let inner):
                let isFlat = item.mode == .flat || Self.fits(inner, before: stack, in: width - column)
                stack.append(Item(indent: item.indent, mode: isFlat ? .flat : .broken, layout: inner))
            }
        }
        return text
    }

    /// Whether a layout on one line, and what follows it up to the next break, is no longer than this.
    private static func fits(_ layout: Layout, before rest: [Item], in width: Int) -> Bool {
        var left = width
        var following = rest.count
        var mode = Mode.flat
        var stack = [layout]
        while true {
            guard let next = stack.popLast() else {
                guard following > 0 else { return true }
                following -= 1
                mode = .broken
                stack.append(rest[following].layout)
                continue
            }
            switch next {
            case .text(let piece): left -= DisplayWidth.of(piece)
            case .line(let flat) where mode == .flat: left -= flat.unicodeScalars.count
            case .line: return true
            // A group with a break that must be does not fit on a line.
            case .hardLine: return mode == .broken
            case .concat(let parts): stack += parts.reversed()
            case .nest(_, let inner), .group(let inner): stack.append(inner)
            }
            if left < 0 { return false }
        }
    }
}
