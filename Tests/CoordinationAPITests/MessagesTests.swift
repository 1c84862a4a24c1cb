import CoordinationAPI
import Crypto
import Mesh
import Testing

/// The shapes that other programs may rely on, letter by letter.
@Suite struct MessagesTests {
    @Test func `statements have one member that names their kind`() throws {
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
        let expected = [
            #"{"agent":{"disabled":false,"groups":["finance"],"name":"crew/writer","nodes":["node-a"],"owner":"ana","users":[]}}"#,
            #"{"service":{"name":"ledger","node":"node-a","port":8080,"protocol":"tcp","tags":["prod"]}}"#,
            #"{"policy":{"name":"demo.cedar","text":"permit (principal, action, resource);"}}"#,
            #"{"removal":{"agent":"crew/writer"}}"#, #"{"removal":{"service":"ledger"}}"#,
            #"{"removal":{"policy":"demo.cedar"}}"#, #"{"removal":{"admin":"bob"}}"#,
            #"{"removal":{"node":"node-a"}}"#,
            #"{"node":{"endpoints":["192.0.2.1:51820"],"key":"\#(key)","name":"node-a"}}"#,
            #"{"session":{"agent":"crew/writer","endpoints":["192.0.2.1:51820"],"id":"\#(Sample.session)","key":"\#(key)","node":"node-a"}}"#,
            #"{"session":{"agent":"crew/writer","endpoints":[],"id":"\#(Sample.session)","key":"\#(key)","node":"node-a"}}"#,
            #"{"login":{"key":"\#(SigningPublicKey(Sample.key.publicKey))","notAfter":1769850000000,"person":"ann"}}"#,
            #"{"presence":{"agent":"crew/writer","node":"node-a","session":"\#(Sample.session)"}}"#,
            #"{"session":{"agent":"crew/writer","endpoints":[],"id":"\#(Sample.session)","key":"\#(key)","node":"node-a","person":{"login":{"document":"a","signatures":[]},"presence":{"document":"b","signatures":[]}}}}"#,
            #"{"renewal":{"expires":1769850000000,"id":"\#(Sample.session)"}}"#,
            #"{"sessionEnd":"\#(Sample.session)"}"#,
            #"{"admin":{"key":"\#(SigningPublicKey(Sample.key.publicKey))","name":"bob"}}"#,
            #"{"checkpoint":{"admins":"\#(Fingerprint(of: [2]))","epoch":1,"notAfter":1769850000000,"policies":"\#(Fingerprint(of: [3]))","statements":"\#(Fingerprint(of: [1]))","version":7}}"#,
        ]
        #expect(try Sample.statements().map(text) == expected)
        for (statement, json) in zip(try Sample.statements(), expected) {
            #expect(try JSON.decode(Statement.self, from: Array(json.utf8)) == statement)
        }
    }

    @Test func `sets are written in order, so that one definition is one text`() throws {
        let names = ["b", "d", "a", "c"]
        let agent = AgentDefinition(
            name: Sample.agent.name, owner: Sample.agent.owner, groups: Set(names.map(GroupName.init(unchecked:))),
            nodes: Set(names.map(NodeName.init(unchecked:))), users: [30, 4, 1000])
        let json = try text(agent)
        #expect(json.contains(#""groups":["a","b","c","d"]"#) && json.contains(#""nodes":["a","b","c","d"]"#))
        #expect(json.contains(#""users":[4,30,1000]"#))
        let service = ServiceDefinition(
            name: ServiceName(unchecked: "s"), node: NodeName(unchecked: "n"), protocol: .tcp,
            port: try #require(Port(rawValue: 1)), tags: Set(names.map(TagName.init(unchecked:))))
        #expect(try text(service).contains(#""tags":["a","b","c","d"]"#))
    }

    @Test func `a service of echoes has no port, and every other has one`() throws {
        let echo = ServiceDefinition(echoOf: NodeName(unchecked: "n"), name: ServiceName(unchecked: "s"))
        #expect(try text(echo) == #"{"name":"s","node":"n","protocol":"icmp","tags":[]}"#)
        func read(_ members: String) throws -> ServiceDefinition {
            try JSON.decode(
                ServiceDefinition.self, from: Array(#"{"name":"s","node":"n","tags":[],\#(members)}"#.utf8))
        }
        #expect(try read(#""protocol":"icmp""#) == echo)
        for members in [
            #""protocol":"icmp","port":7"#, #""protocol":"tcp""#, #""protocol":"udp""#, #""protocol":"udp","port":0"#,
            #""protocol":"sctp","port":7"#,
        ] {
            #expect(throws: MessageError.self, "\(members)") { try read(members) }
        }
    }

    @Test func `what an agent is given of its node is written in order, bounded, and absent where it is nothing`()
        throws
    {
        var agent = Sample.agent
        agent.provisions = Provisions(paths: ["/srv/b", "/opt/a"], devices: ["/dev/kvm"], userNamespaces: true)
        let json = try text(agent)
        #expect(
            json.contains(#""provisions":{"devices":["/dev/kvm"],"paths":["/opt/a","/srv/b"],"userNamespaces":true}"#))
        #expect(try JSON.decode(AgentDefinition.self, from: Array(json.utf8)) == agent)
        for path in ["", "opt", "/opt/../etc", "/opt/", "//opt", "/" + String(repeating: "a", count: 1024), "/a\u{7}"] {
            #expect(Provisions(paths: [path]).problem != nil, "\(path)")
            let bad = json.replacing(#""/opt/a""#, with: #""\#(path.replacing("\u{7}", with: #"\u0007"#))""#)
            #expect(throws: (any Error).self) { try JSON.decode(AgentDefinition.self, from: Array(bad.utf8)) }
        }
        #expect(Provisions(devices: ["/etc/hosts"]).problem != nil)
        #expect(Provisions(paths: Set((0...64).map { "/\($0)" })).problem != nil)
    }

    @Test func `a document says for which mesh and when`() throws {
        #expect(
            try text(Sample.document(.removal(.agent(Sample.agent.name))))
                == #"{"madeAt":1769850000000,"mesh":"demo.internal","statement":{"removal":{"agent":"crew/writer"}}}"#)
    }

    @Test func `local requests and answers keep their form`() throws {
        let service = ServiceName(unchecked: "ledger")
        let run = RunRequest(
            agent: Sample.agent.name, command: ["id"], environment: ["A": "b"], directory: "/srv", user: nil,
            terminal: TerminalSize(rows: 24, columns: 80))
        let requests: [(LocalRequest, String)] = [
            (.status, #"{"status":{}}"#),
            (
                .why(agent: Sample.agent.name, action: "connect", service: service),
                #"{"why":{"action":"connect","agent":"crew/writer","service":"ledger"}}"#
            ),
            (
                .run(run),
                #"{"run":{"_0":{"agent":"crew/writer","asRoot":false,"command":["id"],"directory":"/srv","#
                    + #""environment":{"A":"b"},"kill":true,"terminal":{"columns":80,"rows":24}}}}"#
            ),
            (.endSession(Sample.session), #"{"endSession":{"_0":"\#(Sample.session)"}}"#),
            (.extendSession(Sample.session), #"{"extendSession":{"_0":"\#(Sample.session)"}}"#),
            (.signal(15), #"{"signal":{"_0":15}}"#),
        ]
        for (request, json) in requests {
            #expect(try text(request) == json)
            #expect(try JSON.decode(LocalRequest.self, from: Array(json.utf8)) == request)
        }
        let answers: [(LocalResponse, String)] = [
            (.started(Sample.session), #"{"started":{"_0":"\#(Sample.session)"}}"#),
            (.notice("a"), #"{"notice":{"_0":"a"}}"#), (.exited(code: 3), #"{"exited":{"code":3}}"#),
            (
                .ended(SessionEnding(id: Sample.session, cutAfterMilliseconds: 3)),
                #"{"ended":{"_0":{"cutAfterMilliseconds":3,"id":"\#(Sample.session)"}}}"#
            ), (.failed("b"), #"{"failed":{"_0":"b"}}"#),
        ]
        for (answer, json) in answers {
            #expect(try text(answer) == json)
            #expect(try JSON.decode(LocalResponse.self, from: Array(json.utf8)) == answer)
        }
    }

    @Test func `a pool travels as its two prefixes`() throws {
        let pool = try #require(
            AddressPool(v4Base: IPv4Address(rawValue: 0x0A40_0000), v6Prefix: 0xfd00_1122_3344_5566))
        let json = #"{"v4":"10.64.0.0","v6":"fd00112233445566"}"#
        #expect(try text(pool) == json)
        #expect(try JSON.decode(AddressPool.self, from: Array(json.utf8)) == pool)
    }

    @Test(arguments: [
        #"{"v4":"10.64.0.1","v6":"fd00112233445566"}"#, #"{"v4":"11.0.0.0","v6":"fd00112233445566"}"#,
        #"{"v4":"10.64.0.0","v6":"fc00112233445566"}"#, #"{"v4":"10.64.0.0","v6":"fd0011223344556"}"#,
        #"{"v4":"10.64.0.0","v6":"+d00112233445566"}"#, #"{"v4":"10.64.0.0"}"#,
    ])
    func `a pool outside its bounds is refused`(json: String) {
        #expect(throws: MessageError.self) { try JSON.decode(AddressPool.self, from: Array(json.utf8)) }
    }

    @Test(arguments: [
        "{}", #"{"agent":1}"#, #"{"king":{}}"#, #"{"removal":{}}"#, #"{"removal":{"session":"node-a"}}"#,
        #"{"removal":{"agent":"a","service":"b"}}"#, #"{"removal":{"agent":"A"}}"#, "[]", "null", "",
        #"{"agent":{"name":"a","owner":"ana","groups":[],"nodes":[],"users":[]}}"#,
        #"{"service":{"name":"a","node":"n","port":0,"protocol":"tcp","tags":[]}}"#,
        #"{"service":{"name":"a","node":"n","port":65536,"protocol":"tcp","tags":[]}}"#,
        #"{"service":{"name":"a","node":"n","port":80,"protocol":"sctp","tags":[]}}"#,
        #"{"node":{"name":"a","key":"AAAA","endpoints":["192.0.2.1:51820"]}}"#,
        #"{"node":{"name":"a","key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","endpoints":["192.0.2.1"]}}"#,
        #"{"node":{"name":"a","key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","endpoints":[]}}"#,
        #"{"node":{"name":"a","key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","endpoints":["192.0.2.1:1","192.0.2.1:1"]}}"#,
        #"{"node":{"name":"a","key":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","endpoints":["192.0.2.1:1","192.0.2.1:2","192.0.2.1:3","192.0.2.1:4","192.0.2.1:5","192.0.2.1:6","192.0.2.1:7","192.0.2.1:8","192.0.2.1:9"]}}"#,
        #"{"admin":{"name":"bob","key":"AAAA"}}"#,
        #"{"admin":{"name":"bob","key":"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}"#,
        #"{"renewal":{"id":"00112233445566778899aabbccddeeff"}}"#, #"{"sessionEnd":{"id":"0"}}"#,
        #"{"checkpoint":{"epoch":-1,"version":1}}"#,
    ])
    func `what is no statement is refused`(json: String) {
        #expect(throws: MessageError.self) { try JSON.decode(Statement.self, from: Array(json.utf8)) }
    }

    @Test func `two kinds in one statement are refused`() throws {
        let json = #"{"removal":{"agent":"a"},"policy":{"name":"demo.cedar","text":""}}"#
        #expect(throws: MessageError.self) { try JSON.decode(Statement.self, from: Array(json.utf8)) }
    }

    private func text(_ value: some Encodable) throws -> String {
        String(decoding: try JSON.encode(value), as: UTF8.self)
    }
}
