import CoordinationAPI

@testable import PosternNode

/// Serves until `body` has returned, and checks that the server then ends.
func serve(_ server: LocalServer, _ body: @escaping @Sendable (String) throws -> Void) async throws {
    try await withThrowingTaskGroup { group in
        group.addTask { try await server.run { await answer($0) } }
        let result: Result<Void, any Error>
        do { result = .success(try await blocking { try body(server.path) }) } catch { result = .failure(error) }
        group.cancelAll()
        try await group.waitForAll()
        try result.get()
    }
}

/// Answers every request with what it was, and writes each descriptor's number into it. Two say more: one who
/// asked, one more than a caller can take that does not read.
private func answer(_ connection: LocalConnection) async {
    for await received in connection.requests {
        switch received.request {
        case .status: connection.send(.notice("status"))
        case .attach: connection.send(.notice("attach"))
        case .signal(let number): connection.send(.notice("signal \(number)"))
        case .run:
            for (index, descriptor) in received.descriptors.all.enumerated() {
                _ = writeAll(descriptor, Array("\(index) ".utf8))
            }
            connection.send(.notice("run with \(received.descriptors.all.count)"))
        case .why:
            let caller = try? Caller(of: connection)
            let text = caller.map { "\($0.pid) as \($0.uid):\($0.gid)" } ?? "nobody"
            connection.send(.notice("asked by " + text))
        case .endSession:
            for _ in 0..<1000 { connection.send(.notice(String(repeating: "x", count: 10_000))) }
        default: connection.send(.failed("no test asks this"))
        }
    }
}
