import CoordinationAPI
import Datapath
import Mesh
import Testing

@testable import PosternNode

@Suite struct PacketRatesTests {
    private static func counts(_ packets: UInt64) -> PacketRates.Counts {
        [.nodeIngress: [.noGrant: Count(packets: packets, bytes: packets * 60)]]
    }

    private static func at(_ seconds: Int64) -> BootTime { BootTime(rawValue: 0) + .seconds(seconds) }

    @Test func `a rate is the rise in a second since some seconds ago`() throws {
        var rates = PacketRates()
        #expect(rates.report(Self.counts(5), at: Self.at(9)).first?.packetsPerSecond == nil)
        rates.take(Self.counts(10), at: Self.at(10))
        let report = try #require(rates.report(Self.counts(30), at: Self.at(14)).first)
        #expect(report.packetsPerSecond == 5)
        #expect((report.packets, report.bytes, report.passed) == (30, 1800, false))
        #expect((report.direction, report.reason) == ("into the node", "no grant allows it"))
    }

    @Test func `counts of this very second are compared with older ones`() {
        var rates = PacketRates()
        rates.take(Self.counts(0), at: Self.at(10))
        rates.take(Self.counts(50), at: Self.at(15))
        #expect(rates.report(Self.counts(50), at: Self.at(15)).first?.packetsPerSecond == 10)
    }

    @Test func `tables that were made anew rise from zero`() {
        var rates = PacketRates()
        rates.take(Self.counts(1_000_000), at: Self.at(10))
        #expect(rates.report(Self.counts(4), at: Self.at(12)).first?.packetsPerSecond == 2)
    }
}
