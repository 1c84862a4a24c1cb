import Foundation
import Glibc
import Mesh
import Synchronization
import Testing

@testable import WireGuard

/// Thirty-two times the same byte.
func key(_ byte: UInt8) -> WireGuardPublicKey {
    guard let key = WireGuardPublicKey(bytes: Array(repeating: byte, count: 32)) else {
        fatalError("32 bytes are a key")
    }
    return key
}

func digits(_ byte: UInt8) -> String { hex(Array(repeating: byte, count: 32)) }

func prefix(_ text: String) -> IPPrefix {
    guard let prefix = IPPrefix(text) else { fatalError("`\(text)` is not a prefix") }
    return prefix
}

/// What every patience is multiplied by: more than one on a slow machine.
let slowness = ProcessInfo.processInfo.environment["POSTERN_TEST_PATIENCE"].flatMap { Int($0) } ?? 1

/// Polls a condition for ten seconds, or longer on a slow machine.
func eventually(_ condition: () -> Bool) -> Bool { wait(upTo: .seconds(10 * slowness), until: condition) }

/// The same numbers for the same seed (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}

/// A command that must succeed; what it printed. It may be run on a thread that was made to enter a namespace, where
/// the run loop in which Foundation's `Process` waits hears of nothing.
@discardableResult
func run(_ command: String...) throws -> String {
    let line = command.map { "'\($0)'" }.joined(separator: " ") + " 2>&1"
    guard let pipe = unsafe popen(line, "re") else { throw CommandFailed(command: command, output: "") }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    let size = buffer.count
    while true {
        let count = unsafe fread(&buffer, 1, size, pipe)
        guard count > 0 else { break }
        output += buffer[..<count]
    }
    let text = String(decoding: output, as: UTF8.self)
    guard unsafe pclose(pipe) == 0 else { throw CommandFailed(command: command, output: text) }
    return text
}

struct CommandFailed: Error {
    let command: [String]
    let output: String
}

extension NetworkNamespace {
    /// A path by which other programs find it.
    var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    /// What the body returns or throws inside.
    func entering<Result>(_ body: () throws -> Result) throws -> Result {
        try enter { Swift.Result { try body() } }.get()
    }
}

/// A device name that no other test, in this process or another, has.
func uniqueDevice() -> DeviceName {
    let number = names.withLock { (last: inout Int) in
        last += 1
        return last
    }
    guard let name = DeviceName("pt\(getpid())x\(number)") else { fatalError("a process id has at most seven digits") }
    return name
}

private let names = Mutex(0)

/// Two new namespaces and a cable between them.
struct Cable: ~Copyable {
    let here: NetworkNamespace
    let there: NetworkNamespace

    init(_ near: DeviceName, _ far: DeviceName) throws {
        let here = try NetworkNamespace.create()
        let there = try NetworkNamespace.create()
        try run(
            "ip", "link", "add", near.rawValue, "netns", here.path, "type", "veth", "peer", "name", far.rawValue,
            "netns", there.path)
        self.here = here
        self.there = there
    }
}
