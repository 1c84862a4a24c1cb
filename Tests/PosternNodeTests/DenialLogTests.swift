import Datapath
import Mesh
import Testing

@testable import PosternNode

@Suite struct DenialLogTests {
    private let start = BootTime(rawValue: 1_000_000_000_000)

    @Test func `the same denial is told once in ten seconds`() {
        var log = DenialLog()
        let told = [0, 1, 9, 10, 11, 19, 20].map { log.shouldTell(key("x:80"), at: start + .seconds($0)) }
        #expect(told == [true, false, false, true, false, false, true])
    }

    @Test func `another target or session is another denial`() {
        var log = DenialLog()
        let keys = [key("x:80"), key("x:81"), key("y:80"), key("x:80", session: "other")]
        #expect(keys.map { log.shouldTell($0, at: start) } == [true, true, true, true])
        #expect(keys.map { log.shouldTell($0, at: start) } == [false, false, false, false])
    }

    @Test func `an older event than the last one told is not told`() {
        var log = DenialLog()
        #expect([0, -5].map { log.shouldTell(key("x:80"), at: start + .seconds($0)) } == [true, false])
    }

    @Test func `a scan of all ports does not make it grow without bound`() throws {
        var log = DenialLog()
        let told = (1...65_535).map { log.shouldTell(key("x:\($0)"), at: start) }
        #expect(!told.contains(false))
        let remembered = Mirror(reflecting: log).children.compactMap { $0.value as? [DenialLog.Key: BootTime] }
        #expect(try #require(remembered.first).count <= 1024)
    }

    private func key(_ target: String, session: String = "session") -> DenialLog.Key {
        DenialLog.Key(session: SessionID(unchecked: session), target: target)
    }
}
