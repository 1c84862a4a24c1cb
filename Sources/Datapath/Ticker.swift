internal import CBpf
internal import CPosternABI
internal import Glibc

/// The kernel timer that tells every packet the time, so that none asks the clock.
///
/// It runs as long as its map is pinned, with or without us. Where it does not run the programs notice, and ask the
/// clock themselves: slower, and never wrong.
enum Ticker {
    static let pin = "ticker"

    /// How many ticks of the kernel may have passed since the timer wrote: less than 20 ms, whatever its CONFIG_HZ is.
    static let patience: UInt32 = {
        var tick = timespec()
        guard unsafe clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0, tick.tv_sec == 0, tick.tv_nsec > 0 else {
            return 0
        }
        return UInt32(max(0, 20_000_000 / tick.tv_nsec - 1))
    }()

    /// Starts the timer where none is running, and says whether one runs afterwards.
    static func ensureRunning(_ tables: borrowing Tables, pins: PinDirectory) throws(DatapathError) -> Bool {
        if try isRunning(tables) { return true }
        let object = try ProgramObject("clock", base64: clockObject)
        try object.share(tables)
        do throws(DatapathError) { try object.load() } catch { return false }
        guard try runOnce(object.descriptor(of: "start")) else { return false }
        try pins.replace(pin, with: try object.map("ticker"))
        return true
    }

    static func isRunning(_ tables: borrowing Tables) throws(DatapathError) -> Bool {
        let written = BootTime(rawValue: try tables.clock.value(at: UInt32(0), into: pt_clock()).boot_ns)
        return written.rawValue != 0 && BootTime.now() - written < .seconds(1)
    }

    private static func runOnce(_ program: Int32) -> Bool {
        let packet = [UInt8](repeating: 0, count: 64)
        var options = unsafe bpf_test_run_opts()
        unsafe options.sz = MemoryLayout<bpf_test_run_opts>.size
        unsafe options.repeat = 1
        let status = unsafe packet.withUnsafeBytes { bytes in
            unsafe options.data_in = bytes.baseAddress
            unsafe options.data_size_in = UInt32(bytes.count)
            return unsafe bpf_prog_test_run_opts(program, &options)
        }
        return unsafe status == 0 && options.retval == 0
    }
}
