/// Rows and columns of a terminal; zeros where nobody knows.
package struct TerminalSize: Codable, Equatable, Sendable {
    package var rows: UInt16
    package var columns: UInt16
    package init(rows: UInt16, columns: UInt16) { (self.rows, self.columns) = (rows, columns) }
}
