package import Mesh
import SwiftASN1
import X509

/// A host that the coordinator answers at: what its URL names, and its certificate bears.
package enum ServerHost: Hashable, Sendable, CustomStringConvertible {
    case dns(String)
    case ip(IPv4Address)

    /// Reads the host of a URL.
    package init(_ text: String) throws(IdentityError) {
        if let address = IPv4Address(text) {
            self = .ip(address)
        } else if (try? MeshDomain(text)) != nil, text.contains(where: \.isLetter) {
            self = .dns(text)  // a mesh's name has the form of a DNS name
        } else {
            throw .unreadable("the host `\(text.prefix(120))`", because: "it is neither a DNS name nor an IPv4 address")
        }
    }

    package var description: String {
        switch self {
        case .dns(let name): name
        case .ip(let address): address.description
        }
    }

    var generalName: GeneralName {
        switch self {
        case .dns(let name): .dnsName(name)
        case .ip(let address): .ipAddress(ASN1OctetString(contentBytes: address.bytes[...]))
        }
    }
}
