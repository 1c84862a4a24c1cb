package import Mesh
import SwiftASN1
import X509

/// A host that the coordinator answers at: what its URL names, and its certificate bears.
package enum ServerHost: Hashable, Sendable, CustomStringConvertible {
    case dns(String)
    case ip(IPAddress)

    /// Reads the host of a URL, where an IPv6 address stands in brackets.
    package init(_ text: String) throws(IdentityError) {
        if let address = IPv4Address(text) {
            self = .ip(.v4(address))
        } else if text.hasPrefix("["), text.hasSuffix("]"),
            let address = IPv6Address(String(text.dropFirst().dropLast()))
        {
            self = .ip(.v6(address))
        } else if (try? MeshDomain(text)) != nil, text.contains(where: \.isLetter) {
            self = .dns(text)  // a mesh's name has the form of a DNS name
        } else {
            throw .unreadable("the host `\(text.prefix(120))`", because: "it is neither a DNS name nor an address")
        }
    }

    package var description: String {
        switch self {
        case .dns(let name): name
        case .ip(.v4(let address)): address.description
        case .ip(.v6(let address)): "[\(address)]"
        }
    }

    var generalName: GeneralName {
        switch self {
        case .dns(let name): .dnsName(name)
        case .ip(let address): .ipAddress(ASN1OctetString(contentBytes: address.bytes[...]))
        }
    }
}
