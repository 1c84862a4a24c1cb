import Mesh
import Testing

@testable import PosternNode

@Suite struct NameServerTests {
    private static func server() throws -> (NameServer, DemoMesh) {
        var mesh = try DemoMesh()
        try mesh.addService("ledger", on: "b", port: 80)
        try mesh.addService("c", on: "b", port: 81)
        let server = NameServer()
        server.show(mesh.map)
        return (server, mesh)
    }

    private static func query(_ name: String, type: UInt16 = 1, class number: UInt16 = 1, id: UInt16 = 7) -> [UInt8] {
        let labels = name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        return bytes([id, 0x100, 1, 0, 0, 0]) + labels + [0] + bytes([type, number])
    }

    private static func bytes(_ numbers: [UInt16]) -> [UInt8] {
        numbers.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    }

    /// Code, and the data of each record; nil for no answer.
    private static func ask(_ server: NameServer, _ query: [UInt8]) throws -> (code: UInt8, data: [[UInt8]])? {
        guard let answer = server.answer(to: query) else { return nil }
        try #require(answer.count >= 12)
        #expect(Array(answer.prefix(2)) == Array(query.prefix(2)), "the id comes back")
        #expect(answer[2] & 0x80 != 0, "it is an answer")
        #expect(answer[3] & 0x80 == 0, "recursion is not offered")
        let count = Int(answer[6]) << 8 | Int(answer[7])
        guard count > 0 else { return (answer[3] & 0xf, []) }
        #expect(Array(answer[12..<query.count]) == Array(query[12...]), "the question comes back")
        let record = Array(answer[query.count...])
        #expect(Array(record.prefix(4)) == [0xc0, 0x0c] + query[(query.count - 4)..<(query.count - 2)])
        #expect(Int(record[11]) == record.count - 12)
        return (answer[3] & 0xf, [Array(record[12...])])
    }

    @Test(arguments: [
        ("ledger.demo.internal", "b"), ("LEDGER.Demo.Internal", "b"), ("b.demo.internal", "b"),
        ("b.node.demo.internal", "b"), ("c.demo.internal", "b"), ("c.node.demo.internal", "c"),
    ])
    func `a name of the mesh leads to its node`(name: String, node: String) throws {
        let (server, mesh) = try Self.server()
        let offset = try #require(mesh.map.nodes[NodeName(unchecked: node)]?.offset)
        let four = try #require(try Self.ask(server, Self.query(name)))
        #expect(four == (0, [mesh.map.pool.ipv4(at: offset).bytes]))
        let six = try #require(try Self.ask(server, Self.query(name, type: 28)))
        #expect(six == (0, [mesh.map.pool.ipv6(at: offset).bytes]))
        let text = try #require(try Self.ask(server, Self.query(name, type: 16)))
        #expect(text == (0, []), "it is there, and has no such record")
    }

    @Test(arguments: [
        ("nobody.demo.internal", 3), ("a.b.demo.internal", 3), ("b.node.node.demo.internal", 3),
        ("demo.internal", 0), ("node.demo.internal", 0), ("internal", 5), ("", 5), ("example.org", 5),
        ("b.demo.internal.example.org", 5), ("notdemo.internal", 5),
    ])
    func `unknown names are unknown, and foreign ones refused`(name: String, code: UInt8) throws {
        let answer = try #require(try Self.ask(try Self.server().0, Self.query(name)))
        #expect(answer == (code, []))
    }

    @Test func `other classes and operations are refused, and without a map nothing is sure`() throws {
        let (server, _) = try Self.server()
        #expect(try #require(try Self.ask(server, Self.query("b.demo.internal", class: 3))).code == 5)
        var update = Self.query("b.demo.internal")
        update[2] = 0x28
        #expect(try #require(try Self.ask(server, update)).code == 4)
        server.show(nil)
        #expect(try #require(try Self.ask(server, Self.query("b.demo.internal"))).code == 2)
    }

    @Test func `an answer, and what is too short or too long to be a question, gets none`() throws {
        let (server, _) = try Self.server()
        let question = Self.query("b.demo.internal")
        let answer = try #require(server.answer(to: question))
        #expect(server.answer(to: answer) == nil, "two servers must not talk for ever")
        #expect(server.answer(to: []) == nil)
        #expect(server.answer(to: Array(question.prefix(11))) == nil)
        #expect(server.answer(to: question + [UInt8](repeating: 0, count: 500)) == nil)
    }

    @Test func `EDNS behind the question changes nothing`() throws {
        let (server, _) = try Self.server()
        var question = Self.query("b.demo.internal")
        question[11] = 1
        let extended = question + [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
        let answer = try #require(server.answer(to: extended))
        #expect(answer[3] & 0xf == 0)
        #expect(answer.count == question.count + 16)
    }

    @Test(
        arguments: [
            [UInt8](repeating: 0xc0, count: 6), [64] + [UInt8](repeating: 97, count: 70), [3, 97, 97], [0],
            [0, 0, 1, 0],
            Array(repeating: [4, 97, 97, 97, 97], count: 60).flatMap(\.self),
        ] as [[UInt8]])
    func `a name that is none is malformed`(name: [UInt8]) throws {
        let answer = try #require(try Self.ask(try Self.server().0, Self.bytes([7, 0x100, 1, 0, 0, 0]) + name))
        #expect(answer == (1, []))
    }

    @Test(arguments: seeds)
    func `any bytes at all are answered briefly or not`(seed: UInt64) throws {
        let (server, _) = try Self.server()
        var generator = SeededGenerator(seed: seed)
        let valid = Self.query("ledger.demo.internal", type: 28)
        for _ in 0..<2000 {
            var bytes =
                Bool.random(using: &generator)
                ? valid
                : (0..<Int.random(in: 0...600, using: &generator)).map { _ in .random(in: 0...255, using: &generator) }
            for _ in 0..<Int.random(in: 0...6, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
            guard let answer = server.answer(to: bytes) else { continue }
            #expect(answer.count <= bytes.count + 28, "nobody gains by asking in another's name")
            #expect(Array(answer.prefix(2)) == Array(bytes.prefix(2)))
        }
    }

    @Test func `the system's resolver is told of the mesh's names alone`() {
        let commands = Resolver.commands(
            device: "postern0", server: IPv4Address(rawValue: 0x0a00_0001), mesh: MeshDomain(unchecked: "demo.internal")
        )
        #expect(
            commands == [
                ["dns", "postern0", "10.0.0.1"], ["domain", "postern0", "~demo.internal"],
                ["default-route", "postern0", "false"],
            ])
    }

    @Test func `what the system's resolver does not take is a problem with its words`() throws {
        let scratch = try Scratch()
        let program = scratch.path + "/resolvectl"
        try scratch.write("resolvectl", "#!/bin/sh\n[ \"$1\" != domain ]\n")
        try scratch.setMode(0o700, of: "resolvectl")
        var resolver = Resolver(socket: scratch.path + "/nothing", program: program)
        #expect(!resolver.isThere)
        resolver.socket = scratch.path
        #expect(resolver.isThere)
        let problem = resolver.tell(
            device: "postern0", server: NameServer.address, mesh: MeshDomain(unchecked: "demo.internal"))
        #expect(problem == "`\(program) domain postern0 ~demo.internal` failed with 1")
    }
}
