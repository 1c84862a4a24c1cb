import Cedar

/// Contexts for example requests: whatever policies compare a part of the context with, on both sides of the boundary.
struct ExampleContexts {
    typealias Path = [Text]

    /// What stands beside each part of the context in a comparison.
    private var hints: [Path: Set<Value>] = [:]
    /// The parts that policies ask for at all; others have one value.
    private var mentioned: Set<Path> = []
    private let entities: [EntityType: [EntityUID]]

    private static let maximumContexts = 200
    private static let maximumSurroundings = 6
    private static let maximumValues = 12

    init(policies: [Policy], entities: [EntityType: [EntityUID]]) {
        self.entities = entities
        for policy in policies {
            for condition in policy.conditions {
                condition.body.visit { expression in
                    guard let (path, values) = Self.comparison(expression) else { return }
                    mentioned.insert(path)
                    hints[path, default: []].formUnion(values)
                }
            }
        }
    }

    /// Everything that these policies tell apart, in several surroundings: other policies may hide what these say.
    func contexts(of type: RecordType, among others: ExampleContexts) -> [Context] {
        let near = records(of: type, at: []).map { Value.record($0) }
        let far = others.records(of: type, at: []).map { Value.record($0) }
        let step = max(1, far.count / Self.maximumSurroundings)
        let surroundings = stride(from: 0, to: far.count, by: step).prefix(Self.maximumSurroundings).map { far[$0] }
        return surroundings.flatMap { surrounding in near.map { overlaid($0, on: surrounding, at: []) } }.compactMap {
            if case .record(let fields) = $0 { Context(fields) } else { nil }
        }
    }

    /// What these policies ask for as in the first value, all else as in the second.
    private func overlaid(_ near: Value, on far: Value, at path: Path) -> Value {
        guard case .record(let nearFields) = near, case .record(let farFields) = far else {
            return isMentioned(path) ? near : far
        }
        var fields: [Text: Value] = [:]
        for name in Set(nearFields.keys).union(farFields.keys) {
            let place = path + [name]
            switch (nearFields[name], farFields[name]) {
            case (let near?, let far?): fields[name] = overlaid(near, on: far, at: place)
            case (let near?, nil): if isMentioned(place) { fields[name] = near }
            case (nil, let far): if !isMentioned(place) { fields[name] = far }
            }
        }
        return .record(fields)
    }
}

// MARK: - What policies ask for

extension ExampleContexts {
    /// `context.a.b`
    private static func path(_ expression: Cedar.Expression) -> Path? {
        switch expression.kind {
        case .variable(.context): []
        case .attribute(let operand, let name): path(operand).map { $0 + [name] }
        default: nil
        }
    }

    private static func literal(_ expression: Cedar.Expression) -> Value? {
        let nobody = EntityUID(type: "Nobody", id: "")
        guard !expression.usesContext, let none = try? Entities([]) else { return nil }
        return try? expression.value(for: Request(principal: nobody, action: nobody, resource: nobody), in: none)
    }

    private static func comparison(_ expression: Cedar.Expression) -> (Path, [Value])? {
        switch expression.kind {
        case .attribute: return path(expression).map { ($0, []) }
        case .has(let operand, let names): return path(operand).map { ($0 + names, []) }
        case .like(let operand, let pattern):
            let texts = ["", "x"].map { filling in pattern.pieces.map(\.string).joined(separator: filling) }
            return path(operand).map { ($0, texts.map { .string(Text($0)) }) }
        case .binary(let operation, let left, let right):
            return compared(left, with: right, operation) ?? compared(right, with: left, operation)
        case .call(_, let arguments) where arguments.count == 2:
            return compared(arguments[0], with: arguments[1], .equal)
        default: return nil
        }
    }

    private static func compared(
        _ asked: Cedar.Expression, with other: Cedar.Expression, _ operation: Cedar.Expression.BinaryOperator
    ) -> (Path, [Value])? {
        guard let value = literal(other) else { return nil }
        if case .call(.toTime, let arguments) = asked.kind, let path = path(arguments[0]),
            case .duration(let time) = value
        {
            return (path, around(time.milliseconds).map { .datetime(Value.Datetime(milliseconds: monday + $0)) })
        }
        guard let path = path(asked) else { return nil }
        return (path, candidates(value, operation))
    }

    /// 2026-01-05, a Monday.
    private static let monday: Int64 = 1_767_571_200_000

    private static func around(_ number: Int64) -> [Int64] {
        [number &- 1, number, number &+ 1]
    }

    private static func candidates(_ value: Value, _ operation: Cedar.Expression.BinaryOperator) -> [Value] {
        switch (operation, value) {
        case (.contains, .set(let members)), (.in, .set(let members)): Array(members)
        case (.contains, _): [.set([value]), .set([])]
        case (.containsAll, .set), (.containsAny, .set): [value, .set([])]
        case (_, .long(let number)): around(number).map { .long($0) }
        case (_, .duration(let span)): around(span.milliseconds).map { .duration(.init(milliseconds: $0)) }
        case (_, .datetime(let moment)): around(moment.milliseconds).map { .datetime(.init(milliseconds: $0)) }
        case (_, .decimal(let decimal)): around(decimal.tenThousandths).map { .decimal(.init(tenThousandths: $0)) }
        default: [value]
        }
    }
}

// MARK: - Values

extension ExampleContexts {
    private func isMentioned(_ path: Path) -> Bool {
        mentioned.contains { $0.starts(with: path) || path.starts(with: $0) && !$0.isEmpty }
    }

    /// Every combination of the values of the attributes, or as many as there may be, spread over all of them.
    private func records(of type: RecordType, at path: Path) -> [[Text: Value]] {
        let choices: [(name: Text, values: [Value?])] = type.attributes.sorted { $0.key < $1.key }.map {
            name, attribute in
            let place = path + [name]
            if !attribute.isRequired, !isMentioned(place) { return (name, [nil]) }
            let present = values(of: attribute.type, at: place)
            return (name, attribute.isRequired ? present : present + [nil])
        }
        guard !choices.contains(where: { $0.values.isEmpty }) else { return [] }
        let (total, overflow) = choices.reduce((1, false)) { product, choice in
            let (next, isOver) = product.0.multipliedReportingOverflow(by: choice.values.count)
            return (next, product.1 || isOver)
        }
        guard overflow || total > Self.maximumContexts else {
            return (0..<total).map { record(choices, number: $0) }
        }
        // A generator of our own, so that the same question has the same answer.
        var state: UInt64 = 1
        return (0..<Self.maximumContexts).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return record(choices, number: Int(state >> 2))
        }
    }

    private func record(_ choices: [(name: Text, values: [Value?])], number: Int) -> [Text: Value] {
        var fields: [Text: Value] = [:]
        var rest = number
        for choice in choices {
            if let value = choice.values[rest % choice.values.count] { fields[choice.name] = value }
            rest /= choice.values.count
        }
        return fields
    }

    private func values(of type: StaticType, at path: Path) -> [Value] {
        if case .record(let record) = type { return records(of: record, at: path).map { .record($0) } }
        let hinted = (hints[path] ?? []).filter { $0.conforms(to: type) }.sorted { $0.description < $1.description }
        let all = defaults(of: type, isMentioned: isMentioned(path)).filter { !hinted.contains($0) } + hinted
        return Array(all.prefix(Self.maximumValues))
    }

    private func defaults(of type: StaticType, isMentioned: Bool) -> [Value] {
        switch type {
        case .bool: return isMentioned ? [.bool(false), .bool(true)] : [.bool(false)]
        case .always(let bool): return [.bool(bool)]
        case .long: return [.long(0)]
        case .string: return [.string("other")]
        case .set(let element):
            guard isMentioned, let element else { return [.set([])] }
            return [.set([])] + values(of: element, at: []).prefix(4).map { .set([$0]) }
        case .entity(let types):
            let known = types.sorted().flatMap { entities[$0] ?? [] }
            guard let first = known.first ?? types.sorted().first.map({ EntityUID(type: $0, id: "example") }) else {
                return []
            }
            return isMentioned ? (known.isEmpty ? [first] : known).map { .entity($0) } : [.entity(first)]
        case .ext(.ipaddr): return (try? Value.IPAddress("192.0.2.1")).map { [.ip($0)] } ?? []
        case .ext(.decimal): return [.decimal(.init(tenThousandths: 10_000))]
        case .ext(.datetime): return [.datetime(.init(milliseconds: Self.monday + 43_200_000))]
        case .ext(.duration): return [.duration(.init(milliseconds: 3_600_000))]
        case .record, .never, .anyEntity: return []
        }
    }
}
