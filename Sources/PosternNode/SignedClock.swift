package import Datapath
import Glibc
package import Mesh

/// What time it is, as far as the coordinator has said so.
///
/// Deadlines are in UTC and must come on time, or early, on a machine whose own clock may be wrong or set by somebody.
/// So UTC is counted on from what the coordinator said, with the clock that runs since boot and through sleep; the clock
/// on the wall only ever makes it later, and only while the coordinator has said nothing.
package struct SignedClock: Equatable, Sendable {
    /// One reading of both clocks, by which deadlines become times since boot.
    package private(set) var reading: ClockReading
    /// Whether the coordinator has said what time it is since this machine was started.
    package private(set) var isSigned: Bool
    /// The latest moment that the coordinator ever named: no time before it is believed.
    package private(set) var highest: Timestamp

    /// How far the clock on the wall may be from the coordinator's, and the coordinator's from what it was.
    package static let tolerance = Duration.seconds(60)
    /// Corrections smaller than this are left, so that the same deadline stays the same instant. It is taken in
    /// advance, so that no deadline is ever late by it.
    package static let slack = Duration.seconds(1)

    /// The clock after a start: `highest` comes from the disk, `wall` from the machine.
    package init(highest: Timestamp, wall: Timestamp, boot: BootTime) {
        (self.highest, isSigned) = (highest, false)
        reading = ClockReading(utc: max(highest, wall), boot: boot)
    }

    /// The clock after a restart of the daemon in the same life of the machine: what was signed holds on.
    package init(highest: Timestamp, continuing reading: ClockReading) {
        (self.highest, self.reading, isSigned) = (highest, reading, true)
    }

    /// UTC at a moment since boot; at most a little later than it is.
    package func utc(at boot: BootTime) -> Timestamp { reading.utc + (boot - reading.boot) }
}

extension SignedClock {
    /// Takes what the coordinator said: it said so after `asked`, where that is known, and before `received`.
    ///
    /// The network may hold back what was said for as long as it likes. Counting from the question, deadlines come
    /// early by the time that the answer took; what comes unasked can only show that it is later than we thought.
    package mutating func hear(_ moment: Timestamp, asked: BootTime?, received: BootTime) throws(NodeError) {
        guard moment >= highest + (.zero - Self.tolerance) else {
            throw NodeError(
                "the coordinator's clock says \(moment), but it has said \(highest) before: "
                    + "nothing is believed of it until its clock is right")
        }
        highest = max(highest, moment)
        if let asked, !isSigned || utc(at: asked) > moment + Self.slack * 2 {
            reading = ClockReading(utc: moment, boot: asked)
            isSigned = true
        }
        if utc(at: received) < moment { reading = ClockReading(utc: moment + Self.slack, boot: received) }
    }

    /// Looks at the clock on the wall, which counts only while nothing better is known, and only forwards.
    package mutating func look(wall: Timestamp, boot: BootTime) {
        guard !isSigned, wall > utc(at: boot) + Self.slack else { return }
        reading = ClockReading(utc: wall, boot: boot)
    }
}

extension SignedClock {
    /// The clock as it was kept: what was signed in this life of the machine holds on.
    package init(_ seen: Seen?, bootID: String, wall: Timestamp, boot: BootTime) {
        guard let seen else {
            self.init(highest: Timestamp(rawValue: 0), wall: wall, boot: boot)
            return
        }
        if seen.isSigned, seen.bootID == bootID, seen.boot <= boot.rawValue {
            self.init(
                highest: seen.time, continuing: ClockReading(utc: seen.utc, boot: BootTime(rawValue: seen.boot)))
        } else {
            self.init(highest: seen.time, wall: wall, boot: boot)
        }
    }

    /// Takes a moment that the coordinator named once: it is later than that.
    package mutating func recall(_ moment: Timestamp, boot: BootTime) {
        highest = max(highest, moment)
        if utc(at: boot) < moment { reading = ClockReading(utc: moment, boot: boot) }
    }
}

/// In which life of this machine we are.
func readBootID() throws(NodeError) -> String {
    let path = "/proc/sys/kernel/random/boot_id"
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw NodeError("cannot open `\(path)`: \(errorText())") }
    defer { close(descriptor) }
    return String(decoding: try readAll(descriptor, name: path, upTo: 64), as: UTF8.self).filter { !$0.isWhitespace }
}

/// That time since boot is to us what it is to the kernel, which ends leases by it: a time namespace may shift it
/// (time_namespaces(7)).
func checkTimeNamespace() throws(NodeError) {
    let path = "/proc/self/timens_offsets"
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    // A kernel without the file has no such namespaces.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard isUnshifted(String(decoding: try readAll(descriptor, name: path, upTo: 4096), as: UTF8.self)) else {
        throw NodeError(
            "posternd is in a time namespace with a boot time of its own, and would set every lease wrong: "
                + "start it in the machine's")
    }
}

/// Of lines like `boottime 3600 0`.
package func isUnshifted(_ offsets: String) -> Bool {
    offsets.split(separator: "\n").map { $0.split(separator: " ") }.allSatisfy { fields in
        fields.first != "boottime" || fields.dropFirst() == ["0", "0"]
    }
}

extension Timestamp {
    /// What the clock on this machine's wall says.
    package static var wall: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(rawValue: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

/// Whether this machine knows what time it is.
package enum ClockTrust: Equatable, Sendable {
    case agreed
    /// The coordinator has not said what time it is since the machine was started.
    case unknown
    /// The machine's clock is ahead of the coordinator's by so much, or behind it.
    case apart(Duration)

    package var isTrusted: Bool { self == .agreed }

    /// What does not work because of it; nil while all does.
    package var problem: String? {
        switch self {
        case .agreed: nil
        case .unknown:
            "the coordinator has not said what time it is since this machine was started: no session can be started, "
                + "and no policy permits anything by the time of day"
        case .apart(let span):
            "this machine's clock is \(span.seconds) s \(span > .zero ? "ahead of" : "behind") the coordinator's: "
                + "set it; until then no session can be started, and no policy permits anything by the time of day"
        }
    }
}

extension SignedClock {
    package func trust(wall: Timestamp, boot: BootTime) -> ClockTrust {
        guard isSigned else { return .unknown }
        let apart = wall - utc(at: boot)
        return (.zero - Self.tolerance...Self.tolerance).contains(apart) ? .agreed : .apart(apart)
    }
}

extension Duration {
    fileprivate var seconds: Int64 { abs(milliseconds / 1000) }
}
