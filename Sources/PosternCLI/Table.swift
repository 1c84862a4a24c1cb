/// The one form of tables: columns as wide as their widest cell, two spaces between them.
struct Table: Equatable {
    let headers: [String]
    let rows: [[String]]

    /// One line each, without spaces at the end; the headers alone when there is no row.
    var text: String {
        let lines = [headers] + rows.map { row in row.map { cell($0) } }
        let widths = headers.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let padded = zip(line, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let text = padded.joined(separator: "  ")
            return text[..<(text.lastIndex { $0 != " " }.map(text.index(after:)) ?? text.startIndex)] + "\n"
        }.joined()
    }

    /// An empty cell would shift the columns for whoever reads them by spaces.
    private func cell(_ text: String) -> String {
        text.isEmpty ? "-" : printable(text).replacing("\n", with: " ")
    }
}

/// A list of names and values, the names aligned.
func labelled(_ pairs: [(String, String)]) -> String {
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { name, value in
        name + String(repeating: " ", count: width - name.count) + "  " + printable(value) + "\n"
    }.joined()
}
