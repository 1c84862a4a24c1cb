internal import CPosternABI
internal import Glibc
internal import Mesh

/// A node's dense local index of a peer; 0 is nobody.
package struct Slot: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let count = UInt32(PT_SLOTS)
    package let rawValue: UInt32

    package init?(rawValue: UInt32) {
        guard (1..<Self.count).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Which use of a slot a row of verdicts belongs to, so that what one peer was granted is never the next one's.
package struct Generation: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init?(rawValue: UInt32) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A column of the verdicts: the services that every grant of this node treats alike.
package struct ServiceClass: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let count = UInt32(PT_CLASSES)
    package let rawValue: UInt32

    package init?(rawValue: UInt32) {
        guard (1..<Self.count).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// What one initiator may do with one class; in the order of how much it allows.
package enum Verdict: UInt8, Comparable, Sendable, CaseIterable {
    case deny = 0
    case sidecarOnly = 2
    case allow = 1

    package static func < (left: Self, right: Self) -> Bool { left.breadth < right.breadth }

    private var breadth: Int {
        switch self {
        case .deny: 0
        case .sidecarOnly: 1
        case .allow: 2
        }
    }
}

/// A moment in nanoseconds since boot, sleep included (CLOCK_BOOTTIME): leases are compared with it in the kernel.
package struct BootTime: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static func now() -> BootTime {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_BOOTTIME, &time) == 0 else {
            preconditionFailure("every kernel with eBPF has CLOCK_BOOTTIME")
        }
        return BootTime(rawValue: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// A span that leads before boot gives boot itself, which every lease counts as past.
    package static func + (time: BootTime, span: Duration) -> BootTime {
        let (seconds, attoseconds) = span.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow, whole < Int64.max / 2, whole > Int64.min / 2, time.rawValue < UInt64(Int64.max / 2) else {
            return BootTime(rawValue: seconds < 0 ? 0 : UInt64(Int64.max))
        }
        return BootTime(rawValue: UInt64(max(0, Int64(time.rawValue) + whole + attoseconds / 1_000_000_000)))
    }

    package static func - (later: BootTime, earlier: BootTime) -> Duration {
        .nanoseconds(Int64(clamping: later.rawValue)) - .nanoseconds(Int64(clamping: earlier.rawValue))
    }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
