import CLinux
import Foundation

/// Owns one descriptor.
struct Descriptor: ~Copyable {
    let number: Int32
    init(owning number: Int32) { self.number = number }
    consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }
    deinit { close(number) }
}

/// The result of a call of `CLinux`, or the sentence that says what could not be done, and why.
@discardableResult
func kernel(
    _ result: Int32, _ step: SandboxError.Step, _ sentence: @autoclosure () -> String
) throws(SandboxError) -> Int32 {
    guard result >= 0 else { throw SandboxError(step, "\(sentence()): \(errorText(-result))") }
    return result
}

/// The same for calls of the C library, which return -1 and set `errno`.
@discardableResult
func system(
    _ result: Int32, _ step: SandboxError.Step, _ sentence: @autoclosure () -> String
) throws(SandboxError) -> Int32 {
    try kernel(result < 0 ? -errno : result, step, sentence())
}

func errorText(_ number: Int32) -> String {
    unsafe String(cString: pt_error_text(number)).lowercased()
}

/// Runs the body with NULL-terminated C copies of the texts.
func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var copies = unsafe texts.map { text in unsafe strdup(text) }
    unsafe copies.append(nil)
    defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
    return unsafe copies.withUnsafeBufferPointer { buffer in unsafe body(buffer.baseAddress!) }
}

/// Reads a descriptor to its end, at most one byte more than the limit.
func readAll(_ descriptor: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count <= limit {
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count == 0 { return bytes }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return nil }
        bytes += chunk[..<count]
    }
    return bytes
}
