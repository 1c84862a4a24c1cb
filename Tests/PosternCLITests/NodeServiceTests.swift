import CoordinationAPI
import Foundation
import Mesh
import Synchronization
import Testing

@testable import PosternCLI

/// `up`, `down`, `whois`, `ping` and `doctor`, against a node that says what a test wants.
@Suite struct NodeServiceTests {
    @Test func `whois shows what is known, and nothing that is not`() async throws {
        let peers = [try Sample.session(of: "writer"), try Sample.node("node-b")]
        let node = try FakeNode { caller in
            caller.send(caller.request == .whois("10.64.0.9") ? .whois(peers) : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["whois", "10.64.0.9", "--json", "--socket", node.path]) == 0)
        #expect(try JSON.decode([PeerReport].self, from: Array(recorder.output.utf8)) == peers)
        #expect(
            PeerView(peer: peers[0], now: Sample.now).text == """
                session    00112233445566778899aabbccddeeff
                agent      writer
                owner      ana
                on node    node-a
                addresses  10.64.0.9, fd00::9
                key        BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=
                endpoints  192.0.2.1:40001
                until      2026-01-31T09:15:00Z, in 15m, unless it is renewed

                """)
        #expect(
            PeerView(peer: peers[1], now: Sample.now).text.hasPrefix(
                """
                node       node-b
                addresses  10.64.0.2, fd00::2

                """))
    }

    @Test(
        arguments: [
            ([0.31, 0.4], nil, 0), ([0.31, nil], nil, 1), ([], nil, 1),
            ([], "no session of this node is granted it", 2),
        ] as [([Double?], String?, Int32)])
    func `ping ends with what it found`(times: [Double?], refusal: String?, code: Int32) async throws {
        let report = PingReport(
            node: NodeName(unchecked: "node-b"), address: "10.64.0.2", means: "TCP port 80, as agent `writer`",
            tunnels: [], roundTrips: times, refusal: refusal)
        let node = try FakeNode { caller in
            let expected = LocalRequest.ping(PingRequest(target: "ledger", count: 2))
            caller.send(caller.request == expected ? .ping(report) : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["ping", "ledger", "-c", "2", "--socket", node.path]) == code)
        #expect(recorder.output == PingView(report: report, now: Sample.now).text)
    }

    @Test func `a ping shows tunnels, answers and what is between the fastest and the slowest`() {
        let report = PingReport(
            node: NodeName(unchecked: "node-b"), address: "10.64.0.2", means: "UDP port 4747, as node `node-a`",
            tunnels: [
                .init(device: "postern0", endpoint: "192.0.2.2:51820", lastHandshake: Sample.now + .seconds(-12)),
                .init(device: "pt1", endpoint: nil, lastHandshake: nil),
            ], roundTrips: [0.5, nil, 1])
        #expect(
            PingView(report: report, now: Sample.now).text == """
                node `node-b` at 10.64.0.2
                  by `postern0` to 192.0.2.2:51820, last handshake 12s ago
                  by `pt1` to an endpoint not known yet, last handshake never
                  1: 0.50 ms
                  2: no answer within 1 s
                  3: 1.00 ms
                2 of 3 answered (UDP port 4747, as node `node-a`), least/mean/most 0.50/0.75/1.00 ms

                """)
    }

    @Test(arguments: ["0", "21", "-1", "x"])
    func `a ping is sent one to twenty times`(count: String) async {
        let recorder = Recorder()
        #expect(await recorder.postern(["ping", "ledger", "--count=\(count)"]) == 1)
        #expect(recorder.errors.contains("--count"), "\(recorder.errors)")
    }

    @Test(arguments: [(.ok, 0), (.warning, 0), (.problem, 1)] as [(DoctorReport.Level, Int32)])
    func `doctor ends with 1 where there is a problem`(level: DoctorReport.Level, code: Int32) async throws {
        let report = DoctorReport(findings: [.init("kernel", .ok, "fine"), .init("clock", level, "off", advice: "NTP")])
        let node = try FakeNode { caller in
            caller.send(caller.request == .doctor ? .doctor(report) : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["doctor", "--json", "--socket", node.path]) == code)
        #expect(try JSON.decode(DoctorReport.self, from: Array(recorder.output.utf8)) == report)
    }

    @Test func `doctor says what to do below each line`() {
        let report = DoctorReport(
            findings: [
                .init("kernel", .ok, "fine"), .init("clock", .warning, "off\u{1B}", advice: "run an NTP client"),
            ])
        #expect(
            DoctorView(report: report).text == """
                ok       kernel  fine
                warning  clock   off\u{FFFD}
                                 -> run an NTP client

                0 problems, 1 warning

                """)
    }

    @Test func `a daemon that does not answer is what doctor finds`() async throws {
        let folder = try TemporaryFolder()
        let recorder = Recorder()
        #expect(await recorder.postern(["doctor", "--socket", folder.path + "/none.sock"]) == 1)
        #expect(recorder.output.contains("problem  posternd  posternd does not answer"), "\(recorder.output)")
        #expect(recorder.output.contains("-> posternd run"))
    }
}

@Suite struct UpTests {
    @Test func `up waits until the node is connected`() async throws {
        let status = try Sample.connected()
        var waiting = status
        waiting.coordinatorError = "cannot reach the coordinator"
        let answers = Mutex([.up, .status(waiting), .failed("not yet"), .status(status)] as [LocalResponse])
        let node = try FakeNode(callers: 4) { caller in
            let expected = answers.withLock { $0.count == 4 } ? LocalRequest.up(nil) : .status
            let answer = answers.withLock { $0.removeFirst() }
            caller.send(caller.request == expected ? answer : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["up", "--timeout", "10m", "--socket", node.path]) == 0, "\(recorder.errors)")
        #expect(recorder.output == "node `node-a` of mesh `demo.internal` is up: 10.64.0.1, fd00::1\n")
    }

    @Test func `up says what is missing`() async throws {
        var status = try Sample.connected()
        status.mapVersion = nil
        let waiting = status
        let node = try FakeNode(callers: 20) { caller in
            caller.send(caller.request == .status ? .status(waiting) : .up)
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["up", "--timeout", "1s", "--socket", node.path]) == 1)
        #expect(
            recorder.errors
                == "postern: not connected within 1s: the coordinator has given no map of the mesh yet; "
                + "`postern doctor` says more\n")
    }

    @Test func `up hands on the token, and takes the name that is in it`() async throws {
        let folder = try TemporaryFolder()
        let token = try Sample.token(node: "node-b")
        let file = try folder.file("join.json", Array(try JSON.pretty(token).utf8))
        let endpoint = try #require(Endpoint("[2001:db8::1]:51820"))
        let order = JoinOrder(token: token, name: NodeName(unchecked: "node-b"), endpoints: [endpoint])
        let node = try FakeNode { caller in
            caller.send(.failed(caller.request == .up(order) ? "it came" : "it did not come"))
        }
        let recorder = Recorder()
        let arguments = ["--endpoint", "[2001:db8::1]:51820", "--socket", node.path]
        #expect(await recorder.postern(["up", "--token-file", file] + arguments) == 1)
        #expect(recorder.errors == "postern: it came\n")
    }

    @Test func `a token that others can read is not used`() async throws {
        let folder = try TemporaryFolder()
        let text = try JSON.pretty(try Sample.token(node: nil))
        let open = try folder.file("open.json", Array(text.utf8), mode: 0o644)
        let recorder = Recorder()
        #expect(await recorder.postern(["up", "--token-file", open, "--name", "node-b"]) == 1)
        #expect(recorder.errors.contains("others can read it"), "\(recorder.errors)")
        let closed = try folder.file("closed.json", Array(text.utf8))
        #expect(await recorder.postern(["up", "--token-file", closed]) == 1)
        #expect(recorder.errors.contains("say which one this node takes"), "\(recorder.errors)")
    }

    @Test func `whatever is missing is named`() throws {
        #expect(try Sample.connected().missing(at: Sample.now) == nil)
        let cases: [(String, (inout NodeStatus) -> Void)] = [
            ("down", { $0.isDown = true }), ("no answer", { $0.coordinatorError = "no answer" }),
            ("no map", { $0.mapVersion = nil }), ("run out", { $0.mapValidUntil = Sample.now }),
            ("disk full", { $0.problems = ["disk full"] }), ("no mesh device", { $0.devices = [] }),
            ("classifier", { $0.devices[0].classifierAttached = false }),
        ]
        for (words, change) in cases {
            var status = try Sample.connected()
            change(&status)
            #expect(try #require(status.missing(at: Sample.now)).contains(words))
        }
    }

    @Test func `down says how the mesh comes up again`() async throws {
        let node = try FakeNode { caller in
            caller.send(caller.request == .down ? .down : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["down", "--socket", node.path]) == 0)
        #expect(recorder.output == "the mesh is down here; `postern up` brings it up\n")
    }
}
