/// The name of a network interface, as the kernel allows it (`dev_valid_name`) and printable.
///
/// It is also the name of a socket file, so it never holds a slash.
package struct DeviceName: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init?(rawValue: String) { self.init(rawValue) }

    package init?(_ text: String) {
        guard (1...15).contains(text.utf8.count), text != ".", text != "..",
            text.utf8.allSatisfy({ (33...126).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":") })
        else { return nil }
        rawValue = text
    }

    private init(unchecked text: String) { rawValue = text }

    package static let loopback = DeviceName(unchecked: "lo")

    package var description: String { rawValue }
}
