import Synchronization

@testable import PosternCLI

/// Takes what a command writes.
final class Recorder: Sendable {
    private let texts = Mutex((output: "", errors: ""))

    var output: String { texts.withLock { $0.output } }
    var errors: String { texts.withLock { $0.errors } }

    private var terminal: Terminal {
        Terminal(
            output: { text in self.texts.withLock { $0.output += text } },
            errors: { text in self.texts.withLock { $0.errors += text } })
    }

    /// Runs `postern` with these arguments.
    func postern(_ arguments: [String]) async -> Int32 {
        await Terminal.$current.withValue(terminal) { await PosternCommand.perform(arguments).rawValue }
    }

    func during<Value>(_ work: () throws -> Value) rethrows -> Value {
        try Terminal.$current.withValue(terminal, operation: work)
    }
}
