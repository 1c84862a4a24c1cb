/// Finds strings and names in a policy that may read as something else than they are.
///
/// After UTS 39: characters that turn the direction of text, and letters of several scripts in one string.
enum StringCheck {
    static func warnings(for policy: ValidatedPolicy) -> [ValidationWarning] {
        var warnings: [ValidationWarning] = []
        func add(_ kind: ValidationWarning.Kind?, _ range: SourceRange?) {
            guard let kind else { return }
            let warning = ValidationWarning(policy: policy.id, kind: kind, range: range)
            if !warnings.contains(warning) { warnings.append(warning) }
        }
        policy.condition.visit { expression in
            switch expression.kind {
            case .literal(.string(let text)): add(string(text.string), expression.range)
            case .like(_, let pattern):
                add(string(pattern.pieces.map(\.string).joined(separator: "*")), expression.range)
            case .literal(.entity(let entity)): add(name(entity.id), expression.range)
            case .attribute(_, let name): add(self.name(name.string), expression.range)
            case .has(_, let names): for name in names { add(self.name(name.string), expression.range) }
            case .record(let fields): for field in fields { add(name(field.key.string), expression.range) }
            default: break
            }
        }
        return warnings
    }

    private static func string(_ text: String) -> ValidationWarning.Kind? {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return nil }
        if text.unicodeScalars.contains(where: turnsDirection) { return .bidirectionalString(text) }
        return Script.isSingle(text) ? nil : .mixedScriptString(text)
    }

    private static func name(_ text: String) -> ValidationWarning.Kind? {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return nil }
        if text.unicodeScalars.contains(where: turnsDirection) { return .bidirectionalIdentifier(text) }
        if let odd = text.unicodeScalars.first(where: { !isForNames($0) }) { return .confusableIdentifier(text, odd) }
        return Script.isSingle(text) ? nil : .mixedScriptIdentifier(text)
    }

    private static func isForNames(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x80 ? (0x20..<0x7F).contains(scalar.value) : scalar.properties.isXIDContinue
    }

    private static func turnsDirection(_ scalar: Unicode.Scalar) -> Bool {
        (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
    }
}
