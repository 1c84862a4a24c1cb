/// Where a WireGuard socket answers on the underlay: `192.0.2.1:51820` or `[2001:db8::1]:51820`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let port: Port

    package init(address: IPAddress, port: Port) { (self.address, self.port) = (address, port) }

    /// Brackets are for IPv6 and only for it: without them nobody knows where its port begins.
    package init?(_ text: String) {
        guard text.utf8.count <= 47, let colon = text.lastIndex(of: ":"),
            let port = Port(String(text[text.index(after: colon)...])),
            let address = underlayAddress(text[..<colon])
        else { return nil }
        self.init(address: address, port: port)
    }

    package var description: String {
        switch address {
        case .v4(let address): "\(address):\(port)"
        case .v6(let address): "[\(address)]:\(port)"
        }
    }
}

private func underlayAddress(_ text: Substring) -> IPAddress? {
    guard text.first == "[", text.last == "]" else { return IPv4Address(String(text)).map(IPAddress.v4) }
    return IPv6Address(String(text.dropFirst().dropLast())).map(IPAddress.v6)
}

extension Endpoint: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let endpoint = Endpoint(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "`\(text.prefix(80))` is not ADDRESS:PORT")
        }
        self = endpoint
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
