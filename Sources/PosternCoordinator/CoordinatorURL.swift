package import Identity
package import Mesh

/// Where nodes and admins find the coordinator: `https://HOST:PORT`, and nothing after it.
package struct CoordinatorURL: Equatable, Sendable, CustomStringConvertible {
    package let host: ServerHost
    package let port: Port

    package init?(_ text: String) {
        let scheme = "https://"
        guard text.hasPrefix(scheme) else { return nil }
        let parts = text.dropFirst(scheme.count).split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let host = try? ServerHost(String(parts[0])),
            let port = parts.count == 2 ? Port(String(parts[1])) : Port(rawValue: 443)
        else { return nil }
        (self.host, self.port) = (host, port)
    }

    package var description: String { "https://\(host):\(port)" }
}

/// Where a coordinator listens: `ADDRESS:PORT`; port 0 lets the system choose one.
package struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    package let address: IPv4Address
    package let port: UInt16

    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(String(parts[0])), let port = UInt16(parts[1]) else {
            return nil
        }
        (self.address, self.port) = (address, port)
    }

    package var description: String { "\(address):\(port)" }
}

/// Why a coordinator does not listen.
package struct ListenError: Error, Equatable, Sendable, CustomStringConvertible {
    package let address: ListenAddress
    package let reason: String
    package var description: String { "cannot listen at `\(address)`: \(reason)" }
}
