import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// A session at a terminal, seen from the terminal's other end.
@Suite(.timeLimit(.minutes(1))) struct SessionTerminalTests {
    @Test func `the command has a terminal of its own with a name, a size and job control`() async throws {
        let talk = Talk()
        let outcome = try await talk.run(
            shell: """
                tty; stty size; test -w $(tty) && echo mine; echo typed >/dev/tty; cut -d' ' -f 6,7 /proc/$$/stat
                ls -l /proc/$$/fd | grep -c pts/0; ls -x /dev/pts
                """)
        #expect(
            outcome.lines.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } == [
                "/dev/pts/0", "24 80", "mine", "typed", "2 34816", "3", "0  ptmx",
            ])
        #expect(outcome.end == .code(0))
    }

    @Test func `what is typed is read, a new size is told, and Control-C interrupts`() async throws {
        let talk = Talk()
        talk.onOutput = { text, terminal in
            if text.hasSuffix("name? ") { write(terminal, "ana\n") }
            if text.hasSuffix("resize\r\n") {
                _ = pt_terminal_resize(terminal, pt_terminal_size(rows: 50, columns: 132))
            }
            if text.hasSuffix("\r\ninterrupt\r\n") { write(terminal, "\u{3}") }
        }
        let outcome = try await talk.run(
            "/bin/bash", "-c",
            """
            read -p 'name? ' name; echo "hello $name"
            trap 'stty size </dev/tty; done=1' WINCH; echo resize; until [ $done ]; do sleep 0.05; done
            trap 'echo interrupted; exit 3' INT; echo interrupt; while :; do sleep 0.05; done
            """)
        for line in ["hello ana", "50 132", "^Cinterrupted"] {
            #expect(outcome.lines.contains(line), "\(outcome.lines)")
        }
        #expect(outcome.end == .code(3))
    }

    @Test func `whoever lets go of the terminal hangs the command up`() async throws {
        let talk = Talk()
        talk.onOutput = { text, _ in if text.contains("up") { talk.hangUp() } }
        let outcome = try await talk.run("/bin/sh", "-c", "echo up; while :; do sleep 0.05; done")
        #expect(outcome.end == .code(128 + SIGHUP))
    }

    @Test func `a terminal that is somebody's is refused, and so is one without a socket`() async throws {
        var (outer, inner): (Int32, Int32) = (-1, -1)
        #expect(unsafe pt_terminal_pair(0, 0, &outer, &inner) == 0)
        defer { for end in [outer, inner] { close(end) } }
        let error = #expect(throws: SandboxError.self) { try Enclosure.checkStdio([inner, inner, inner]) }
        #expect(error?.reason.contains("a terminal") == true)
        var run = EnclosureRun("true")
        run.terminal = TerminalSize(rows: 24, columns: 80)
        guard case .failed(let refusal)? = try await run.run().reports.last else {
            Issue.record("it ran")
            return
        }
        #expect(refusal.step == .descriptors && refusal.reason.contains("without the socket"))
    }
}

/// Writes a short text.
private func write(_ descriptor: Int32, _ text: String) {
    _ = unsafe Foundation.write(descriptor, text, text.utf8.count)
}

/// What a person's side of a terminal does.
private final class Talk: @unchecked Sendable {
    // Unchecked because `run` alone, and what it calls, touches these.
    var onOutput: (String, Int32) -> Void = { _, _ in }
    private var terminal: Int32 = -1

    func hangUp() {
        close(terminal)
        terminal = -1
    }

    func run(shell script: String) async throws -> EnclosureRun.Outcome {
        try await run("/bin/sh", "-c", script)
    }

    func run(_ command: String...) async throws -> EnclosureRun.Outcome {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        var ends: [Int32] = [-1, -1]
        #expect(unsafe pt_unix_pair(&ends) == 0)
        defer { close(ends[0]) }
        var description = EnclosureRun("")
        description.command = command
        description.terminal = TerminalSize(rows: 24, columns: 80)
        let process = try Enclosure.start(
            description.specification(in: folder.path), network: EnclosureRun.network, cgroup: nil,
            bounds: EnclosureRun.bounds,
            stdio: [ends[1], ends[1], ends[1]], program: EnclosureRun.program())
        close(ends[1])
        var outcome = EnclosureRun.Outcome(output: "", reports: [])
        for await event in process.events {
            switch event {
            case .report(let report):
                outcome.reports.append(report)
                if report == .ready {
                    try takeTerminal(ends[0])
                    try process.send(.go)
                }
                if case .started = report { outcome.output = converse() }
            case .ended(let exit): outcome.end = exit
            }
        }
        outcome.output = outcome.output.replacing("\r\n", with: "\n")
        if terminal >= 0 { close(terminal) }
        return outcome
    }

    private func takeTerminal(_ socket: Int32) throws {
        var (byte, count): (UInt8, Int) = (0, 0)
        let received = unsafe pt_unix_receive(socket, &byte, 1, &terminal, 1, &count)
        try #require(received == 1 && count == 1)
    }

    /// Until the last of the session's programs has closed it.
    private func converse() -> String {
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 4096)
        while terminal >= 0 {
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(terminal, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            text += String(decoding: bytes[..<count], as: UTF8.self)
            onOutput(text, terminal)
        }
        return text
    }
}
