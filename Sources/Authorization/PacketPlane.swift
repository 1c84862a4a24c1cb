import Cedar

/// What packets tell policies.
enum PacketPlane {
    /// Why a condition cannot ask for an attribute of the context, or for all of it.
    static func silence(about attribute: Text?) -> String {
        let asked = attribute.map { "`context.\($0)`" } ?? "the whole `context`"
        return "packets tell a policy `context.\(MeshSchema.clock)` alone, not \(asked)"
    }
}
