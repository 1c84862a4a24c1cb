import CLinux
import Foundation
import Glibc
import Testing

@testable import WireGuard

@Suite struct DeviceProcessTests {
    @Test func `a thousand questions leave no descriptor behind, here or there`() throws {
        let (place, device, missing) = (try Workshop(), uniqueDevice(), uniqueDevice())
        try place.createInUserspace(device)
        defer { try? place.userspace.delete(device) }
        let identifier = try place.process(of: device).identifier
        let (ours, theirs) = (try descriptors(of: getpid()).count, try descriptors(of: identifier).count)
        for _ in 0..<1000 {
            #expect(try place.userspace.exists(device))
            #expect(try !place.userspace.exists(missing))
            _ = try place.userspace.state(of: device)
            _ = try Links(in: place.namespace).index(of: device)
        }
        // Tests beside this one open a few.
        #expect(try descriptors(of: getpid()).count < ours + 200)
        // It closes its end when it gets to it.
        #expect(eventually { (try? descriptors(of: identifier).count < theirs + 10) == true })
    }

    @Test func `no process stays behind to be collected`() throws {
        let place = try Workshop()
        for _ in 0..<20 {
            let device = uniqueDevice()
            try place.createInUserspace(device)
            let process = try place.process(of: device)
            try place.userspace.delete(device)
            #expect(!isThere(process))
        }
    }

    @Test func `a process that ended by itself is collected with its device`() throws {
        let place = try Workshop()
        for _ in 0..<20 {
            let device = uniqueDevice()
            try place.createInUserspace(device)
            let process = try place.process(of: device)
            try Links(in: place.namespace).delete(device)
            try place.userspace.delete(device)
            #expect(!isThere(process))
        }
    }

    @Test func `a tunnel waits for its turn, though whoever makes it precedes others`() async throws {
        let policy = try await withCheckedThrowingContinuation { continuation in
            Thread {
                continuation.resume(
                    with: Result {
                        let (place, device) = (try Workshop(), uniqueDevice())
                        #expect(pt_precede(0) == 0)
                        try place.createInUserspace(device)
                        defer { try? place.userspace.delete(device) }
                        return sched_getscheduler(try place.process(of: device).identifier)
                    })
            }.start()
        }
        #expect(policy == SCHED_OTHER)
    }

    @Test func `whoever asks for the state of an ended process collects it`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.createInUserspace(device)
        let process = try place.process(of: device)
        kill(process.identifier, SIGKILL)
        #expect(
            eventually {
                _ = try? place.userspace.state(of: device)
                return !isThere(process)
            })
        try place.userspace.delete(device)
    }

    @Test func `a process gets its standard streams and nothing else of ours`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        let leaked = Pipe()
        let descriptor = leaked.fileHandleForReading.fileDescriptor
        #expect(fcntl(descriptor, F_SETFD, 0) == 0)
        try place.createInUserspace(device)
        defer { try? place.userspace.delete(device) }
        let name = try #require(try linkTarget("/proc/self/fd/\(descriptor)"))
        #expect(name.hasPrefix("pipe:"))
        #expect(try !descriptors(of: try place.process(of: device).identifier).contains(name))
    }
}

@Suite struct DeviceExistenceTests {
    @Test func `a device that does not answer in time is not taken for missing`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        let silent = try Listener(path: "/var/run/wireguard/\(device).sock")
        let first = try UnixSocket(path: silent.path, timeout: .seconds(1))
        #expect(throws: WireGuardError(.find, device, .timedOut)) { try place.userspace.exists(device) }
        #expect(throws: WireGuardError(.delete, device, .timedOut)) { try place.userspace.delete(device) }
        try first.send("")
    }

    @Test func `a device whose process lives without a socket is not taken for missing`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.createInUserspace(device)
        #expect(unsafe unlink("/var/run/wireguard/\(device).sock") == 0)
        let error = #expect(throws: WireGuardError.self) { try place.userspace.exists(device) }
        #expect(
            error?.description == "cannot find the WireGuard device `\(device)`: its program runs, but does not listen")
        #expect(throws: WireGuardError(.create, device, .exists)) { try place.createInUserspace(device) }

        let process = try place.process(of: device)
        try place.userspace.delete(device)
        #expect(!isThere(process))
        #expect(try !place.userspace.exists(device))
    }

    @Test func `a record that cannot be read is not taken for none`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try FileManager.default.createDirectory(
            atPath: "\(place.directory)/\(device).pid", withIntermediateDirectories: false)
        #expect(throws: WireGuardError(.find, device, .system(EISDIR))) { try place.userspace.exists(device) }
        #expect(throws: WireGuardError(.delete, device, .system(EISDIR))) { try place.userspace.delete(device) }
    }

    @Test func `without descriptors nothing is said of a device, and nothing done to it`() async {
        // The limit is the whole process's, so this has one of its own.
        await #expect(processExitsWith: .success) { try askWithoutDescriptors() }
    }

    @Test func `what an earlier run left is listed, living or not, until it is deleted`() throws {
        let (place, living, dead, unrecorded) = (try Workshop(), uniqueDevice(), uniqueDevice(), uniqueDevice())
        for device in [living, dead, unrecorded] { try place.createInUserspace(device) }
        kill(try place.process(of: dead).identifier, SIGKILL)
        try FileManager.default.removeItem(atPath: "\(place.directory)/\(unrecorded).pid")
        try Data().write(to: URL(filePath: "\(place.directory)/notes.txt"))

        let later = UserspaceBackend(directory: place.directory)
        #expect(try later.devices() == [living, dead, unrecorded])
        for device in try later.devices() { try later.delete(device) }
        #expect(try later.devices().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory) == ["notes.txt"])
    }

    @Test func `a directory that is not there is an error in words`() {
        let error = #expect(throws: WireGuardError.self) {
            try UserspaceBackend(directory: "/tmp/pt-missing").devices()
        }
        #expect(error?.description == "cannot list the WireGuard devices: no such file or directory (errno 2)")
    }
}

private func askWithoutDescriptors() throws {
    let (place, device) = (try Workshop(), uniqueDevice())
    try place.createInUserspace(device)
    defer { try? place.userspace.delete(device) }
    let process = try place.process(of: device)
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    var none = rlimit(rlim_cur: 0, rlim_max: limit.rlim_max)
    unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
    let question = Result { try place.userspace.exists(device) }
    let answer = Result { try process.runs("/usr/bin/wireguard-go") }
    let ending = Result { try place.userspace.delete(device) }
    unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)

    #expect(throws: WireGuardError(.find, device, .system(EMFILE))) { try question.get() }
    #expect(throws: SystemError(errno: EMFILE)) { try answer.get() }
    #expect(throws: WireGuardError(.delete, device, .system(EMFILE))) { try ending.get() }
    #expect(try place.userspace.exists(device))
}

/// What each open descriptor of a process leads to.
private func descriptors(of identifier: pid_t) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/fd")
        .compactMap { try linkTarget("/proc/\(identifier)/fd/\($0)") }
}

/// Living, or waiting to be collected.
private func isThere(_ process: DaemonProcess) -> Bool {
    FileManager.default.fileExists(atPath: "/proc/\(process.identifier)")
}
