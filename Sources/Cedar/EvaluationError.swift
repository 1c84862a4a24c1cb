/// Why an expression has no value.
public struct EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        case noSuchEntity(EntityUID)
        case noSuchAttribute(Text, of: EntityUID)
        case noSuchTag(Text, of: EntityUID)
        case noSuchField(Text)
        case wrongType(found: Value.Kind, expected: [Value.Kind])
        case wrongArgumentCount(function: String, expected: Int, found: Int)
        case overflow(String)
        case extensionFailed(function: String, ExtensionError)
        /// The context is known in part only, and this attribute of it is not; nil where the whole was asked for.
        case unknownContext(Text?)
    }

    public let reason: Reason
    /// The innermost expression that failed; nil where it came from no text.
    public private(set) var range: SourceRange?

    init(_ reason: Reason) { self.reason = reason }

    /// The same error at a place, unless a place nearer to it is known.
    func located(at range: SourceRange?) -> EvaluationError {
        var error = self
        if error.range == nil { error.range = range }
        return error
    }

    /// `line:column: reason`
    public var description: String { range.map { "\($0.start): \(reason)" } ?? "\(reason)" }
}

extension EvaluationError.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSuchEntity(let entity): "there is no entity `\(entity)`"
        case .noSuchAttribute(let name, let entity):
            "the entity `\(entity)` has no attribute `\(RecordKey.printed(name))`"
        case .noSuchTag(let name, let entity): "the entity `\(entity)` has no tag \(StringLiteral.quoted(name.string))"
        case .noSuchField(let name): "the record has no attribute `\(RecordKey.printed(name))`"
        case .wrongType(let found, let expected):
            "expected \(expected.map(\.description).joined(separator: " or ")), found \(found)"
        case .wrongArgumentCount(let function, let expected, let found):
            "`\(function)` takes \(expected) arguments with the value it is called on, not \(found)"
        case .overflow(let operation): "`\(operation)` does not fit into 64 bits"
        case .extensionFailed(let function, let error): "`\(function)`: \(error)"
        case .unknownContext(let name?): "`context.\(RecordKey.printed(name))` is not known here"
        case .unknownContext(nil): "the whole `context` is not known here"
        }
    }
}

extension Value {
    func wrongType(_ expected: Kind...) -> EvaluationError {
        EvaluationError(.wrongType(found: kind, expected: expected))
    }

    var bool: Bool {
        get throws(EvaluationError) {
            guard case .bool(let bool) = self else { throw wrongType(.bool) }
            return bool
        }
    }

    var long: Int64 {
        get throws(EvaluationError) {
            guard case .long(let long) = self else { throw wrongType(.long) }
            return long
        }
    }

    var text: Text {
        get throws(EvaluationError) {
            guard case .string(let text) = self else { throw wrongType(.string) }
            return text
        }
    }

    var entity: EntityUID {
        get throws(EvaluationError) {
            guard case .entity(let entity) = self else { throw wrongType(.entity) }
            return entity
        }
    }

    var members: Set<Value> {
        get throws(EvaluationError) {
            guard case .set(let members) = self else { throw wrongType(.set) }
            return members
        }
    }
}
