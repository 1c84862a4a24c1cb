import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look for what keeps this machine from being a good node, and say what to do.",
        discussion: """
            Looks at kernel, BPF file system, WireGuard, classifier and wall, at the coordinator by each of its \
            addresses, at clock, certificate, map, routes, underlay and MTU, and at what listens for this node's \
            services. Each line is ok, a warning or a problem. Exit code 1 means that there is a problem.

            Examples:
              postern doctor
              postern doctor --json | jq '.findings[] | select(.level != "ok")'
            """)

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let report = try report()
        Terminal.current.print(json ? try JSON.pretty(report) : DoctorView(report: report).text)
        if report.worst == .problem { throw ExitStatus.error }
    }

    /// A daemon that does not answer is a finding, too.
    private func report() throws -> DoctorReport {
        do {
            guard case .doctor(let report) = try socket.ask(.doctor) else { throw CommandFailure.wrongAnswer }
            return report
        } catch let failure as CommandFailure {
            return DoctorReport(
                findings: [
                    .init("posternd", .problem, failure.message, advice: "posternd run, as root; its log says more")
                ])
        }
    }
}

/// What the doctor found, a line each, and what to do below it.
struct DoctorView {
    let report: DoctorReport

    var text: String {
        let width = report.findings.map(\.check.count).max() ?? 0
        let lines = report.findings.map { finding in
            let check = finding.check + String(repeating: " ", count: width - finding.check.count)
            let line = "\(mark(finding.level))  \(printable(check))  \(printable(finding.text))\n"
            guard let advice = finding.advice else { return line }
            return line + String(repeating: " ", count: 9 + width + 2) + "-> \(printable(advice))\n"
        }
        return lines.joined() + "\n\(summary)\n"
    }

    private var summary: String {
        let problems = report.findings.count { $0.level == .problem }
        let warnings = report.findings.count { $0.level == .warning }
        if problems + warnings == 0 { return "all is well" }
        return "\(counted(problems, "problem")), \(counted(warnings, "warning"))"
    }

    private func counted(_ number: Int, _ word: String) -> String { "\(number) \(word)\(number == 1 ? "" : "s")" }

    private func mark(_ level: DoctorReport.Level) -> String {
        level.rawValue + String(repeating: " ", count: 7 - level.rawValue.count)
    }
}
