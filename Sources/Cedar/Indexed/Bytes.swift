/// The bytes of strings, compared and hashed a word at a time.
enum Bytes {
    /// Another in each run, so that nobody can choose names that fall together.
    static let seed = UInt64.random(in: .min ... .max)

    private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15

    static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    static func hash(_ string: String, from start: UInt64 = seed) -> UInt64 {
        unsafe string.utf8.span.withUnsafeBytes { bytes in
            var hash = start ^ UInt64(truncatingIfNeeded: bytes.count)
            var offset = 0
            while offset &+ 8 <= bytes.count {
                hash = mix(hash ^ (unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)), factor)
                offset &+= 8
            }
            var tail: UInt64 = 0
            while offset < bytes.count {
                tail = tail << 8 | UInt64(unsafe bytes[offset])
                offset &+= 1
            }
            // Twice, so that the last bytes reach every bit too.
            return mix(mix(hash ^ tail, factor), start | 1)
        }
    }

    static func areEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (left.utf8, right.utf8)
        guard left.count == right.count else { return false }
        return unsafe left.span.withUnsafeBytes { left in
            unsafe right.span.withUnsafeBytes { right in
                var offset = 0
                while offset &+ 8 <= left.count {
                    let word = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    guard unsafe word == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self) else {
                        return false
                    }
                    offset &+= 8
                }
                while offset < left.count {
                    guard unsafe left[offset] == right[offset] else { return false }
                    offset &+= 1
                }
                return true
            }
        }
    }
}

extension EntityUID {
    /// Never 0, which marks what is free.
    var fingerprint: UInt64 { Bytes.hash(id, from: Bytes.hash(type.name)) | 1 }
}

/// The name of an attribute, hashed once.
struct AttributeName: Hashable, Sendable {
    let hash: UInt64
    let text: Text

    init(_ text: Text) { (hash, self.text) = (Bytes.hash(text.string), text) }

    static func == (left: AttributeName, right: AttributeName) -> Bool {
        left.hash == right.hash && left.text == right.text
    }

    func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
