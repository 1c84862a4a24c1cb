import Mesh

/// Who claims which place in the mesh: a peer's number, its address, its WireGuard key.
///
/// Two peers with one number, address or key: nobody can tell who is meant, so neither is taken.
struct PeerPlaces: Sendable {
    /// A peer by its own name.
    enum Holder: Hashable, Sendable {
        case node(NodeName)
        case session(SessionID)
    }

    /// What a peer claims.
    struct Claim: Equatable, Sendable {
        let peer: PeerID
        let offset: MeshOffset
        let key: WireGuardPublicKey
    }

    fileprivate enum Place: Hashable {
        case peer(PeerID)
        case offset(MeshOffset)
        case key(WireGuardPublicKey)
    }

    private var claims: [Holder: Claim] = [:]
    private var holders: [Place: Set<Holder>] = [:]

    /// Whether somebody else claims a place of this one.
    func isShared(_ holder: Holder) -> Bool {
        guard let claim = claims[holder] else { return false }
        return claim.places.contains { (holders[$0]?.count ?? 0) > 1 }
    }

    /// Changes a claim; nil takes it back. Gives all for whom it may have changed whether they share a place.
    mutating func set(_ claim: Claim?, of holder: Holder) -> Set<Holder> {
        var touched: Set<Holder> = [holder]
        guard claim != claims[holder] else { return touched }
        for place in claims[holder]?.places ?? [] {
            holders[place]?.remove(holder)
            touched.formUnion(holders[place] ?? [])
            if holders[place]?.isEmpty == true { holders[place] = nil }
        }
        claims[holder] = claim
        for place in claim?.places ?? [] {
            touched.formUnion(holders[place] ?? [])
            holders[place, default: []].insert(holder)
        }
        return touched
    }
}

extension PeerPlaces.Claim {
    fileprivate var places: [PeerPlaces.Place] { [.peer(peer), .offset(offset), .key(key)] }
}
