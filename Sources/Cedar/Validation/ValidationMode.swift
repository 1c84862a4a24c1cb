/// How much a validator asks for. Cedar docs, _Policy validation_.
public enum ValidationMode: Sendable {
    /// What an analysis can reason about: equal types are compared, extension values are made of literals, no set is
    /// empty.
    case strict
    /// Whatever cannot fail by a wrong type.
    case permissive
}
