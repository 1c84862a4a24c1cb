import CLinux
import CoordinationAPI
import Glibc
import Mesh

/// What carries the command's streams where one of ours is a terminal: no agent is ever given a terminal of ours.
///
///     at a terminal     our input ─> the session's terminal ─> our output, byte for byte, ours being raw
///     by --no-tty, or   each stream of ours that is a terminal ─> a pipe, which is the command's
///     with one of them redirected
///
/// The session makes its terminal and sends its outer end over a socket. Programs inside then have job control, and
/// Control-C and Control-Z are theirs.
struct StreamRelay: ~Copyable {
    /// For the command, in the places of standard input, output and error.
    private(set) var inner: [Int32] = [0, 1, 2]
    /// How large our terminal is, where the command gets one too.
    private(set) var terminal: TerminalSize?

    private var channels: [Channel] = []
    /// Where the session's terminal comes from, until it has come.
    private var socket: Int32 = -1
    private var outer: Int32 = -1
    private var ours: [Int32] = []
    /// How our terminal was set before, while it is raw.
    private var before: termios?

    init(withTerminal wanted: Bool) throws(CommandFailure) {
        if wanted, isatty(0) == 1, isatty(1) == 1 {
            try askForTerminal()
        } else {
            for stream in Int32(0)...2 where isatty(stream) == 1 { try carryByPipe(stream) }
        }
    }

    deinit {
        if var before { unsafe tcsetattr(0, TCSADRAIN, &before) }
        for descriptor in ours + channels.flatMap(\.owned) { close(descriptor) }
        if socket >= 0 { close(socket) }
        if outer >= 0 { close(outer) }
    }

    /// The command's ends have been sent, and are its alone.
    mutating func letGo() {
        for descriptor in ours { close(descriptor) }
        (ours, inner) = ([], [])
    }

    /// Whether our terminal is raw, and a line of ours must return to its beginning by itself.
    var isRaw: Bool { before != nil }

    private mutating func askForTerminal() throws(CommandFailure) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pt_unix_pair(&ends) == 0 else {
            throw CommandFailure("cannot make a socket for the session's terminal: \(systemReason(errno))")
        }
        terminal = Self.size()
        socket = ends[0]
        ours = [ends[1]]
        inner = [ends[1], ends[1], isatty(2) == 1 ? ends[1] : 2]
    }

    private mutating func carryByPipe(_ stream: Int32) throws(CommandFailure) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            throw CommandFailure("cannot make a pipe for the command: \(systemReason(errno))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let (mine, its) = stream == 0 ? (ends[1], ends[0]) : (ends[0], ends[1])
        _ = fcntl(mine, F_SETFL, O_NONBLOCK)
        ours.append(its)
        inner[Int(stream)] = its
        channels.append(
            stream == 0
                ? Channel(from: 0, to: mine, owned: [mine]) : Channel(from: mine, to: stream, owned: [mine]))
    }

    private static func size() -> TerminalSize {
        var size = pt_terminal_size()
        return unsafe pt_terminal_size(0, &size) == 0
            ? TerminalSize(rows: size.rows, columns: size.columns) : TerminalSize(rows: 0, columns: 0)
    }
}

// MARK: - While the command runs

extension StreamRelay {
    /// What to wait for, in the order in which `carry` takes it back.
    var waiting: [pollfd] { [pollfd(fd: socket, events: Int16(POLLIN), revents: 0)] + channels.map(\.waiting) }

    /// Carries what is ready.
    mutating func carry(_ ready: ArraySlice<pollfd>) throws(CommandFailure) {
        if ready.first?.revents != 0 { try takeTerminal() }
        for (index, state) in zip(channels.indices, ready.dropFirst()) where state.revents != 0 {
            channels[index].carry()
        }
    }

    /// Carries to its end what the command has left behind: it has ended, so no more comes.
    mutating func finish() {
        for index in channels.indices where channels[index].from != 0 { channels[index].drain() }
    }

    /// Ours has another size now.
    func resize() {
        guard outer >= 0 else { return }
        let size = Self.size()
        _ = pt_terminal_resize(outer, pt_terminal_size(rows: size.rows, columns: size.columns))
    }

    private mutating func takeTerminal() throws(CommandFailure) {
        var (byte, count, descriptor): (UInt8, Int, Int32) = (0, 0, -1)
        let received = unsafe pt_unix_receive(socket, &byte, 1, &descriptor, 1, &count)
        close(socket)
        socket = -1
        // Nothing comes where the session could not be made, which posternd says.
        guard received == 1, count == 1 else { return }
        outer = descriptor
        _ = fcntl(outer, F_SETFL, O_NONBLOCK)
        try makeRaw()
        channels = [Channel(from: 0, to: outer), Channel(from: outer, to: 1)]
        resize()
    }

    private mutating func makeRaw() throws(CommandFailure) {
        var settings = termios()
        guard unsafe tcgetattr(0, &settings) == 0 else {
            throw CommandFailure("cannot read the settings of this terminal: \(systemReason(errno))")
        }
        let saved = settings
        unsafe cfmakeraw(&settings)
        guard unsafe tcsetattr(0, TCSADRAIN, &settings) == 0 else {
            throw CommandFailure("cannot hand this terminal to the command: \(systemReason(errno))")
        }
        before = saved
    }
}

/// One direction of one stream, with the bytes on their way.
private struct Channel {
    let from: Int32
    let to: Int32
    /// Closed at the end.
    var owned: [Int32] = []
    private var pending: ArraySlice<UInt8> = []
    private var isOver = false

    init(from: Int32, to: Int32, owned: [Int32] = []) { (self.from, self.to, self.owned) = (from, to, owned) }

    /// Reads only when all that was read is written, so a slow reader slows the writer and nothing piles up.
    var waiting: pollfd {
        if !pending.isEmpty { return pollfd(fd: to, events: Int16(POLLOUT), revents: 0) }
        return pollfd(fd: isOver ? -1 : from, events: Int16(POLLIN), revents: 0)
    }

    mutating func carry() {
        if pending.isEmpty, !read() { return }
        write()
    }

    mutating func drain() {
        repeat {
            // Ours may be slow, and the bytes are all there are.
            while !pending.isEmpty {
                var state = pollfd(fd: to, events: Int16(POLLOUT), revents: 0)
                guard unsafe poll(&state, 1, 2000) > 0 else { return }
                write()
            }
        } while read()
    }

    /// False when there is nothing.
    private mutating func read() -> Bool {
        guard !isOver else { return false }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(from, $0.baseAddress, $0.count) }
        if count < 0, [EAGAIN, EINTR].contains(errno) { return false }
        guard count > 0 else {
            // Of a terminal that nobody has open the kernel says EIO.
            end()
            return false
        }
        pending = bytes[..<count]
        return true
    }

    private mutating func write() {
        let count = unsafe pending.withUnsafeBytes { unsafe Glibc.write(to, $0.baseAddress, $0.count) }
        if count < 0, [EAGAIN, EINTR].contains(errno) { return }
        guard count > 0 else { return end() }
        pending = pending.dropFirst(count)
    }

    /// Whoever reads our pipe sees its end.
    private mutating func end() {
        (isOver, pending) = (true, [])
        for descriptor in owned { close(descriptor) }
        owned = []
    }
}
