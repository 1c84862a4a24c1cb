package import Mesh

/// Why policies, agents and services make no decision.
package enum AuthorizationError: Error, Equatable, CustomStringConvertible {
    /// What is wrong with single policies, in their order; never empty.
    case policies([Problem])
    /// What is wrong with all of them together, or with the agents and services.
    case snapshot(String)

    /// One mistake in a policy document.
    package struct Problem: Equatable, Sendable, CustomStringConvertible {
        package let document: PolicyName
        package let line: Int
        package let column: Int
        package let message: String
        /// The mistake below its source line, as a terminal shows it; nil if the whole policy is to blame.
        package let excerpt: String?

        package var description: String { "\(document):\(line):\(column): \(message)" }
    }

    /// `document:line:column: message`, one line for each problem.
    package var description: String {
        switch self {
        case .policies(let problems): problems.map(\.description).joined(separator: "\n")
        case .snapshot(let reason): "cannot decide with these policies, agents and services: \(reason)"
        }
    }

    /// The description with source lines and carets.
    package var rendering: String {
        guard case .policies(let problems) = self else { return description }
        return problems.map { $0.description + ($0.excerpt.map { "\n" + $0 } ?? "") }.joined(separator: "\n")
    }

    /// More would not be read.
    static let maximumProblems = 20
}
