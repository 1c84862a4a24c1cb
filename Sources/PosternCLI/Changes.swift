import CoordinationAPI

/// Signs statements, sends them as one change, and says what came of it.
func change(_ statements: [Statement], as options: AdminOptions, done sentence: String) async throws {
    let access = try options.load()
    let request = try access.sign(statements, at: wallClock())
    let answer = try await CoordinatorClient.with(access) { try await $0.change(request) }
    Terminal.current.print("\(sentence); the mesh is at version \(answer.version)")
}
