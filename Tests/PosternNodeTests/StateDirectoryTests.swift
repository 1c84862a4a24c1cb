import Foundation
import Glibc
import Mesh
import Testing

@testable import PosternNode

@Suite struct StateDirectoryTests {
    private let scratch: Scratch
    private var path: String { scratch.path + "/state" }

    init() throws { scratch = try Scratch() }

    // MARK: - The directory

    @Test func `the directory is made for its owner alone`() throws {
        _ = try StateDirectory(path: path)
        #expect(try scratch.mode(of: "state") == 0o700)
    }

    @Test func `a directory that is there is taken as it is`() throws {
        try StateDirectory(path: path).write(.map, [1])
        #expect(try StateDirectory(path: path).read(.map, upTo: 1) == [1])
    }

    @Test(arguments: [0o755, 0o701, 0o770, 0o710] as [mode_t])
    func `a directory that others can enter is refused`(mode: mode_t) throws {
        try scratch.makeDirectory("state", mode: mode)
        expectRefusal("`\(path)` must belong to this user and have mode 0700, for it holds keys") {
            _ = try StateDirectory(path: path)
        }
    }

    @Test func `a directory of somebody else is refused`() throws {
        try scratch.makeDirectory("state", mode: 0o700, owner: 65_534)
        expectRefusal("`\(path)` must belong to this user and have mode 0700, for it holds keys") {
            _ = try StateDirectory(path: path)
        }
    }

    @Test func `a file in the directory's place is refused`() throws {
        try scratch.write("state", "text")
        expectRefusal("`\(path)` is not a directory") { _ = try StateDirectory(path: path) }
    }

    @Test func `what is missing above it is made, and open to look through`() throws {
        _ = try StateDirectory(path: path + "/above/state")
        #expect(try scratch.mode(of: "state/above") == 0o755)
        #expect(try scratch.mode(of: "state/above/state") == 0o700)
    }

    @Test func `a place that cannot be is refused`() {
        expectRefusal("cannot make `/proc/none/state`: No such file or directory") {
            _ = try StateDirectory(path: "/proc/none/state")
        }
    }

    @Test func `of two daemons one has the lock`() throws {
        let state = try StateDirectory(path: path)
        let lock = try state.lock()
        expectRefusal("another posternd runs on `\(path)`: end it first") { _ = try state.lock() }
        withExtendedLifetime(lock) {}
    }

    // MARK: - Files

    @Test func `a file comes back as it was written`() throws {
        let state = try StateDirectory(path: path)
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
        try state.write(.map, bytes)
        #expect(try state.read(.map, upTo: 200_000) == bytes)
        try state.write(.map, [])
        #expect(try state.read(.map, upTo: 200_000) == [])
    }

    @Test(arguments: [StateDirectory.File.tlsKey, .wireGuardKey, .membership, .map])
    func `every file is for its owner alone`(file: StateDirectory.File) throws {
        let state = try StateDirectory(path: path)
        try state.write(file, [1])
        #expect(try scratch.mode(of: "state/" + file.rawValue) == 0o600)
    }

    @Test func `a file that others left behind half written does not lend its mode`() throws {
        let state = try StateDirectory(path: path)
        try scratch.write("state/tls.key.new", "old")
        try scratch.setMode(0o644, of: "state/tls.key.new")
        try state.write(.tlsKey, [1])
        #expect(try scratch.mode(of: "state/tls.key") == 0o600)
        #expect(try state.read(.tlsKey, upTo: 10) == [1])
    }

    @Test func `what is not there is nil`() throws {
        let state = try StateDirectory(path: path)
        #expect(try state.read(.tlsKey, upTo: 1) == nil)
        #expect(try state.membership() == nil)
        #expect(try Join.loadTLSKey(from: state) == nil)
        #expect(try Join.loadWireGuardKey(from: state) == nil)
    }

    @Test func `whoever reads the old file goes on reading the old one`() throws {
        let state = try StateDirectory(path: path)
        try state.write(.map, Array("old".utf8))
        let reader = unsafe open(path + "/map.journal", O_RDONLY | O_CLOEXEC)
        defer { close(reader) }
        try state.write(.map, Array("new".utf8))
        #expect(try readAll(reader, name: "map", upTo: 10) == Array("old".utf8))
        #expect(try state.read(.map, upTo: 10) == Array("new".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["map.journal"])
    }

    @Test func `a file that cannot be replaced stays`() throws {
        let state = try StateDirectory(path: path)
        try state.write(.map, [1])
        try scratch.makeDirectory("state/map.journal.new", mode: 0o700)
        expectRefusal("cannot write `\(path)/map.journal.new`: File exists") { try state.write(.map, [2]) }
        #expect(try state.read(.map, upTo: 1) == [1])
    }

    @Test func `a file longer than it may be is refused`() throws {
        let state = try StateDirectory(path: path)
        try state.write(.map, [1, 2, 3])
        #expect(try state.read(.map, upTo: 3) == [1, 2, 3])
        expectRefusal("`\(path)/map.journal` is longer than 2 bytes") { _ = try state.read(.map, upTo: 2) }
    }

    // MARK: - Links

    @Test func `a link in a file's place is not read`() throws {
        let state = try StateDirectory(path: path)
        try scratch.write("elsewhere", "secret")
        try scratch.link("state/tls.key", to: "elsewhere")
        expectRefusal("cannot open `\(path)/tls.key`: Too many levels of symbolic links") {
            _ = try state.read(.tlsKey, upTo: 100)
        }
    }

    @Test func `a link in a file's place is replaced, and what it led to stays`() throws {
        let state = try StateDirectory(path: path)
        try scratch.write("elsewhere", "kept")
        try scratch.link("state/tls.key", to: "elsewhere")
        try state.write(.tlsKey, [1])
        #expect(try state.read(.tlsKey, upTo: 1) == [1])
        #expect(try scratch.read("elsewhere") == "kept")
    }

    @Test func `a link in the place of the new file is replaced, and what it led to stays`() throws {
        let state = try StateDirectory(path: path)
        try scratch.write("elsewhere", "kept")
        try scratch.link("state/tls.key.new", to: "elsewhere")
        try state.write(.tlsKey, [1])
        #expect(try state.read(.tlsKey, upTo: 1) == [1])
        #expect(try scratch.read("elsewhere") == "kept")
    }

    // MARK: - What is in them

    @Test func `a membership comes back as it was written`() throws {
        let state = try StateDirectory(path: path)
        let membership = StateDirectory.Membership(
            mesh: MeshDomain(unchecked: "demo.internal"),
            pool: try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56)),
            node: NodeName(unchecked: "a"), url: "https://192.0.2.1:7443",
            endpoints: [try #require(Endpoint("192.0.2.1:51820")), try #require(Endpoint("[2001:db8::1]:51820"))],
            hasFixedEndpoints: true, ca: "CA", certificate: "certificate", adminKey: "key")
        try state.write(.membership, Array(try JSONEncoder().encode(membership)))
        #expect(try state.membership() == membership)
    }

    @Test func `a membership of the first version has the endpoint that a person gave`() throws {
        let state = try StateDirectory(path: path)
        let text = #"""
            {"mesh":"demo.internal","pool":{"v4":"10.0.0.0","v6":"fd00000000000000"},"node":"a",
            "url":"https://192.0.2.1:7443","endpoint":"192.0.2.1:51820","ca":"CA","certificate":"C","adminKey":"K"}
            """#
        try state.write(.membership, Array(text.utf8))
        let membership = try #require(try state.membership())
        #expect(membership.endpoints.map(\.description) == ["192.0.2.1:51820"])
        #expect(membership.hasFixedEndpoints)
        #expect(membership.port.rawValue == 51820)
    }

    @Test(arguments: ["", "{", "{}", "null", "[]", #"{"mesh":"-"}"#])
    func `a membership that is none is refused with its place`(text: String) throws {
        let state = try StateDirectory(path: path)
        try state.write(.membership, Array(text.utf8))
        let error = #expect(throws: NodeError.self) { try state.membership() }
        #expect(error?.description.hasPrefix("`\(path)/membership.json` cannot be read: ") == true)
    }

    @Test(arguments: ["", "AAAA", "no key", String(repeating: "A", count: 44)])
    func `a WireGuard key that is none is refused, and not shown`(text: String) throws {
        let state = try StateDirectory(path: path)
        try state.write(.wireGuardKey, Array(text.utf8))
        expectRefusal("`\(path)/wireguard.key` holds no WireGuard key") {
            _ = try Join.loadWireGuardKey(from: state)
        }
    }

    @Test func `a TLS key that is none is refused, and not shown`() throws {
        let state = try StateDirectory(path: path)
        try state.write(.tlsKey, Array("no key at all".utf8))
        let error = #expect(throws: (any Error).self) { _ = try Join.loadTLSKey(from: state) }
        #expect(error.map { "\($0)" }?.contains("no key at all") == false)
    }

    private func expectRefusal(_ sentence: String, _ body: () throws -> Void) {
        #expect(throws: NodeError(sentence)) { try body() }
    }
}
