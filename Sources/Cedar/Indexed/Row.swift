/// What is known of one name: what it belongs to, and if there is an entity of that name, its attributes.
final class Row: Sendable {
    let uid: EntityUID
    let handle: Handle
    let entity: Entity?
    /// All that this entity fulfils: any, its type, itself, then itself and its ancestors as groups. Those are in the
    /// order of their numbers.
    let anchors: [Anchor]
    let names: [AttributeName]
    /// Beside `names`.
    let values: [Operand]

    static let own = 3

    init(
        _ uid: EntityUID, _ handle: Handle, entity: Entity? = nil, ancestors: [Handle] = [],
        names: [AttributeName] = [], values: [Operand] = []
    ) {
        (self.uid, self.handle, self.entity, self.names, self.values) = (uid, handle, entity, names, values)
        var anchors = [Anchor.any, .type(uid.type), .equal(handle)]
        anchors.reserveCapacity(anchors.count + ancestors.count + 1)
        var rest = ancestors[...]
        while let first = rest.first, first < handle { anchors.append(.within(rest.removeFirst())) }
        anchors.append(.within(handle))
        for group in rest { anchors.append(.within(group)) }
        self.anchors = anchors
    }

    /// The same with other ancestors, which are in the order of their numbers.
    func with(ancestors: [Handle]) -> Row {
        Row(uid, handle, entity: entity, ancestors: ancestors, names: names, values: values)
    }

    /// In the order of their numbers.
    var ancestors: [Handle] { anchors[Self.own...].compactMap(\.group).filter { $0 != handle } }

    var ancestorCount: Int { anchors.count - Self.own - 1 }

    /// Whether it is the group or belongs to it.
    func isWithin(_ group: Handle) -> Bool { anchors.fulfil(.within(group)) }

    func value(_ name: AttributeName) -> Operand? {
        for place in names.indices where names[place].hash == name.hash {
            if names[place].text == name.text { return values[place] }
        }
        return nil
    }
}

extension [Anchor] {
    /// Whether the anchor is one of a row's.
    func fulfil(_ anchor: Anchor) -> Bool {
        if count <= 16 {
            for own in self where own == anchor { return true }
            return false
        }
        guard anchor.group != nil else { return self[..<Row.own].contains(anchor) }
        var (low, high) = (Row.own, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].code < anchor.code { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == anchor
    }
}
