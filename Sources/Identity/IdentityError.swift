/// Why a key, a certificate or a name is not what it should be.
package enum IdentityError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What it is, and why it cannot be read.
    case unreadable(String, because: String)
    case notAnID(String, because: String)
    case cannotIssue(String, because: String)
    case untrusted(String)

    package var description: String {
        switch self {
        case .unreadable(let what, let why): "cannot read \(what): \(why)"
        case .notAnID(let text, let why): "`\(text.prefix(120))` is not an identity of a mesh: \(why)"
        case .cannotIssue(let what, let why): "cannot issue a certificate for \(what): \(why)"
        case .untrusted(let why): "the certificate is not trusted: \(why)"
        }
    }
}
