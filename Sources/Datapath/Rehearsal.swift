internal import CBpf
internal import CLinux
internal import CPosternABI
internal import Glibc
internal import Mesh

/// Programs on these tables that are loaded and not attached: they judge packets from memory.
package struct Rehearsal: ~Copyable {
    private let object: ProgramObject

    /// - Parameter object: a compiled object in base64 whose only constant is a device's identity.
    package init(of object: String, identity: DeviceIdentity, tables: borrowing Tables) throws(DatapathError) {
        let opened = try ProgramObject("program to measure", base64: object)
        try opened.freeze(identity.frozen())
        try opened.share(tables)
        try opened.load()
        self.object = opened
    }

    /// Runs a program over one frame many times.
    ///
    /// - Returns: what it answered at last, and the processor's time that it took of this thread, in nanoseconds.
    package func run(
        _ program: String, frame: [UInt8], mark: UInt32, times: Int32
    ) throws(DatapathError) -> (answer: Int32, nanoseconds: Int64) {
        let descriptor = try object.descriptor(of: program)
        var context = unsafe __sk_buff()
        unsafe context.mark = mark
        var options = unsafe bpf_test_run_opts()
        unsafe options.sz = MemoryLayout<bpf_test_run_opts>.size
        unsafe options.repeat = times
        let before = Self.processorTime()
        let status = unsafe frame.withUnsafeBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &context) { context in
                unsafe options.data_in = bytes.baseAddress
                unsafe options.data_size_in = UInt32(bytes.count)
                unsafe options.ctx_in = UnsafeRawPointer(context)
                unsafe options.ctx_size_in = UInt32(MemoryLayout<__sk_buff>.size)
                return unsafe bpf_prog_test_run_opts(descriptor, &options)
            }
        }
        let spent = Self.processorTime() - before
        try DatapathError.check(status, "run `\(program)`")
        return (Int32(bitPattern: unsafe options.retval), spent)
    }

    /// Hangs a program on what a device receives, for as long as `body` runs.
    package func whileAttached<Answer>(
        _ program: String, interface: UInt32, netns: Int32, _ body: () throws -> Answer
    ) throws -> Answer {
        let link = pt_bpf_link_tcx(
            netns, try object.descriptor(of: program), Int32(interface), Int32(PT_TCX_INGRESS))
        let attached = Descriptor(owning: try DatapathError.check(link, "attach `\(program)`"))
        let answer = try body()
        _ = consume attached
        return answer
    }

    private static func processorTime() -> Int64 {
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 else { return 0 }
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Tables {
    /// Grants everybody everything: peers from offset 16 and slot 16 on, services of slot 1 from port 1000 on.
    ///
    /// Without a `TableSet`, which would hold a value for each of millions of grants.
    package func fill(peers count: UInt32, services: UInt32) throws(DatapathError) {
        let generation: UInt32 = 1
        let live = try currentState().live
        let pages = RowPages(self, live)
        let classes = (1...services).compactMap(ServiceClass.init(rawValue:))
        let slots = (16..<16 + count).compactMap(Slot.init(rawValue:))
        try pages.make(Set(slots.map { RowPages.page(of: $0) }))
        for slot in slots {
            if let offset = MeshOffset(rawValue: slot.rawValue), let first = Generation(rawValue: generation) {
                try put(PeerEntry(slot: slot, generation: first, lease: BootTime(rawValue: .max)), at: offset, in: live)
            }
            try pages.set(generation, of: slot)
            for serviceClass in classes {
                try pages.set(PT_ALLOW.rawValue, at: VerdictKey(slot: slot, serviceClass: serviceClass))
            }
        }
        try pages.flush()
        for slot in slots { try settle(slot, in: live, by: pages) }
        var writes: [TableWrite] = []
        guard let slot = Slot(rawValue: 1), let offset = MeshOffset(rawValue: 5),
            let first = Generation(rawValue: generation)
        else { return }
        writes.append(.peer(offset, PeerEntry(slot: slot, generation: first, lease: BootTime(rawValue: .max))))
        for serviceClass in classes {
            let port = Port(rawValue: UInt16(999 + serviceClass.rawValue))
            writes.append(.service(ServiceKey(slot: slot, port: port, transport: .tcp), serviceClass))
        }
        try write(writes, to: live) { _ throws(DatapathError) in }
    }
}
