/// The order of types. Strictly, two types have a bound above them only where one value could be of both; permissively,
/// records may lose attributes and entities may be of several types. Cedar docs, _Policy validation_.
extension StaticType {
    /// Whether every value of this type is of the other.
    func isSubtype(of other: StaticType, _ mode: ValidationMode) -> Bool {
        switch (self, other) {
        case (.never, _), (.always, .bool): true
        case (.set(let element?), .set(let wider?)): element.isSubtype(of: wider, mode)
        case (.set, .set(let wider)): wider == nil
        case (.record(let record), .record(let wider)): record.isSubtype(of: wider, mode)
        case (.entity(let types), .entity(let wider)):
            mode == .strict ? types == wider : types.isSubset(of: wider)
        case (.anyEntity, .anyEntity): true
        case (.entity, .anyEntity): mode == .permissive
        default: self == other
        }
    }

    /// The least type that both are subtypes of.
    func bound(with other: StaticType, _ mode: ValidationMode) throws(NoBound) -> StaticType {
        if isSubtype(of: other, mode) { return other }
        if other.isSubtype(of: self, mode) { return self }
        switch (self, other) {
        case (.always, .always): return .bool
        case (.set(let left?), .set(let right?)): return .set(try left.bound(with: right, mode))
        case (.record(let left), .record(let right)): return .record(try left.bound(with: right, mode))
        case (.entity(let left), .entity(let right)):
            guard mode == .permissive else { throw .entityTypes }
            return .entity(left.union(right))
        case (.entity, .anyEntity), (.anyEntity, .entity):
            guard mode == .permissive else { throw .entityTypes }
            return .anyEntity
        case (.entity, .record), (.record, .entity), (.anyEntity, .record), (.record, .anyEntity):
            throw .entityAndRecord
        default: throw .none
        }
    }

    static func bound(of types: [StaticType], _ mode: ValidationMode) throws(NoBound) -> StaticType {
        var bound = StaticType.never
        for type in types { bound = try bound.bound(with: type, mode) }
        return bound
    }

    /// Whether no value can be of both. Two sets can always both be empty, and other types are not told apart.
    func isDisjoint(from other: StaticType) -> Bool {
        guard case (.entity(let left), .entity(let right)) = (self, other) else { return false }
        return left.isDisjoint(with: right)
    }
}

/// Why two types have nothing above them.
public enum NoBound: Error, Hashable, Sendable {
    case none
    case entityTypes
    case entityAndRecord
    case recordWidth
    case attributeQualifier
}

extension RecordType {
    fileprivate func isSubtype(of other: RecordType, _ mode: ValidationMode) -> Bool {
        guard !isOpen || other.isOpen else { return false }
        let mayBeWider = other.isOpen && mode == .permissive
        guard mayBeWider || attributes.count == other.attributes.count else { return false }
        return other.attributes.allSatisfy { name, wider in
            attributes[name].map { $0.isSubtype(of: wider, mode) } ?? false
        }
    }

    fileprivate func bound(with other: RecordType, _ mode: ValidationMode) throws(NoBound) -> RecordType {
        if mode == .strict, attributes.keys != other.attributes.keys { throw .recordWidth }
        var common: [Text: AttributeType] = [:]
        for (name, attribute) in attributes {
            guard let second = other.attributes[name] else { continue }
            do throws(NoBound) {
                common[name] = try attribute.bound(with: second, mode)
            } catch {
                if mode == .strict { throw error }
            }
        }
        let isOpen = isOpen || other.isOpen || common.keys != attributes.keys || common.keys != other.attributes.keys
        return RecordType(attributes: common, isOpen: isOpen)
    }

    /// What two entity types have in common; permissively, this cannot fail.
    func common(with other: RecordType) -> RecordType {
        (try? bound(with: other, .permissive)) ?? RecordType(attributes: [:], isOpen: true)
    }
}

extension AttributeType {
    fileprivate func isSubtype(of other: AttributeType, _ mode: ValidationMode) -> Bool {
        let qualifier = mode == .strict ? isRequired == other.isRequired : isRequired || !other.isRequired
        return qualifier && type.isSubtype(of: other.type, mode)
    }

    fileprivate func bound(with other: AttributeType, _ mode: ValidationMode) throws(NoBound) -> AttributeType {
        let type = try type.bound(with: other.type, mode)
        guard mode == .permissive || isRequired == other.isRequired else { throw .attributeQualifier }
        return AttributeType(type, isRequired: isRequired && other.isRequired)
    }
}
