import CoordinationAPI
import Identity
import Mesh
import PosternNode
import Synchronization
import Testing

@Suite struct MapStreamTests {
    private let mesh: SignedMesh

    init() throws { mesh = try SignedMesh(issuedAt: .wall) }

    @Test(.timeLimit(.minutes(1)))
    func `events come one by one, however their bytes are cut`() async throws {
        let events = [try mesh.event(), mesh.event(MapChanges(from: 7)), try mesh.event(version: 9)]
        let bytes = try events.flatMap { try JSON.encode($0) + [UInt8(ascii: "\n")] }
        try await FakeCoordinator.serving(mesh) { coordinator in
            coordinator.greet(with: Array(bytes.prefix(100)))
            let got = try await self.follow(coordinator, until: 3) { count in
                if count == 0 {
                    coordinator.send(Array(bytes[100..<bytes.count - 5]))
                    coordinator.send(Array(bytes.suffix(5)))
                }
            }
            #expect(got == events)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a node that comes back says what it has`() async throws {
        let line = try JSON.encode(try mesh.event()) + [UInt8(ascii: "\n")]
        try await FakeCoordinator.serving(mesh) { coordinator in
            coordinator.greet(with: line)
            _ = try await self.follow(coordinator, until: 1)
            _ = try await self.follow(coordinator, after: Position(epoch: 3, version: 12), until: 1)
            #expect(coordinator.asked == ["GET /v1/map?epoch=0", "GET /v1/map?epoch=3&version=12"])
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a line that is no event ends the stream with the reason`() async throws {
        for text in ["{}", "nonsense", #"{"version":-1}"#, String(repeating: "[", count: 50_000)] {
            try await FakeCoordinator.serving(mesh) { coordinator in
                coordinator.greet(with: Array((text + "\n").utf8))
                let error = await #expect(throws: CoordinatorError.self) {
                    _ = try await self.follow(coordinator, until: 1)
                }
                #expect(error?.description.hasPrefix("the coordinator's answer cannot be read: ") == true)
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a coordinator that hangs up is one that cannot be reached`() async throws {
        let line = try JSON.encode(try mesh.event()) + [UInt8(ascii: "\n")]
        try await FakeCoordinator.serving(mesh) { coordinator in
            coordinator.greet(with: line)
            let error = await #expect(throws: CoordinatorError.self) {
                _ = try await self.follow(coordinator, until: 2) { _ in coordinator.hangUp() }
            }
            #expect(error?.description.hasPrefix("cannot reach the coordinator at https://localhost:") == true)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a version is reported as applied`() async throws {
        try await FakeCoordinator.serving(mesh) { coordinator in
            let client = try coordinator.client()
            do { try await client.report(applied: 12) } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
            #expect(coordinator.asked == ["POST /v1/applied"])
        }
    }

    private struct Enough: Error {}

    private func follow(
        _ coordinator: FakeCoordinator, after known: Position? = nil, until count: Int,
        listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> [MapEvent] {
        let client = try coordinator.client()
        var got: [MapEvent] = []
        let outcome: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                // The rest is sent once the stream stands.
                group.addTask {
                    while coordinator.listeners == 0 { try await Task.sleep(for: .milliseconds(5)) }
                    listening(0)
                }
                try await client.followMap(after: known) { event in
                    got.append(event)
                    listening(got.count)
                    if got.count == count { throw Enough() }
                }
                try await group.waitForAll()
            }
            outcome = .success(())
        } catch is Enough { outcome = .success(()) } catch { outcome = .failure(error) }
        await client.shutdown()
        try outcome.get()
        return got
    }
}

@Suite struct LineSplitterTests {
    @Test(arguments: seeds)
    func `lines are the same however the bytes come`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let bytes = (0..<500).map { _ in Int.random(in: 0..<8, using: &generator) == 0 ? UInt8(10) : 65 }
        var splitter = LineSplitter(limit: 200)
        var lines: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let length = Int.random(in: 1...20, using: &generator)
            lines += try splitter.take(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        #expect(lines == bytes.split(separator: 10).dropLast(bytes.last == 10 ? 0 : 1).map(Array.init))
    }

    @Test func `a line that is too long is refused before its end`() throws {
        var splitter = LineSplitter(limit: 4)
        #expect(try splitter.take(Array("abcd\n".utf8)).count == 1)
        #expect(try splitter.take(Array("abc".utf8)).isEmpty)
        #expect(throws: NodeError.self) { try splitter.take(Array("de".utf8)) }
    }
}

@Suite struct BackoffTests {
    @Test(arguments: seeds)
    func `pauses double to 15 s, each half to one and a half times as long`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var backoff = Backoff()
        for seconds in [1, 2, 4, 8, 15, 15] {
            let pause = backoff.next(using: &generator)
            #expect(pause >= .milliseconds(seconds * 500) && pause <= .milliseconds(seconds * 1500))
        }
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(1500))
    }

    @Test func `a thousand nodes that lost the coordinator together do not come back together`() {
        var generator = SeededGenerator(seed: 1)
        var places = [Int](repeating: 0, count: 100)
        for _ in 1...1000 {
            var backoff = Backoff()
            places[Int(backoff.next(using: &generator).milliseconds / 20)] += 1
        }
        #expect((places.max() ?? 0) < 60)
    }
}
