import PosternCoordinator
import Testing

@Suite(.timeLimit(.minutes(1))) struct BellTests {
    private let far = ContinuousClock.now + .seconds(3600)

    @Test func `a ring between looking and waiting is not missed`() async {
        let bell = Bell()
        let seen = bell.rings
        bell.ring()
        #expect(await bell.wait(after: seen, until: far))
    }

    @Test func `one ring wakes all`() async {
        let bell = Bell()
        let seen = bell.rings
        let woken = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 { group.addTask { await bell.wait(after: seen, until: far) } }
            group.addTask {
                bell.ring()
                return true
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(woken == 101)
    }

    @Test func `at the deadline nothing rang`() async {
        let bell = Bell()
        #expect(await !bell.wait(after: bell.rings, until: .now))
    }

    @Test func `who is cancelled does not wait`() async {
        let bell = Bell()
        let rang = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await bell.wait(after: bell.rings, until: far) }
            group.cancelAll()
            return await group.next() ?? true
        }
        #expect(!rang)
    }

    @Test func `more than the bound do not wait`() async {
        let bell = Bell(maximumWaiters: 0)
        #expect(await !bell.wait(after: bell.rings, until: far))
    }
}
