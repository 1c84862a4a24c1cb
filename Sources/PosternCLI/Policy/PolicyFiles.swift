import Authorization
import CoordinationAPI
import Foundation
import Mesh

/// Policy documents as they lie in files.
enum PolicyFiles {
    /// Reads the documents and refuses text that is no policy, with a caret below each mistake.
    static func read(_ paths: [String]) throws(CommandFailure) -> [PolicyDocument] {
        guard paths.count <= ChangeRequest.maximumDocuments else {
            throw CommandFailure("more than \(ChangeRequest.maximumDocuments) files at once")
        }
        var documents: [PolicyDocument] = []
        for path in paths {
            let document = try document(at: path)
            guard !documents.contains(where: { $0.name == document.name }) else {
                throw CommandFailure("two files have the name `\(document.name)`: a document has its file's name")
            }
            documents.append(document)
        }
        do { _ = try PolicySnapshot(policies: documents, agents: [], services: [], nodes: []) } catch {
            throw CommandFailure(error.rendering)
        }
        return documents
    }

    private static func document(at path: String) throws(CommandFailure) -> PolicyDocument {
        let name: PolicyName
        do { name = try PolicyName(String(path.split(separator: "/").last ?? "")) } catch {
            throw CommandFailure("\(error)")
        }
        return PolicyDocument(name: name, text: try text(at: path))
    }

    private static func text(at path: String) throws(CommandFailure) -> String {
        let bytes: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(filePath: path))
            bytes = try file.read(upToCount: PolicyDocument.maximumLength + 1) ?? Data()
        } catch { throw CommandFailure("cannot read `\(path)`: does it exist, and may you read it?") }
        guard bytes.count <= PolicyDocument.maximumLength else {
            throw CommandFailure("`\(path)` is longer than \(PolicyDocument.maximumLength) bytes")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("`\(path)` is not text in UTF-8")
        }
        return text
    }
}
