import Mesh

/// The names of the mesh as people write them, and whose address each means.
///
///     SERVICE.MESH       the node where a service answers
///     NODE.MESH          a node, unless a service has the name
///     NODE.node.MESH     a node, whatever services are called
///
/// The part `.MESH` may be left out where there is no doubt that a name of the mesh is meant.
struct MeshNames {
    let map: NetworkMap

    /// The nodes that a name means, with the mesh's own name behind it or without: one, or none.
    func nodes(meantBy text: String) -> [NodeName] {
        let name = text.lowercased()
        let suffix = ".\(map.mesh)"
        return node(label: name.hasSuffix(suffix) ? name.dropLast(suffix.count) : name[...]).map { [$0] } ?? []
    }

    /// The node that the part before the mesh's own name means.
    func node(label: Substring) -> NodeName? {
        if label.hasSuffix(".node") { return known(label.dropLast(5)) }
        if let service = ServiceName(rawValue: String(label)), let node = map.services[service]?.node {
            return map.nodes[node]?.name
        }
        return known(label)
    }

    private func known(_ label: Substring) -> NodeName? {
        NodeName(rawValue: String(label)).flatMap { map.nodes[$0]?.name }
    }
}
