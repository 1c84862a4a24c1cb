internal import CMnl

/// A netlink request under construction (RFC 3549 §2.2): header, family header, attributes.
///
/// Its buffer never leaves it, and every write into it is checked against its size.
@safe struct NetlinkRequest: ~Copyable {
    private static let capacity = 4096
    private let buffer: UnsafeMutableRawPointer
    private let header: UnsafeMutablePointer<nlmsghdr>

    init(_ type: Int, flags: Int32) {
        unsafe buffer = .allocate(byteCount: Self.capacity, alignment: 8)
        guard let header = unsafe mnl_nlmsg_put_header(buffer) else {
            preconditionFailure("libmnl writes into the buffer")
        }
        unsafe self.header = header
        unsafe header.pointee.nlmsg_type = UInt16(type)
        unsafe header.pointee.nlmsg_flags = UInt16(NLM_F_REQUEST | flags)
    }

    deinit { unsafe buffer.deallocate() }

    /// The fixed structure of the family, which stands before the attributes.
    func put<Header: BitwiseCopyable>(_ value: Header) {
        let place = unsafe mnl_nlmsg_put_extra_header(header, MemoryLayout<Header>.size)
        unsafe place?.storeBytes(of: value, as: Header.self)
    }

    func put(_ attribute: Int, _ bytes: [UInt8]) {
        let fits = unsafe mnl_attr_put_check(header, Self.capacity, UInt16(attribute), bytes.count, bytes)
        precondition(fits, "the attributes of a link, an address or a route fit in a page")
    }

    func put(_ attribute: Int, _ number: UInt32) {
        put(attribute, unsafe withUnsafeBytes(of: number) { unsafe Array($0) })
    }

    func put(_ attribute: Int, _ text: String) { put(attribute, Array(text.utf8) + [0]) }

    /// The finished message.
    func bytes(sequence: UInt32) -> [UInt8] {
        unsafe header.pointee.nlmsg_seq = sequence
        return unsafe Array(UnsafeRawBufferPointer(start: buffer, count: Int(header.pointee.nlmsg_len)))
    }
}

/// A message from the kernel, copied out of its datagram.
struct NetlinkMessage {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let payload: [UInt8]

    /// The messages in one datagram; what is cut short at its end is left out.
    static func parse(_ datagram: [UInt8]) -> [NetlinkMessage] {
        unsafe datagram.withUnsafeBytes { bytes in
            var messages: [NetlinkMessage] = []
            var left = Int32(bytes.count)
            guard let start = bytes.baseAddress else { return [] }
            var next = unsafe start.assumingMemoryBound(to: nlmsghdr.self)
            while unsafe mnl_nlmsg_ok(next, left) {
                unsafe messages.append(NetlinkMessage(next))
                guard let after = unsafe mnl_nlmsg_next(next, &left) else { break }
                unsafe next = UnsafePointer(after)
            }
            return messages
        }
    }

    private init(_ header: UnsafePointer<nlmsghdr>) {
        unsafe (type, flags, sequence) = (
            header.pointee.nlmsg_type, header.pointee.nlmsg_flags, header.pointee.nlmsg_seq
        )
        let body = unsafe UnsafeRawPointer(header) + MemoryLayout<nlmsghdr>.size
        unsafe payload = Array(
            UnsafeRawBufferPointer(start: body, count: Int(header.pointee.nlmsg_len) - MemoryLayout<nlmsghdr>.size))
    }

    /// The family's structure at the start of the payload; nil when the payload is shorter.
    func header<Header: BitwiseCopyable>(_ type: Header.Type) -> Header? {
        guard payload.count >= MemoryLayout<Header>.size else { return nil }
        return unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: Header.self) }
    }

    /// The attributes behind the family's structure, the last of each type.
    func attributes<Header>(after header: Header.Type) -> [Int: [UInt8]] {
        let start = (MemoryLayout<Header>.size + 3) & ~3
        guard payload.count > start else { return [:] }
        var result: [Int: [UInt8]] = [:]
        unsafe payload[start...].withUnsafeBytes { bytes in
            guard let first = bytes.baseAddress else { return }
            let end = unsafe first + bytes.count
            var next = unsafe first.assumingMemoryBound(to: nlattr.self)
            while unsafe mnl_attr_ok(next, Int32(end - UnsafeRawPointer(next))) {
                let value = unsafe UnsafeRawBufferPointer(
                    start: mnl_attr_get_payload(next), count: Int(mnl_attr_get_payload_len(next)))
                unsafe result[Int(mnl_attr_get_type(next))] = Array(value)
                guard let after = unsafe mnl_attr_next(next) else { break }
                unsafe next = UnsafePointer(after)
            }
        }
        return result
    }
}

/// A number of 32 bits in host byte order, as attributes hold it.
func hostOrder(_ bytes: [UInt8]?) -> UInt32? {
    guard let bytes, bytes.count == 4 else { return nil }
    return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt32.self) }
}
