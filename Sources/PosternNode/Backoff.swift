/// How long to wait before the next try: longer each time, and never as long as the neighbours wait.
///
/// When a coordinator comes back, half of its nodes must not come back in the same instant.
package struct Backoff: Equatable, Sendable {
    package static let first = Duration.seconds(1)
    package static let longest = Duration.seconds(15)
    private var pause = first

    package init() {}

    /// The next pause: half to one and a half times 1, 2, 4, 8, 15 s.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        defer { pause = min(pause * 2, Self.longest) }
        return pause * Double.random(in: 0.5...1.5, using: &generator)
    }

    /// A try that went well makes the next pause a short one.
    package mutating func reset() { pause = Self.first }
}
