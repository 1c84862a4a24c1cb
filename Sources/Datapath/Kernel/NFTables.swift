internal import CLinux
internal import Glibc

/// The program `nft`, given a script and asked what there is.
///
/// Netfilter's own tables are the wall's place only on kernels that take no eBPF program there (before 6.4).
enum NFTables {
    private static let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
    /// As much as is read of its answer.
    private static let limit = 1 << 16
    private static let patience: Int32 = 10_000

    /// Performs a script as a whole, or nothing of it.
    static func perform(_ script: String, netns: Int32?, _ operation: String) throws(DatapathError) {
        let (status, words) = try run(["-f", "-"], input: script, netns: netns, operation)
        guard status == 0 else { throw DatapathError(operation, because: Self.cause(words)) }
    }

    /// What it says to a question; nil when there is no such thing.
    static func ask(_ arguments: [String], netns: Int32?, _ operation: String) throws(DatapathError) -> String? {
        let (status, words) = try run(arguments, input: "", netns: netns, operation)
        if status == 0 { return words }
        guard words.contains("No such file or directory") else {
            throw DatapathError(operation, because: Self.cause(words))
        }
        return nil
    }

    private static func cause(_ words: String) -> String {
        let line = words.split(separator: "\n").first.map(String.init) ?? "nft failed"
        return "nft says `\(line)`"
    }

    private static func run(
        _ arguments: [String], input: String, netns: Int32?, _ operation: String
    ) throws(DatapathError) -> (status: Int32, words: String) {
        guard let path = places.first(where: { unsafe access($0, X_OK) == 0 }) else {
            throw DatapathError(operation, because: "this kernel needs the program `nft`, and it is not installed")
        }
        let text = Array(input.utf8)
        let script = Descriptor(owning: try DatapathError.check(unsafe pt_memory_file(text, text.count), operation))
        let answer = Descriptor(owning: try DatapathError.check(unsafe pt_memory_file(text, 0), operation))
        let child = try spawn(path, arguments, [script.raw, answer.raw, answer.raw], netns, operation)
        var waiting = pollfd(fd: child.raw, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&waiting, 1, patience) == 1 else {
            pt_pidfd_signal(child.raw, SIGKILL)
            throw DatapathError(operation, because: "nft does not end")
        }
        var ending = pt_ending()
        try DatapathError.check(unsafe pt_pidfd_reap(child.raw, &ending), operation)
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = unsafe pread(answer.raw, &buffer, buffer.count, 0)
        let words = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        return (ending.by_signal ? -1 : ending.status, words)
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ descriptors: [Int32], _ netns: Int32?, _ operation: String
    ) throws(DatapathError) -> Descriptor {
        var words = unsafe ([path] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
        var result = pt_spawn_result()
        let status = unsafe path.withCString { path in
            unsafe words.withUnsafeMutableBufferPointer { words in
                unsafe environment.withUnsafeMutableBufferPointer { environment in
                    unsafe descriptors.withUnsafeBufferPointer { descriptors in
                        var request = unsafe pt_spawn_request()
                        unsafe request.path = path
                        unsafe request.argv = UnsafePointer(words.baseAddress)
                        unsafe request.envp = UnsafePointer(environment.baseAddress)
                        unsafe request.netns_fd = netns ?? -1
                        unsafe request.cgroup_fd = -1
                        unsafe request.descriptors = descriptors.baseAddress
                        unsafe request.descriptor_count = descriptors.count
                        return unsafe pt_spawn(&request, &result)
                    }
                }
            }
        }
        try DatapathError.check(status, operation)
        return Descriptor(owning: result.pidfd)
    }
}
