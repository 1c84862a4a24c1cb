package import WireGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Where this node's pins are, below its own directory in a bpffs.
package struct PinPaths: Sendable {
    package let root: String

    package init(root: String) { self.root = root }

    package var tables: String { root + "/tables" }
    package var wall: String { root + "/wall" }
    package func classifier(of device: DeviceName) -> String { root + "/" + Self.classifier + device.rawValue }
    package func connectHook(of device: DeviceName) -> String { root + "/" + Self.connectHook + device.rawValue }

    private static let classifier = "device-"
    private static let connectHook = "connect-"

    /// The devices that have pins here, whether they still exist or not.
    package func devices() throws -> Set<DeviceName> {
        guard FileManager.default.fileExists(atPath: root) else { return [] }
        let names = try FileManager.default.contentsOfDirectory(atPath: root)
        return Set(
            names.compactMap { name in
                [Self.classifier, Self.connectHook].first { name.hasPrefix($0) }
                    .flatMap { DeviceName(String(name.dropFirst($0.count))) }
            })
    }
}
