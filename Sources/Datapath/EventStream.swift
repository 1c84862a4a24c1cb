internal import CBpf
internal import CPosternABI
internal import Glibc
internal import Mesh

/// Reads the ring of events that the programs of this node write.
///
/// The ring holds about three thousand; when nobody reads, newer ones are counted and not told. Unchecked because it
/// has one owner, and only calls that are exclusive (`mutating`) touch what libbpf keeps behind the pointer.
@safe package struct EventStream: ~Copyable, @unchecked Sendable {
    // Sendable because there is one owner, and reading is `mutating`: two threads cannot read at once.
    private let ring: OpaquePointer
    private let sink: Sink
    private let map: Descriptor

    package init(_ tables: borrowing Tables) throws(DatapathError) {
        let map = try tables.events.descriptor.duplicate()
        let sink = Sink()
        let context = unsafe Unmanaged.passUnretained(sink).toOpaque()
        guard let made = unsafe ring_buffer__new(map.raw, take, context, nil) else {
            throw DatapathError("listen to the events", errno: errno)
        }
        unsafe ring = made
        self.sink = sink
        self.map = map
    }

    deinit { unsafe ring_buffer__free(ring) }

    /// Readable when there are events; stays ours.
    package var descriptor: Int32 { unsafe ring_buffer__epoll_fd(ring) }

    /// What has come since the last time, without waiting.
    package mutating func drain() throws(DatapathError) -> [PacketEvent] {
        try finish(unsafe ring_buffer__consume(ring))
    }

    /// What has come since the last time; blocks the thread until there is something, or for so long.
    package mutating func wait(atMost timeout: Duration) throws(DatapathError) -> [PacketEvent] {
        let result = unsafe ring_buffer__poll(ring, Int32(clamping: max(0, timeout.milliseconds)))
        return try finish(result == -EINTR ? 0 : result)
    }

    private func finish(_ result: Int32) throws(DatapathError) -> [PacketEvent] {
        defer { sink.events = [] }
        try DatapathError.check(result, "read the events")
        return sink.events
    }
}

private final class Sink {
    var events: [PacketEvent] = []
}

/// Called by libbpf for each record, on the reader's own thread.
private func take(context: UnsafeMutableRawPointer?, data: UnsafeMutableRawPointer?, size: Int) -> Int32 {
    guard let context = unsafe context, let data = unsafe data, size >= MemoryLayout<pt_event>.size else { return 0 }
    let sink = unsafe Unmanaged<Sink>.fromOpaque(context).takeUnretainedValue()
    if let event = unsafe PacketEvent(data.loadUnaligned(as: pt_event.self)) { sink.events.append(event) }
    return 0
}
