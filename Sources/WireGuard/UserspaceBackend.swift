internal import Glibc
internal import Mesh

/// WireGuard by `wireguard-go`: one process and one TUN device for each.
///
/// The process outlives us; its id and start time stand in a file, so that whoever starts with the same directory
/// adopts it. Its words are beside it in `NAME.log`, and name each packet whose source address is not its sender's:
/// a hostile peer decides how many, so the log is emptied when it has grown, whenever the state is read.
package struct UserspaceBackend: WireGuardBackend {
    package let kind = BackendKind.userspace
    /// A process may be killed, or end because its TUN device went.
    package var endings: DeviceEndings? { ended }
    private let ended = DeviceEndings()
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
        guard try !isRecordedAndRuns(device, .create), try connection(to: device, .create) == nil else {
            throw WireGuardError(.create, device, .exists)
        }
        let process = try during(.create, device, start(device))
        do throws(WireGuardError) {
            try during(.create, device, writeFile(recordPath(of: device), process.record))
            try waitForSocket(of: device, process)
            try setMTU(mtu, of: device)
            ended.watch(process, of: device)
        } catch {
            // The record of a process that stays is how it is found again.
            if (try? process.end(program)) == true { try? removeFiles(of: device) }
            throw error
        }
    }

    private func start(_ device: DeviceName) throws(SystemError) -> DaemonProcess {
        try DaemonProcess.start(
            program, arguments: ["-f", device.rawValue], environment: ["LOG_LEVEL=verbose"], log: logPath(of: device))
    }

    private func waitForSocket(of device: DeviceName, _ process: DaemonProcess) throws(WireGuardError) {
        var ended = false
        let ready = try wait(upTo: .seconds(3)) { () throws(WireGuardError) in
            ended = try during(.create, device, !process.runs(program))
            if ended { return true }
            return try connection(to: device, .create) != nil
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

    package func move(_ device: DeviceName, to namespace: borrowing NetworkNamespace) throws(WireGuardError) {
        do throws(LinkError) {
            try Links().move(device, to: namespace)
        } catch {
            throw WireGuardError(.move, device, .link(error))
        }
    }

    /// The socket of a device is a file, and found from every namespace.
    package func adopt(_ device: DeviceName, in namespace: borrowing NetworkNamespace) {}

    package func state(of device: DeviceName) throws(WireGuardError) -> DeviceState {
        emptyFile(logPath(of: device), above: Self.logLimit)
        do throws(WireGuardError) {
            return try converse(with: device, .read, UAPIRequest.get).state
        } catch {
            // Collects it if it has ended.
            _ = try? isRecordedAndRuns(device, .read)
            throw error
        }
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
        ended.forget(device)
        if let process = try during(.delete, device, recordedProcess(of: device)) { try end(process, of: device) }
        // Without a record, because we died before we wrote it, whoever listens is the process.
        if let socket = try connection(to: device, .delete) { try endListener(of: socket, device) }
        try removeFiles(of: device)
    }

    private func endListener(of socket: borrowing UnixSocket, _ device: DeviceName) throws(WireGuardError) {
        let identifier: pid_t
        do throws(UnixSocket.Failure) {
            identifier = try socket.peerProcess()
        } catch {
            throw WireGuardError(.delete, device, WireGuardError.Cause(error))
        }
        if let process = try during(.delete, device, DaemonProcess(identifier: identifier, program: program)) {
            try end(process, of: device)
        } else if try connection(to: device, .delete) != nil {
            throw WireGuardError(.delete, device, .notOurs)
        }
    }

    private func end(_ process: DaemonProcess, of device: DeviceName) throws(WireGuardError) {
        guard try during(.delete, device, process.end(program)) else {
            throw WireGuardError(.delete, device, .timedOut)
        }
    }

    package func exists(_ device: DeviceName) throws(WireGuardError) -> Bool {
        if try connection(to: device, .find) != nil {
            // One of an earlier run.
            if !ended.isWatched(device), let process = try? recordedProcess(of: device) {
                ended.watch(process, of: device)
            }
            return true
        }
        guard try !isRecordedAndRuns(device, .find) else { throw WireGuardError(.find, device, .unreachable) }
        return false
    }

    /// The log is there before the process, and the record a little later.
    package func devices() throws(WireGuardError) -> Set<DeviceName> {
        let ours = try during(.list, nil, fileNames(in: directory)).filter {
            $0.hasSuffix(".pid") || $0.hasSuffix(".log")
        }
        return Set(ours.compactMap { DeviceName(String($0.dropLast(4))) })
    }

    /// Collects a process that has ended.
    private func isRecordedAndRuns(
        _ device: DeviceName, _ operation: WireGuardError.Operation
    ) throws(WireGuardError) -> Bool {
        guard let process = try during(operation, device, recordedProcess(of: device)) else { return false }
        if try during(operation, device, process.runs(program)) { return true }
        try during(operation, device, process.collect(program))
        return false
    }

    /// Living or not; nil without a record that can be understood.
    private func recordedProcess(of device: DeviceName) throws(SystemError) -> DaemonProcess? {
        do throws(SystemError) {
            return DaemonProcess(record: try readFile(recordPath(of: device), limit: 64))
        } catch {
            guard error.errno == ENOENT else { throw error }
            return nil
        }
    }

    /// Nil when nobody serves the socket: one without a listener is left behind by a process that was killed.
    private func connection(
        to device: DeviceName, _ operation: WireGuardError.Operation
    ) throws(WireGuardError) -> UnixSocket? {
        do throws(UnixSocket.Failure) {
            return try UnixSocket(path: socketPath(of: device), timeout: .seconds(1))
        } catch {
            guard error == .system(ENOENT) || error == .system(ECONNREFUSED) else {
                throw WireGuardError(operation, device, WireGuardError.Cause(error))
            }
            return nil
        }
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

    /// Thousands of peers take a while to write, and to answer with.
    private static func patience(for request: UAPIRequest) -> Duration { .seconds(5 + request.peers >> 10) }

    private func converse(
        with device: DeviceName, _ operation: WireGuardError.Operation, _ request: UAPIRequest
    ) throws(WireGuardError) -> UAPIReply {
        let text: [UInt8]
        do throws(UnixSocket.Failure) {
            let socket = try UnixSocket(path: socketPath(of: device), timeout: Self.patience(for: request))
            for part in request.parts { try socket.send(part) }
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

private func during<Result>(
    _ operation: WireGuardError.Operation, _ device: DeviceName?, _ body: @autoclosure () throws(SystemError) -> Result
) throws(WireGuardError) -> Result {
    do throws(SystemError) {
        return try body()
    } catch {
        throw WireGuardError(operation, device, .system(error.errno))
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
