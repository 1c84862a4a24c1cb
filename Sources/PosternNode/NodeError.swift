/// Why the node could not do what it was asked.
package struct NodeError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ sentence: String) { description = sentence }
}
