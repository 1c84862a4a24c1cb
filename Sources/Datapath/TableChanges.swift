internal import Mesh

/// The way from one table set to another in two halves.
///
/// `tighten` takes each entry to what both sets agree on, so each write only removes. `loosen` goes from
/// there to the new set, so each write only adds. What a packet may do grows with every entry: hence at no
/// instant is anything allowed that neither set allows, and nothing after `tighten` that the new one does not.
/// An entry that changes its meaning is zero between the halves.
package struct TableChanges: Equatable, Sendable {
    package let tighten: [TableWrite]
    package let loosen: [TableWrite]

    package var isEmpty: Bool { tighten.isEmpty && loosen.isEmpty }
}

extension TableSet {
    package func changes(to new: TableSet) -> TableChanges {
        let meet = self.meet(new)
        return TableChanges(
            tighten: Self.writes(from: self, to: meet, order: .peersFirst),
            loosen: Self.writes(from: meet, to: new, order: .peersLast))
    }

    /// What both sets say, entry by entry: the shorter lease, the narrower verdict, nothing where they differ.
    private func meet(_ other: TableSet) -> TableSet {
        var result = TableSet()
        for (offset, entry) in peers {
            guard let match = other.peers[offset], match.isSamePeer(as: entry) else { continue }
            result.peers[offset] = entry.lease < match.lease ? entry : match
        }
        for (slot, generation) in rows where other.rows[slot] == generation { result.rows[slot] = generation }
        for (key, value) in services where other.services[key] == value { result.services[key] = value }
        for (prefix, entry) in routes {
            guard let match = other.routes[prefix], match.isSamePeer(as: entry) else { continue }
            result.routes[prefix] = entry.lease < match.lease ? entry : match
        }
        for key in Set(verdicts.keys).union(timed.keys) {
            switch cell(key).meet(other.cell(key)) {
            case .deny: break
            case .always(let verdict):
                result.verdicts[key] = verdict
                // Not looked at beside a verdict: it may stay.
                if timed[key] == other.timed[key] { result.timed[key] = timed[key] }
            case .timed(let grant): result.timed[key] = grant
            }
        }
        return result
    }

    private func cell(_ key: VerdictKey) -> Cell {
        if let verdict = verdicts[key] { return .always(verdict) }
        return timed[key].map { .timed($0) } ?? .deny
    }

    /// What an initiator may do with a class, and how long.
    private enum Cell {
        case deny
        case always(Verdict)
        case timed(TimedGrant)

        /// What both allow, at any time.
        func meet(_ other: Cell) -> Cell {
            switch (self, other) {
            case (.deny, _), (_, .deny): .deny
            case (.always(let one), .always(let two)): .always(min(one, two))
            case (.always(let verdict), .timed(let grant)), (.timed(let grant), .always(let verdict)):
                .timed(TimedGrant(until: grant.until, verdict: min(verdict, grant.verdict), policy: grant.policy))
            case (.timed(let one), .timed(let two)):
                .timed(
                    TimedGrant(
                        until: min(one.until, two.until), verdict: min(one.verdict, two.verdict), policy: two.policy))
            }
        }
    }

    private enum Order { case peersFirst, peersLast }

    private static func writes(from old: TableSet, to new: TableSet, order: Order) -> [TableWrite] {
        let peers = differences(old.peers, new.peers).map { TableWrite.peer($0, new.peers[$0]) }
        let rows = differences(old.rows, new.rows).map { TableWrite.row($0, new.rows[$0]) }
        let services = differences(old.services, new.services).map { TableWrite.service($0, new.services[$0]) }
        let verdicts = differences(old.verdicts, new.verdicts).map {
            TableWrite.verdict($0, new.verdicts[$0] ?? .deny)
        }
        let timed = differences(old.timed, new.timed).map { TableWrite.timed($0, new.timed[$0]) }
        let routes = differences(old.routes, new.routes).map { TableWrite.route($0, new.routes[$0]) }
        switch order {
        case .peersFirst: return peers + routes + rows + services + timed + verdicts
        case .peersLast: return verdicts + timed + rows + services + routes + peers
        }
    }

    private static func differences<Key: Comparable, Value: Equatable>(
        _ old: [Key: Value], _ new: [Key: Value]
    ) -> [Key] {
        let gone = old.keys.filter { new[$0] == nil }
        return (gone + new.keys.filter { old[$0] != new[$0] }).sorted()
    }
}
