/// The attributes in a stretch of a netlink message (RFC 3549 §2.2): length, type, value, padding to four bytes.
///
/// It ends where the next one would not fit, and never reads beyond its bytes, whoever wrote them.
struct NetlinkAttributes: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func next() -> (type: Int, value: ArraySlice<UInt8>)? {
        guard let length = hostOrder(rest.prefix(2), as: UInt16.self).map(Int.init),
            let type = hostOrder(rest.dropFirst(2).prefix(2), as: UInt16.self),
            length >= Self.headerLength, length <= rest.count
        else { return nil }
        let value = rest.dropFirst(Self.headerLength).prefix(length - Self.headerLength)
        rest = rest.dropFirst((length + 3) & ~3)
        return (Int(type) & Self.typeMask, value)
    }

    private static let headerLength = 4
    /// Without the flags for nesting and byte order.
    private static let typeMask = 0x3fff
}

/// A number in host byte order, as attributes hold it; nil when there are more or fewer bytes.
func hostOrder<Number: FixedWidthInteger & BitwiseCopyable>(_ bytes: ArraySlice<UInt8>, as type: Number.Type) -> Number?
{
    guard bytes.count == MemoryLayout<Number>.size else { return nil }
    return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: Number.self) }
}

func hostOrderBytes(_ number: some FixedWidthInteger & BitwiseCopyable) -> [UInt8] {
    unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
}
