import Foundation

/// Runs a program, and returns what it writes; throws with its complaint if it fails.
@discardableResult
func run(_ command: [String], input: String = "") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let (given, said, complained) = (Pipe(), Pipe(), Pipe())
    process.standardInput = given
    process.standardOutput = said
    process.standardError = complained
    try process.run()
    given.fileHandleForWriting.write(Data(input.utf8))
    try given.fileHandleForWriting.close()
    let words = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: complained.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        let first = complaint.split(separator: "\n").first ?? "it says nothing"
        throw BenchError("`\(command.prefix(6).joined(separator: " "))` failed: \(first)")
    }
    return words
}
