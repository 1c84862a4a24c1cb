import Telemetry
import Testing

struct MetricFamilyTests {
    @Test func `a family is its help, its kind and a line for each sample`() {
        let family = MetricFamily(
            "postern_packets_total", .counter, "Packets.",
            [
                .init([("place", "into the node"), ("reason", "allowed")], 3),
                .init([("place", "x"), ("reason", "y")], 0.5),
            ])
        #expect(
            MetricFamily.text([family]) == """
                # HELP postern_packets_total Packets.
                # TYPE postern_packets_total counter
                postern_packets_total{place="into the node",reason="allowed"} 3
                postern_packets_total{place="x",reason="y"} 0.5

                """)
    }

    @Test func `what nobody knows has no sample`() {
        #expect(MetricFamily.text([MetricFamily("a", .gauge, "A.", nil)]) == "# HELP a A.\n# TYPE a gauge\n")
    }

    @Test func `text is escaped as the format wants it`() {
        let family = MetricFamily("a", .gauge, #"1 \ "2""# + "\n3", [.init([("b", #"1 \ "2""# + "\n3")], 1)])
        #expect(
            MetricFamily.text([family]) == #"""
                # HELP a 1 \\ "2"\n3
                # TYPE a gauge
                a{b="1 \\ \"2\"\n3"} 1

                """#)
    }

    @Test(arguments: [
        (1e15, "1000000000000000"), (1.5e300, "1.5e+300"), (-2, "-2"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        (.nan, "NaN"),
    ])
    func `values are written so that others read them`(value: Double, text: String) {
        #expect(MetricFamily.text([MetricFamily("a", .gauge, "A.", value)]).hasSuffix("\na \(text)\n"))
    }
}
