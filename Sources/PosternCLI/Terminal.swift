import Glibc

/// Where a command writes: results to standard output, everything else to standard error.
struct Terminal: Sendable {
    let output: @Sendable (String) -> Void
    let errors: @Sendable (String) -> Void

    /// Tests put their own in its place.
    @TaskLocal static var current = Terminal(output: { write($0, to: 1) }, errors: { write($0, to: 2) })

    func print(_ text: String) { output(text.hasSuffix("\n") ? text : text + "\n") }

    /// A sentence for people: `postern: …`.
    func complain(_ text: String) { errors("postern: \(printable(text))\n") }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || (count < 0 && errno == EINTR) else { return }
            rest = rest.dropFirst(max(0, count))
        }
    }
}

/// The text without what could drive a terminal: it may come from another machine.
func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control where scalar == "\n": scalar
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: "\u{FFFD}"
                default: scalar
                }
            }))
}
