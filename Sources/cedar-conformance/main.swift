// Runs conformance cases of the Cedar language: cedar-conformance PATH [--results FILE]
//
// PATH is a folder with cases in the format of Cedar's integration tests, or an archive of such, or a folder of archives.
// Every answer is computed from the inputs alone; what a case expects is read only to be compared. With `--answer` it
// answers questions from its input: see Answers.swift.
import Foundation

let usage = "usage: conformance PATH [--results FILE]"

func fail(_ message: String, status: Int32) -> Never {
    FileHandle.standardError.write(Data((message + "\n").utf8))
    exit(status)
}

var path: String?
var results: String?
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
    switch argument {
    case "--help", "-h":
        print(usage)
        exit(0)
    case "--answer":
        Answers.run()
        exit(0)
    case "--results":
        guard let file = arguments.popFirst() else {
            fail("conformance: `--results` needs a file\n\(usage)", status: 2)
        }
        results = file
    case _ where path == nil && !argument.hasPrefix("-"): path = argument
    default: fail("conformance: unknown argument `\(argument)`\n\(usage)", status: 2)
    }
}
guard let path else { fail(usage, status: 2) }

do {
    let corpus = try Corpus(at: path)
    defer { corpus.remove() }
    var lines: [String] = []
    var (passed, failed) = (0, 0)
    for name in try corpus.cases() {
        let outcome = Outcome(of: name, in: corpus)
        lines += outcome.lines
        if outcome.failures.isEmpty { passed += 1 } else { failed += 1 }
        for failure in outcome.failures { print("\(name.path): \(failure)") }
    }
    if let results {
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: results))
    }
    print("\(passed) passed, \(failed) failed")
    corpus.remove()
    exit(failed == 0 && passed > 0 ? 0 : 1)
} catch {
    fail("conformance: \(error)", status: 2)
}
