/// A value as conditions compute with it.
///
/// Each value has one form only: booleans, numbers and entities whose name has a number are never in `other`.
enum Operand: Sendable {
    case bool(Bool)
    case long(Int64)
    case entity(Handle)
    case other(Value)
    /// There is no value; why is asked of the `Evaluator`.
    case failed

    static func == (left: Operand, right: Operand) -> Bool {
        switch (left, right) {
        case (.bool(let left), .bool(let right)): left == right
        case (.long(let left), .long(let right)): left == right
        case (.entity(let left), .entity(let right)): left == right
        case (.other(let left), .other(let right)): left == right
        default: false
        }
    }
}
