import Mesh

/// Reads a name from the command line; the parser shows the error's own sentence.
func name<Name: MeshName>(_ text: String) throws -> Name { try Name(text) }

func portNumber(_ text: String) throws -> Port {
    guard let port = Port(text) else { throw CommandFailure("a port is a number from 1 to 65535") }
    return port
}

func endpointText(_ text: String) throws -> Endpoint {
    guard let endpoint = Endpoint(text) else {
        throw CommandFailure("an endpoint is ADDRESS:PORT, such as 192.0.2.10:51820 or [2001:db8::1]:51820")
    }
    return endpoint
}

func protocolName(_ text: String) throws -> ServiceProtocol {
    guard let value = ServiceProtocol(rawValue: text) else {
        throw CommandFailure("the protocols are: \(ServiceProtocol.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
}
