import Foundation

/// Measures the packet path: `bench-datapath classifier`.
///
/// Prints each figure beside what is to be reached, and exits with 1 when one is missed.

func stop(_ message: String, code: Int32) -> Never {
    FileHandle.standardError.write(Data("bench-datapath: \(message)\n".utf8))
    exit(code)
}

guard CommandLine.arguments.dropFirst() == ["classifier"] else { stop("usage: bench-datapath classifier", code: 2) }

do {
    let mount = try PinMount()
    let isReached = try ClassifierBench(pins: mount.path).run()
    mount.remove()
    exit(isReached ? 0 : 1)
} catch {
    stop("\(error)", code: 3)
}
