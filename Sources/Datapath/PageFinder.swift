internal import CBpf
internal import CPosternABI
internal import Glibc

/// Says which pages of verdicts there are, by the numbers under which the kernel knows them.
///
/// Old kernels wait for the packets under way at each look into a map of maps, so a program looks for us.
final class PageFinder: Sendable {
    private let program: Descriptor
    private let found: MapDescriptor

    /// - Parameter rows: the map of pages.
    init(rows: borrowing Descriptor) throws(DatapathError) {
        let object = try ProgramObject("finder of pages", base64: pagesObject)
        try object.share(.rows, rows.raw)
        try object.load()
        let map = try object.map("found")
        let shape = try MapShape.of(map)
        let program = try object.program("find")
        // Nothing that can fail comes between the first member and the last.
        self.program = program
        found = MapDescriptor(descriptor: map, shape: shape)
    }

    /// The page at one index; nil where there is none.
    func page(at index: UInt32) throws(DatapathError) -> UInt32? {
        let id = try find(from: index, count: 1)
        return id == 0 ? nil : id
    }

    /// The pages from one index on; 0 where there is none.
    func pages(from first: UInt32, count: UInt32) throws(DatapathError) -> [UInt32] {
        _ = try find(from: first, count: count)
        return try found.values(from: first, count: count, zero: UInt32(0))
    }

    private func find(from first: UInt32, count: UInt32) throws(DatapathError) -> UInt32 {
        var context = unsafe __sk_buff()
        unsafe context.mark = first
        unsafe context.priority = count
        let packet = [UInt8](repeating: 0, count: 64)
        var options = unsafe bpf_test_run_opts()
        unsafe options.sz = MemoryLayout<bpf_test_run_opts>.size
        unsafe options.repeat = 1
        let status = unsafe packet.withUnsafeBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &context) { context in
                unsafe options.data_in = bytes.baseAddress
                unsafe options.data_size_in = UInt32(bytes.count)
                unsafe options.ctx_in = UnsafeRawPointer(context)
                unsafe options.ctx_size_in = UInt32(MemoryLayout<__sk_buff>.size)
                return unsafe bpf_prog_test_run_opts(program.raw, &options)
            }
        }
        try DatapathError.check(status, "read the table `rows`")
        return unsafe options.retval
    }
}
