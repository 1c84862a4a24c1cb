import Cedar

/// A text that was read for a command, and what it is called where something is wrong with it.
struct SourceText {
    let name: String
    let text: String

    /// - Parameters:
    ///   - path: nil for standard input.
    ///   - what: what the text is, for the sentence that it cannot be read.
    init(of path: String?, what: String) throws(CommandFailure) {
        name = path ?? "<stdin>"
        text = try PlainFile.read(path, what: what)
    }

    /// What was typed as an argument.
    init(argument text: String, of flag: String) { (name, self.text) = (flag, text) }

    /// `name:line:column: mistake`, each with its line.
    func failure(_ error: ParseError) -> CommandFailure {
        CommandFailure(error.diagnostics.map { "\(name):\($0.rendering)" }.joined(separator: "\n"))
    }

    func failure(_ error: JSONError) -> CommandFailure { CommandFailure("\(name): \(error)") }

    func failure(_ error: SchemaError) -> CommandFailure {
        if case .syntax(let error) = error { failure(error) } else { CommandFailure("\(name): \(error)") }
    }

    /// `name:line:column: message` with the line, where the place is known.
    func place(_ message: String, at range: SourceRange?) -> String {
        guard let range, range.start != range.end else { return "\(name): \(message)" }
        return "\(name):\(Diagnostic(message, at: range, in: text).rendering)"
    }
}

extension SourceText {
    func entity(_ what: String) throws(CommandFailure) -> EntityUID {
        do { return try EntityUID(parsing: text) } catch {
            throw CommandFailure("the \(what) is no entity such as `User::\"alice\"`:\n\(failure(error))")
        }
    }
}
