import Foundation

/// Compiles one eBPF program and writes it as a Swift constant: `embed-bpf SOURCE OUTPUT.swift INCLUDE`.
///
/// The constant is named after the source: `wall.bpf.c` becomes `wallObject`, the object file in base64.

#if arch(x86_64)
    let machine = "x86_64"
#elseif arch(arm64)
    let machine = "aarch64"
#else
    #error("eBPF programs are built on x86_64 and arm64")
#endif

func stop(_ message: String) -> Never {
    FileHandle.standardError.write(Data("embed-bpf: \(message)\n".utf8))
    exit(1)
}

/// The first `clang` in PATH; the Swift toolchain has one beside `swiftc`.
func findClang() -> String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/clang" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// Runs `clang`, and tells whether it did what it was asked.
func run(_ clang: String, _ arguments: [String], quietly: Bool = false) throws -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: clang)
    process.arguments = arguments
    if quietly { process.standardError = FileHandle.nullDevice }
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0
}

/// From version 21 on `clang` calls a function of the kernel where a program cannot come to, and names it also where
/// there is no such place. For its sake libbpf would read all types of the kernel, each time it loads the program; the
/// verifier needs no such call to see that a program may fall off its end.
func withoutTraps(_ clang: String) throws -> [String] {
    let flags = ["-mllvm", "-bpf-disable-trap-unreachable"]
    let knowsThem = try run(
        clang, ["-target", "bpf"] + flags + ["-x", "c", "-c", "/dev/null", "-o", "/dev/null"], quietly: true)
    return knowsThem ? flags : []
}

func compile(_ source: String, to object: String, including headers: String, with clang: String) throws {
    let flags = [
        "-target", "bpf", "-O2", "-g", "-Wall", "-Werror", "-I/usr/include/\(machine)-linux-gnu", "-I\(headers)",
        "-c", source, "-o", object,
    ]
    guard try run(clang, try withoutTraps(clang) + flags) else {
        stop("cannot compile `\(source)`: \(clang) refused it")
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 4 else { stop("usage: embed-bpf SOURCE OUTPUT.swift INCLUDE") }
let (source, output, headers) = (arguments[1], arguments[2], arguments[3])

guard FileManager.default.fileExists(atPath: "/usr/include/bpf/bpf_helpers.h") else {
    stop("cannot find bpf/bpf_helpers.h: install libbpf-dev")
}
guard let clang = findClang() else {
    stop("cannot find clang in PATH: put the Swift toolchain's usr/bin there, or install clang")
}

do {
    let object = output + ".o"
    try compile(source, to: object, including: headers, with: clang)
    let name = URL(fileURLWithPath: source).lastPathComponent.replacingOccurrences(of: ".bpf.c", with: "")
    let text = try Data(contentsOf: URL(fileURLWithPath: object)).base64EncodedString()
    try Data("/// The compiled `\(name).bpf.c`, in base64.\nlet \(name)Object = \"\(text)\"\n".utf8)
        .write(to: URL(fileURLWithPath: output))
    try FileManager.default.removeItem(atPath: object)
} catch {
    stop("cannot embed `\(source)`: \(error.localizedDescription)")
}
