internal import Glibc
internal import Mesh

/// WireGuard by `wireguard-go`: one process and one TUN device for each.
///
/// The process outlives us; its id and start time stand in a file, so that whoever starts with the same directory
/// adopts it. Its words are beside it in `NAME.log`, and name each packet whose source address is not its sender's:
/// a hostile peer decides how many, so the log is emptied when it has grown, whenever the state is read.
package struct UserspaceBackend: WireGuardBackend {
    private let directory: String
    private let program: String

    /// Where `wireguard-go` has its sockets; compiled into it.
    private static let socketDirectory = "/var/run/wireguard"

    /// The directory must exist, and be ours alone.
    package init(directory: String, program: String = "/usr/bin/wireguard-go") {
        (self.directory, self.program) = (directory, program)
    }

    /// What the process of a device writes; deleted with the device.
    package func logPath(of device: DeviceName) -> String { "\(directory)/\(device).log" }

    private func recordPath(of device: DeviceName) -> String { "\(directory)/\(device).pid" }
    private func socketPath(of device: DeviceName) -> String { "\(Self.socketDirectory)/\(device).sock" }

    package func create(_ device: DeviceName, mtu: Int) throws(WireGuardError) {
        guard !exists(device), process(of: device) == nil else { throw WireGuardError(.create, device, .exists) }
        let process = try start(device)
        do throws(WireGuardError) {
            try record(process, for: device)
            try waitForSocket(of: device, process)
            try setMTU(mtu, of: device)
        } catch {
            _ = process.end(program)
            try? removeFiles(of: device)
            throw error
        }
    }

    private func start(_ device: DeviceName) throws(WireGuardError) -> DaemonProcess {
        do throws(SystemError) {
            return try DaemonProcess.start(
                program, arguments: ["-f", device.rawValue], environment: ["LOG_LEVEL=verbose"],
                log: logPath(of: device))
        } catch {
            throw WireGuardError(.create, device, .system(error.errno))
        }
    }

    private func record(_ process: DaemonProcess, for device: DeviceName) throws(WireGuardError) {
        do throws(SystemError) {
            try writeFile(recordPath(of: device), process.record)
        } catch {
            throw WireGuardError(.create, device, .system(error.errno))
        }
    }

    private func waitForSocket(of device: DeviceName, _ process: DaemonProcess) throws(WireGuardError) {
        var ended = false
        let ready = wait(upTo: .seconds(3)) {
            ended = !process.runs(program)
            return ended || answers(device)
        }
        guard !ended else {
            let words = readEnd(of: logPath(of: device), limit: 4096) ?? ""
            let line = words.split(separator: "\n").last.map(String.init) ?? ""
            throw WireGuardError(.create, device, .ended(program: program, lastLine: line))
        }
        guard ready else { throw WireGuardError(.create, device, .timedOut) }
    }

    private func setMTU(_ mtu: Int, of device: DeviceName) throws(WireGuardError) {
        do throws(LinkError) {
            try Links().setMTU(mtu, of: device)
        } catch {
            throw WireGuardError(.create, device, .link(error))
        }
    }

    package func state(of device: DeviceName) throws(WireGuardError) -> DeviceState {
        emptyFile(logPath(of: device), above: Self.logLimit)
        return try converse(with: device, .read, UAPIRequest.get).state
    }

    package func apply(_ changes: DeviceChanges, to device: DeviceName) throws(WireGuardError) {
        if !changes.tightening.isEmpty {
            _ = try converse(with: device, .change, UAPIRequest.set(changes.tightening))
        }
        if !changes.loosening.isEmpty {
            _ = try converse(with: device, .change, UAPIRequest.set(changes.loosening))
        }
    }

    /// The device goes with the process that holds it open, in whichever namespace it is.
    package func delete(_ device: DeviceName) throws(WireGuardError) {
        if let process = process(of: device) {
            guard process.end(program) else { throw WireGuardError(.delete, device, .timedOut) }
        } else if answers(device) {
            throw WireGuardError(.delete, device, .notOurs)
        }
        try removeFiles(of: device)
    }

    package func exists(_ device: DeviceName) -> Bool {
        _ = recordedProcess(of: device)
        return answers(device)
    }

    /// The process that serves the device: the recorded one, or, when we died before we recorded it, whoever
    /// listens on its socket. Either must execute our program.
    private func process(of device: DeviceName) -> DaemonProcess? {
        if let recorded = recordedProcess(of: device) { return recorded }
        guard let socket = try? UnixSocket(path: socketPath(of: device), timeout: .seconds(1)),
            let identifier = try? socket.peerProcess()
        else { return nil }
        return DaemonProcess(identifier: identifier, program: program)
    }

    private func recordedProcess(of device: DeviceName) -> DaemonProcess? {
        guard let text = try? readFile(recordPath(of: device), limit: 64), let recorded = DaemonProcess(record: text),
            recorded.runs(program)
        else { return nil }
        return recorded
    }

    /// A socket that nobody serves is left behind by a process that was killed.
    private func answers(_ device: DeviceName) -> Bool {
        (try? UnixSocket(path: socketPath(of: device), timeout: .seconds(1))) != nil
    }

    private func removeFiles(of device: DeviceName) throws(WireGuardError) {
        for path in [socketPath(of: device), recordPath(of: device), logPath(of: device)]
        where unsafe unlink(path) != 0 && errno != ENOENT {
            throw WireGuardError(.delete, device, .system(errno))
        }
    }

    /// In bytes.
    private static let logLimit = 1 << 20

    /// A device with 65,000 peers answers with 20 MB.
    private static let answerLimit = 32 << 20

    private func converse(
        with device: DeviceName, _ operation: WireGuardError.Operation, _ request: String
    ) throws(WireGuardError) -> UAPIReply {
        let text: [UInt8]
        do throws(UnixSocket.Failure) {
            let socket = try UnixSocket(path: socketPath(of: device), timeout: .seconds(2))
            try socket.send(request)
            text = try socket.receiveMessage(limit: Self.answerLimit)
        } catch {
            throw WireGuardError(operation, device, WireGuardError.Cause(error))
        }
        let reply = try parse(text, operation, device)
        guard reply.errno == 0 else {
            // The program writes error numbers as Go's system calls have them: negative.
            throw WireGuardError(operation, device, .refused(Int32(clamping: reply.errno.magnitude)))
        }
        return reply
    }

    private func parse(
        _ text: [UInt8], _ operation: WireGuardError.Operation, _ device: DeviceName
    ) throws(WireGuardError) -> UAPIReply {
        do throws(MalformedReply) {
            return try UAPIReply.parse(text)
        } catch {
            throw WireGuardError(operation, device, .malformed(error))
        }
    }
}

extension WireGuardError.Cause {
    fileprivate init(_ failure: UnixSocket.Failure) {
        switch failure {
        case .system(let number): self = .system(number)
        case .timedOut: self = .timedOut
        case .tooLong: self = .malformed(.tooLong)
        }
    }
}
