import Audit
import Crypto
import Glibc
import Mesh

// Records a second, with fsync: into a node's spool in groups as posternd writes them, and from batches as they travel
// into the coordinator's log, decoded, checked and chained. Ends with 1 where a figure is not reached.

let seconds = 5.0
let group = 4000
let directory = "/var/tmp/postern-bench-audit-\(getpid())"
unsafe mkdir(directory, 0o700)

let morning = Timestamp(rawValue: 1_700_000_000_000)
let node = try NodeName("node-a")
let event = try typicalEvent()

let spooled = try benchSpool()
let stored = try benchLog()
let memory = residentBytes()
print("peak memory \(memory >> 20) MB")
let isReached = spooled >= 20_000 && stored >= 10_000 && memory < 256 << 20
removeAll()
if !isReached {
    print("a figure was not reached: 20000 spooled, 10000 stored, 256 MB")
    exit(1)
}

func typicalEvent() throws -> AuditEvent {
    var event = AuditEvent(.flowDenied, at: morning)
    event.session = try SessionID(String(repeating: "0f", count: 16))
    (event.agent, event.owner, event.uid) = (try AgentName("crew/writer"), try UserName("ana"), 1000)
    (event.chain, event.service, event.port) = (["crew", "crew/writer"], try ServiceName("vault"), Port("8080"))
    (event.target, event.transport, event.place) = ("10.136.0.3:8080", "tcp", "out of a session")
    (event.reason, event.policies) = ("no grant allows it", ["policy `one-reads-the-ledger` (demo.cedar:1:1)"])
    return event
}

func benchSpool() throws -> Double {
    let spool = try AuditSpool(directory: directory + "/spool", node: node, now: { morning })
    return try measure("spooled by a node") {
        for _ in 0..<group { spool.append(event) }
        try spool.flush()
        return group
    }
}

func benchLog() throws -> Double {
    let source = try AuditSpool(
        directory: directory + "/source", node: node,
        limits: .init(segment: 4 << 20, disk: 1 << 30, memory: 1 << 30), now: { morning })
    var log = try AuditLog(
        directory: directory + "/log", mesh: MeshDomain("acme.example"), key: P256.Signing.PrivateKey())
    for _ in 0..<300 {
        for _ in 0..<1000 { source.append(event) }
        try source.flush()
    }
    return try measure("delivered and stored by the coordinator") {
        guard let batch = try source.batch(atMost: 1000) else { return nil }
        _ = try log.receive(batch.body, from: node, now: morning)
        try source.acknowledge(batch)
        return batch.count
    }
}

/// Records a second of a body that says how many each call brought, or nil when there are no more.
func measure(_ name: String, _ body: () throws -> Int?) throws -> Double {
    let start = uptime()
    var count = 0
    while uptime() - start < seconds, let brought = try body() { count += brought }
    let rate = Double(count) / (uptime() - start)
    print("\(name): \(Int(rate)) a second")
    return rate
}

func uptime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The most that this process has had in memory.
func residentBytes() -> Int {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
}

func removeAll() {
    for part in ["spool", "source", "log"] {
        let path = directory + "/" + part
        guard let open = unsafe opendir(path) else { continue }
        while let entry = unsafe readdir(open) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            unsafe unlink(path + "/" + name)
        }
        unsafe closedir(open)
        unsafe rmdir(path)
    }
    unsafe rmdir(directory)
}
