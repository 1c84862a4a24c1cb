import Foundation

/// Measures the packet path: `bench-datapath classifier` or `bench-datapath path`.
///
/// Prints each figure beside what is to be reached, and a pair without any difference. Exits with 1 when a figure is
/// missed, and with 4 when that pair says that the machine is too busy.

func stop(_ message: String, code: Int32) -> Never {
    FileHandle.standardError.write(Data("bench-datapath: \(message)\n".utf8))
    exit(code)
}

let names = ["classifier", "path"]
guard CommandLine.arguments.count == 2, names.contains(CommandLine.arguments[1]) else {
    stop("usage: bench-datapath \(names.joined(separator: " | "))", code: 2)
}

do {
    let mount = try PinMount()
    let result = Result {
        switch CommandLine.arguments[1] {
        case "classifier": try ClassifierBench(pins: mount.path).run()
        default: try PathBench(pins: mount.path).run()
        }
    }
    mount.remove()
    exit(try result.get().rawValue)
} catch {
    stop("\(error)", code: 3)
}
