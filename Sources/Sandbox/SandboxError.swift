/// Why an enclosure could not be made, or could not hold its session.
package struct SandboxError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being done; its raw value is one word of the control protocol.
    package enum Step: String, Sendable, CaseIterable {
        case specification, descriptors, network, cgroup, spawn, control, directory, mounts, identity, command
    }

    package let step: Step
    package let reason: String

    package init(_ step: Step, _ reason: String) { (self.step, self.reason) = (step, reason) }

    package var description: String { reason }
}
