internal import Glibc

/// The end of somebody's patience.
///
/// Not a `ContinuousClock.Instant`, whose layout the standard library keeps to itself: without whole-module
/// optimization Swift 6.3 forgets the `deinit` of a noncopyable type that holds one, and its descriptor leaks.
struct Deadline {
    /// In nanoseconds of the monotonic clock.
    private let moment: Int64

    init(in patience: Duration) {
        let (seconds, attoseconds) = patience.components
        moment = Self.now + seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    var hasPassed: Bool { Self.now >= moment }

    /// What is left, rounded up, as `poll` wants it.
    var milliseconds: Int32 { Int32(clamping: (max(0, moment - Self.now) + 999_999) / 1_000_000) }

    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Polls a condition that no event announces.
func wait<Failure>(upTo limit: Duration, until condition: () throws(Failure) -> Bool) throws(Failure) -> Bool {
    let deadline = Deadline(in: limit)
    while try !condition() {
        guard !deadline.hasPassed else { return false }
        usleep(2000)
    }
    return true
}
