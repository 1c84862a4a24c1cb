internal import Glibc

/// Owns one file descriptor.
struct Descriptor: ~Copyable, Sendable {
    let raw: Int32
    init(owning raw: Int32) { self.raw = raw }
    deinit { close(raw) }

    func duplicate() throws(DatapathError) -> Descriptor {
        let copy = fcntl(raw, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw DatapathError("duplicate a descriptor", errno: errno) }
        return Descriptor(owning: copy)
    }
}
