internal import CBpf
internal import FoundationEssentials
internal import Glibc

/// Owns one compiled eBPF object: its settings are frozen, its maps shared, then it is loaded.
@safe struct ProgramObject: ~Copyable {
    private let object: OpaquePointer
    private let name: String

    init(_ name: String, base64: String) throws(DatapathError) {
        guard let data = Data(base64Encoded: base64) else {
            throw DatapathError("load the \(name)", because: "its embedded object is damaged")
        }
        // libbpf writes to standard error by itself; what it has to say comes in the error thrown.
        unsafe libbpf_set_print(nil)
        let opened = unsafe data.withUnsafeBytes { bytes in
            unsafe bpf_object__open_mem(bytes.baseAddress, bytes.count, nil)
        }
        guard let opened = unsafe opened else { throw DatapathError("open the \(name)", errno: errno) }
        unsafe (self.object, self.name) = (opened, name)
    }

    deinit { unsafe bpf_object__close(object) }

    /// Fills the program's only constant.
    func freeze<Settings: BitwiseCopyable>(_ settings: Settings) throws(DatapathError) {
        var settings = settings
        guard let map = unsafe bpf_object__find_map_by_name(object, ".rodata"),
            unsafe bpf_map__set_initial_value(map, &settings, MemoryLayout<Settings>.size) == 0
        else { throw DatapathError("set up the \(name)", because: "its settings have another size") }
    }

    /// Gives the program the node's maps for its own of the same names.
    func share(_ tables: borrowing Tables) throws(DatapathError) {
        var next = unsafe bpf_object__next_map(object, nil)
        while let map = unsafe next {
            if let name = unsafe bpf_map__name(map), let shared = SharedMap(inPrograms: unsafe String(cString: name)) {
                try DatapathError.check(
                    unsafe bpf_map__reuse_fd(map, tables.descriptor(of: shared)),
                    "give the \(self.name) the table `\(shared.rawValue)`")
            }
            unsafe next = unsafe bpf_object__next_map(object, map)
        }
    }

    /// Gives the program one of the node's maps.
    func share(_ map: SharedMap, _ descriptor: Int32) throws(DatapathError) {
        let own = unsafe bpf_object__find_map_by_name(object, map.rawValue)
        try DatapathError.check(
            unsafe bpf_map__reuse_fd(own, descriptor), "give the \(name) the table `\(map.rawValue)`")
    }

    /// For a kind of program that this libbpf does not know by its section.
    func setType(of program: String, type: UInt32, attachType: UInt32) throws(DatapathError) {
        let program = try unsafe find(program)
        unsafe bpf_program__set_autoload(program, true)
        try DatapathError.check(
            unsafe bpf_program__set_type(program, bpf_prog_type(rawValue: type)), "set up the \(name)")
        try DatapathError.check(
            unsafe bpf_program__set_expected_attach_type(program, bpf_attach_type(rawValue: attachType)),
            "set up the \(name)")
    }

    /// Hands the programs to the verifier; if it refuses, the error has its last words.
    func load() throws(DatapathError) {
        var log = [CChar](repeating: 0, count: 1 << 18)
        let result = unsafe log.withUnsafeMutableBufferPointer { buffer in
            var next = unsafe bpf_object__next_program(object, nil)
            while let program = unsafe next {
                _ = unsafe bpf_program__set_log_buf(program, buffer.baseAddress, buffer.count)
                unsafe next = unsafe bpf_object__next_program(object, program)
            }
            return unsafe bpf_object__load(object)
        }
        guard result < 0 else { return }
        let words = String(decoding: log.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            .split(separator: "\n").suffix(3).joined(separator: "; ")
        let cause = DatapathError.text(of: -result)
        throw DatapathError("load the \(name)", because: words.isEmpty ? cause : "\(cause) (\(words))")
    }

    /// The descriptor stays the object's.
    func descriptor(of program: String) throws(DatapathError) -> Int32 {
        try DatapathError.check(unsafe bpf_program__fd(try unsafe find(program)), "load the \(name)")
    }

    /// A descriptor of our own of a map that the object made for itself.
    func map(_ name: String) throws(DatapathError) -> Descriptor {
        let found = unsafe bpf_object__find_map_fd_by_name(object, name)
        return try duplicate(DatapathError.check(found, "find the table `\(name)` of the \(self.name)"))
    }

    /// A descriptor of our own of a program.
    func program(_ name: String) throws(DatapathError) -> Descriptor { try duplicate(descriptor(of: name)) }

    private func duplicate(_ held: Int32) throws(DatapathError) -> Descriptor {
        let copy = fcntl(held, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw DatapathError("duplicate a descriptor", errno: errno) }
        return Descriptor(owning: copy)
    }

    private func find(_ program: String) throws(DatapathError) -> OpaquePointer {
        guard let found = unsafe bpf_object__find_program_by_name(object, program) else {
            throw DatapathError("load the \(name)", because: "it has no program `\(program)`")
        }
        return unsafe found
    }
}
