import Foundation
import Mesh
import Testing

@testable import Datapath

/// What the kernel keeps open for this process.
private func openDescriptors() throws -> [String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    return names.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
        .filter { !$0.hasPrefix("/proc/") }.sorted()
}

@Suite struct DescriptorTests {
    // In a process of its own, in which no other test opens anything.
    @Test func `attaching, verifying and reading leaves no descriptor behind`() async {
        await #expect(processExitsWith: .success) {
            let (tunnel, mount) = (try Tunnel(), try PinMount())
            try cycle(tunnel, mount, attaches: true, readsAll: true)
            let before = try openDescriptors()
            for round in 0..<500 { try cycle(tunnel, mount, attaches: round % 5 == 0, readsAll: round % 50 == 0) }
            #expect(try openDescriptors() == before)
        }
    }
}

/// Everything that a node does with the datapath, once. What the kernel takes its time for is done in fewer rounds.
private func cycle(_ tunnel: Tunnel, _ mount: PinMount, attaches: Bool, readsAll: Bool) throws {
    let (netns, device, wall) = (tunnel.namespace.descriptor, mount.path + "/mesh0", mount.path + "/wall")
    let tables = try Tables(pins: mount.path + "/tables")
    if attaches {
        try tables.tighten(Who.tables.changes(to: TableSet()))
        try Classifier.attach(
            interface: tunnel.interface, netns: netns, identity: Who.nodeDevice, tables: tables, pins: device)
        try Wall.attach(around: pool, netns: netns, tables: tables, pins: wall)
    }
    try Classifier.verify(interface: tunnel.interface, netns: netns, pins: device)
    try Wall.setMeshDevices([tunnel.interface], tables: tables)
    try Wall.verify(netns: netns, pins: wall)
    var events = try EventStream(tables)
    _ = try (events.drain(), tables.counts())
    if readsAll { _ = try tables.read() }
}
