internal import CMnl

/// A netlink request under construction (RFC 3549 §2.2): header, family header, attributes.
///
/// Its buffer never leaves it, and every write into it is checked against its size.
@safe struct NetlinkRequest: ~Copyable {
    private let capacity: Int
    private let buffer: UnsafeMutableRawPointer
    private let header: UnsafeMutablePointer<nlmsghdr>

    /// A page is enough for all that is said of a link, an address or a route.
    init(_ type: Int, flags: Int32, capacity: Int = 4096) {
        self.capacity = capacity
        unsafe buffer = .allocate(byteCount: capacity, alignment: 8)
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
        let fits = unsafe mnl_attr_put_check(header, capacity, UInt16(attribute), bytes.count, bytes)
        precondition(fits, "whoever fills a message counts what goes into it")
    }

    func put(_ attribute: Int, _ number: some FixedWidthInteger & BitwiseCopyable) {
        put(attribute, hostOrderBytes(number))
    }

    func put(_ attribute: Int, _ text: String) { put(attribute, Array(text.utf8) + [0]) }

    /// An attribute that holds those put by the body.
    func nest(_ attribute: Int, _ body: () -> Void) {
        guard let start = unsafe mnl_attr_nest_start_check(header, capacity, UInt16(attribute)) else {
            preconditionFailure("whoever fills a message counts what goes into it")
        }
        body()
        unsafe mnl_attr_nest_end(header, start)
    }

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

    /// The messages in one datagram; what is cut short at its end is left out. Not by libmnl, which takes a length
    /// beyond 2 GiB for a negative one, and so for one that fits.
    static func parse(_ datagram: [UInt8]) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram[...]
        while let message = NetlinkMessage(startOf: rest) {
            messages.append(message)
            rest = rest.dropFirst((headerLength + message.payload.count + 3) & ~3)
        }
        return messages
    }

    /// `struct nlmsghdr`: length, type, flags, sequence number, and the number of a port.
    private static let headerLength = 16

    private init?(startOf bytes: ArraySlice<UInt8>) {
        guard let length = hostOrder(bytes.prefix(4), as: UInt32.self),
            let type = hostOrder(bytes.dropFirst(4).prefix(2), as: UInt16.self),
            let flags = hostOrder(bytes.dropFirst(6).prefix(2), as: UInt16.self),
            let sequence = hostOrder(bytes.dropFirst(8).prefix(4), as: UInt32.self),
            length >= Self.headerLength, length <= bytes.count
        else { return nil }
        (self.type, self.flags, self.sequence) = (type, flags, sequence)
        payload = Array(bytes.prefix(Int(length)).dropFirst(Self.headerLength))
    }

    /// The family's structure at the start of the payload; nil when the payload is shorter.
    func header<Header: BitwiseCopyable>(_ type: Header.Type) -> Header? {
        guard payload.count >= MemoryLayout<Header>.size else { return nil }
        return unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: Header.self) }
    }

    /// The attributes behind the family's structure, the last of each type.
    func attributes<Header>(after header: Header.Type) -> [Int: [UInt8]] {
        var result: [Int: [UInt8]] = [:]
        for (type, value) in attributeList(after: header) { result[type] = Array(value) }
        return result
    }

    /// The attributes behind the family's structure, in order.
    func attributeList<Header>(after header: Header.Type) -> NetlinkAttributes {
        NetlinkAttributes(payload.dropFirst((MemoryLayout<Header>.size + 3) & ~3))
    }
}
