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

func compile(_ source: String, to object: String, including headers: String, with clang: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: clang)
    process.arguments = [
        "-target", "bpf", "-O2", "-g", "-Wall", "-Werror", "-I/usr/include/\(machine)-linux-gnu", "-I\(headers)",
        "-c", source, "-o", object,
    ]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { stop("cannot compile `\(source)`: \(clang) refused it") }
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
