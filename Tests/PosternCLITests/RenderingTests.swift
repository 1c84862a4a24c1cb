import CoordinationAPI
import Mesh
import Testing

@testable import PosternCLI

@Suite struct TableTests {
    @Test func `columns are as wide as their widest cell`() {
        let table = Table(headers: ["NAME", "N"], rows: [["a", "1"], ["longer", ""], ["b", "22"]])
        #expect(table.text == "NAME    N\na       1\nlonger  -\nb       22\n")
    }

    @Test func `an empty table is its headers`() {
        #expect(Table(headers: ["A", "B"], rows: []).text == "A  B\n")
    }

    @Test func `no cell drives the terminal or breaks its line`() {
        let table = Table(headers: ["A"], rows: [["x\u{1B}[31m\ny\u{202E}"]])
        #expect(table.text == "A\nx\u{FFFD}[31m y\u{FFFD}\n")
    }
}

@Suite struct SpanTests {
    @Test(arguments: [
        ("1s", 1), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1d", 86_400), ("1d1h1m1s", 90_061),
        ("3650d", 315_360_000),
    ])
    func `a span is read`(text: String, seconds: Int) {
        #expect(Span(text)?.seconds == seconds)
    }

    @Test(arguments: [
        "", "15", "m", "0s", "-1m", "1m1m", "1m1h", "1.5h", "1 m", "15min", "3651d", "99999999999999999999s", "١m",
        "9223372036854775807d", "+1m",
    ])
    func `what is no span is refused`(text: String) {
        #expect(Span(text) == nil)
    }

    @Test(arguments: [(0, "0s"), (59, "59s"), (900, "15m"), (5400, "1h 30m"), (90_061, "1d 1h"), (86_401, "1d 1s")])
    func `a span shows its two largest units`(seconds: Int, text: String) {
        #expect(Span(seconds: seconds).description == text)
    }
}

@Suite struct StatusViewTests {
    @Test func `a status shows map, devices, peers, sessions and problems`() throws {
        let text = StatusView(status: try Sample.status(), now: Sample.now).text
        #expect(
            text == """
                mesh         demo.internal
                node         node-a
                address      10.64.0.1, fd00::1
                pool         10.64.0.0/14
                map          version 12, 3s old, valid for 23h 59m
                coordinator  https://192.0.2.1:7443

                DEVICE    SESSION                           PORT   CLASSIFIER  PEERS
                postern0  -                                 51820  attached    1
                pt1       00112233445566778899aabbccddeeff  51821  MISSING     0

                PEER    ADDRESS    ENDPOINT         HANDSHAKE  RECEIVED  SENT  DEVICE
                node-b  10.64.0.2  192.0.2.2:51820  12s ago    1.5 KiB   12 B  postern0

                SESSION                           AGENT   FOR  OWNER       ADDRESS    DEVICE  ENDS IN  AT MOST  PID
                00112233445566778899aabbccddeeff  writer  ann  4000000000  10.64.0.9  pt1     14m 50s  7h 46m   4711

                problem: cannot reach node `node-c`

                """)
    }

    @Test func `a node without a map, or with a lapsed one, allows nothing and says so`() throws {
        var status = try Sample.status()
        #expect(
            StatusView(status: status, now: Sample.now + .seconds(100_000)).text
                .contains("lapsed: nothing is allowed"))
        status.mapVersion = nil
        status.coordinatorError = "no answer within 3 s"
        let text = StatusView(status: status, now: Sample.now).text
        #expect(text.contains("map          none yet: nothing is allowed\n"))
        #expect(text.contains("coordinator  https://192.0.2.1:7443: no answer within 3 s\n"))
    }

    @Test func `packets are sorted by their number`() throws {
        let text = StatusView(status: try Sample.status(), now: Sample.now).packets
        #expect(
            text == """
                DIRECTION  PASSED  REASON    PACKETS  PER SECOND  BYTES
                egress     yes     allowed   40       1.3         2400
                ingress    no      no grant  3        -           180

                """)
    }

    @Test func `events that nobody was told of are counted`() throws {
        var status = try Sample.status()
        status.suppressedEvents = 12
        let text = StatusView(status: status, now: Sample.now).packets
        #expect(text.hasSuffix("\n12 openings and denials were told to nobody: their sender had caused too many\n"))
    }

    @Test func `a mesh that was taken down says how it comes up`() throws {
        var status = try Sample.status()
        status.isDown = true
        #expect(
            StatusView(status: status, now: Sample.now).text
                .hasPrefix("mesh         demo.internal, down here: `postern up` brings it up\n"))
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"),
            (1 << 30, "1.0 GiB"), (UInt64.max, "16.0 EiB"),
        ] as [(UInt64, String)])
    func `bytes are counted in units that people read`(count: UInt64, text: String) {
        #expect(byteCount(count) == text)
    }
}

@Suite struct RegistryViewTests {
    private func registry() throws -> Registry {
        let node = NodeName(unchecked: "node-a")
        return Registry(
            mesh: MeshDomain(unchecked: "demo.internal"), version: 3,
            nodes: [
                .init(
                    name: node, address: "10.64.0.1", endpoints: [try #require(Endpoint("192.0.2.1:51820"))],
                    applied: 3,
                    seenAt: Sample.now + .seconds(-2)),
                .init(
                    name: NodeName(unchecked: "node-b"), address: "10.64.0.2",
                    endpoints: [try #require(Endpoint("192.0.2.2:51820"))], applied: nil, seenAt: nil),
            ],
            agents: [
                AgentDefinition(
                    name: Sample.agent, owner: UserName(unchecked: "ana"),
                    groups: [GroupName(unchecked: "b"), GroupName(unchecked: "a")], nodes: [node])
            ],
            services: [
                ServiceDefinition(
                    name: ServiceName(unchecked: "ledger"), node: node, protocol: .tcp,
                    port: try #require(Port(rawValue: 80)))
            ],
            policies: [PolicyDocument(name: PolicyName(unchecked: "demo.cedar"), text: "a\nb")],
            sessions: [
                .init(
                    id: Sample.session, agent: Sample.agent, node: node, address: "10.64.0.9",
                    expires: Sample.now + .seconds(60), person: UserName(unchecked: "bob"))
            ])
    }

    @Test(
        arguments: [
            (.agents, "NAME    OWNER  GROUPS  NODES   UIDS  STATE\nwriter  ana    a,b     node-a  -     enabled\n"),
            (.services, "NAME    NODE    PROTOCOL  PORT  TAGS\nledger  node-a  tcp       80    -\n"),
            (
                .nodes,
                "NAME    ADDRESS    ENDPOINT         APPLIED  SEEN\n"
                    + "node-a  10.64.0.1  192.0.2.1:51820  3        2s ago\nnode-b  10.64.0.2  192.0.2.2:51820  -        never\n"
            ),
            (.policies, "NAME        LINES\ndemo.cedar  2\n"),
            (
                .sessions,
                "SESSION                           AGENT   FOR  NODE    ADDRESS    ENDS IN\n"
                    + "00112233445566778899aabbccddeeff  writer  bob  node-a  10.64.0.9  1m\n"
            ),
        ] as [(GetCommand.Kind, String)])
    func `each kind has its table`(kind: GetCommand.Kind, text: String) throws {
        #expect(RegistryView(registry: try registry(), now: Sample.now).table(kind).text == text)
    }

    @Test func `JSON is what the coordinator said`() throws {
        let view = RegistryView(registry: try registry(), now: Sample.now)
        let agents = try JSON.decode([AgentDefinition].self, from: Array(try view.json(.agents).utf8))
        #expect(agents == (try registry().agents))
    }
}
