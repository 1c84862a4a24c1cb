import CoordinationAPI

/// Why the coordinator does not do what it was asked.
package struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        case invalid, tooLarge, tooSlow, unauthenticated, forbidden, missing, conflict, full, busy, unwritable,
            `internal`
        /// The path takes another one.
        case wrongMethod(allowed: String)
    }

    package let kind: Kind
    /// A sentence for whoever asked; never a secret.
    package let message: String

    package init(_ kind: Kind, _ message: String) { (self.kind, self.message) = (kind, message) }

    package static func invalid(_ message: String) -> Refusal { Refusal(.invalid, message) }
    package static func unauthenticated(_ message: String) -> Refusal { Refusal(.unauthenticated, message) }
    package static func forbidden(_ message: String) -> Refusal { Refusal(.forbidden, message) }
    package static func missing(_ message: String) -> Refusal { Refusal(.missing, message) }
    package static func conflict(_ message: String) -> Refusal { Refusal(.conflict, message) }

    package var description: String { message }

    /// As it travels; the words are those that `ErrorResponse` promises.
    var response: ErrorResponse {
        let code =
            switch kind {
            case .invalid, .tooLarge, .tooSlow, .wrongMethod: "invalid"
            case .unauthenticated: "unauthenticated"
            case .forbidden: "forbidden"
            case .missing: "missing"
            case .conflict, .full: "conflict"
            case .busy: "busy"
            case .unwritable: "unavailable"
            case .internal: "internal"
            }
        return ErrorResponse(code: code, message: message)
    }
}
