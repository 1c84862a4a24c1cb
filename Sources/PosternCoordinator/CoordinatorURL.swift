package import Identity
package import Mesh

/// Where nodes and admins find the coordinator: `https://HOST:PORT`, and nothing after it.
package struct CoordinatorURL: Equatable, Sendable, CustomStringConvertible {
    package let host: ServerHost
    package let port: Port

    package init?(_ text: String) {
        let scheme = "https://"
        guard text.hasPrefix(scheme) else { return nil }
        let (name, number) = splitPort(text.dropFirst(scheme.count))
        guard let host = try? ServerHost(name), let port = number.map({ Port($0) }) ?? Port(rawValue: 443) else {
            return nil
        }
        (self.host, self.port) = (host, port)
    }

    package var description: String { "https://\(host):\(port)" }
}

/// Where a coordinator listens: `ADDRESS:PORT`, with IPv6 in brackets; port 0 lets the system choose one.
package struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let port: UInt16

    package init?(_ text: String) {
        let (name, number) = splitPort(text[...])
        guard case .ip(let address) = try? ServerHost(name), let port = number.flatMap({ UInt16($0) }) else {
            return nil
        }
        (self.address, self.port) = (address, port)
    }

    package var description: String { "\(ServerHost.ip(address)):\(port)" }

    /// What answers there, once it is known which port the system chose.
    package func url(port: Int) -> String { "https://\(ServerHost.ip(address)):\(port)" }
}

/// What stands before the port, and the port; the colons of an IPv6 address are within brackets.
private func splitPort(_ text: Substring) -> (host: String, port: String?) {
    let end = text.lastIndex(of: "]") ?? text.startIndex
    guard let colon = text[end...].firstIndex(of: ":") else { return (String(text), nil) }
    return (String(text[..<colon]), String(text[text.index(after: colon)...]))
}

/// Why a coordinator does not listen.
package struct ListenError: Error, Equatable, Sendable, CustomStringConvertible {
    package let address: ListenAddress
    package let reason: String
    package var description: String { "cannot listen at `\(address)`: \(reason)" }
}
