import Mesh

/// One question of DNS (RFC 1035 §4.1), as a program of this machine asks it.
///
///     header   id, flags, four counts     12 bytes
///     name     labels, a zero byte        at most 255 bytes
///     type     1 A, 28 AAAA, …            2 bytes
///     class    1 Internet                 2 bytes
///
/// What may follow (EDNS) changes nothing about our answers, and is not looked at.
struct NameQuery: Equatable, Sendable {
    let id: UInt16
    let wantsRecursion: Bool
    /// Lower case.
    let labels: [String]
    let type: UInt16
    let `class`: UInt16
    /// The question as it was asked: it comes back in the answer.
    fileprivate let question: [UInt8]

    static let internet: UInt16 = 1
    /// A server need not take more over UDP, and no question of one name is longer.
    static let maximumLength = 512

    /// Why a datagram is no question that we answer with a name.
    enum Fault: Equatable, Error {
        /// Not a question at all: no answer, lest two servers talk to each other for ever.
        case silence
        /// The answer is this code and nothing else.
        case code(NameAnswer.Code, id: UInt16)
    }

    init(_ datagram: [UInt8]) throws(Fault) {
        guard (12...Self.maximumLength).contains(datagram.count) else { throw .silence }
        func number(_ index: Int) -> UInt16 { UInt16(datagram[index]) << 8 | UInt16(datagram[index + 1]) }
        let (id, flags) = (number(0), number(2))
        guard flags & 0x8000 == 0 else { throw .silence }
        guard flags >> 11 & 0xf == 0 else { throw .code(.notImplemented, id: id) }
        guard number(4) == 1, number(6) == 0, number(8) == 0 else { throw .code(.malformed, id: id) }
        guard let (labels, end) = Self.labels(in: datagram, from: 12), end + 4 <= datagram.count else {
            throw .code(.malformed, id: id)
        }
        (self.id, wantsRecursion, self.labels) = (id, flags & 0x100 != 0, labels)
        (type, self.class) = (number(end), number(end + 2))
        question = Array(datagram[12..<end + 4])
    }

    /// The labels from here, and where they end; nil for pointers, which no question needs, and for what is too long.
    private static func labels(in bytes: [UInt8], from start: Int) -> (labels: [String], end: Int)? {
        var (labels, index): ([String], Int) = ([], start)
        while index < bytes.count, index - start < 255 {
            let length = Int(bytes[index])
            if length == 0 { return (labels, index + 1) }
            guard length <= 63, index + 1 + length <= bytes.count else { return nil }
            let label = bytes[index + 1...index + length].map { (65...90).contains($0) ? $0 + 32 : $0 }
            labels.append(String(decoding: label, as: UTF8.self))
            index += 1 + length
        }
        return nil
    }
}

/// What comes back.
struct NameAnswer: Equatable, Sendable {
    enum Code: UInt16, Sendable {
        case done = 0
        case malformed = 1
        case failed = 2
        case unknownName = 3
        case notImplemented = 4
        case refused = 5
    }

    var code: Code
    var addresses: [IPAddress] = []

    /// Seconds: mesh addresses are seldom given anew, and a name that leads elsewhere should soon do so.
    private static let timeToLive: UInt32 = 10

    func bytes(to query: NameQuery) -> [UInt8] {
        // An answer, with authority; recursion is not offered.
        let flags: UInt16 = 0x8400 | (query.wantsRecursion ? 0x100 : 0) | code.rawValue
        let counts: [UInt16] = [1, UInt16(addresses.count), 0, 0]
        let header = ([query.id, flags] + counts).flatMap(Self.bytes)
        return header + query.question + addresses.flatMap(Self.record)
    }

    static func bytes(of code: Code, id: UInt16) -> [UInt8] {
        [id, 0x8000 | code.rawValue, 0, 0, 0, 0].flatMap(Self.bytes)
    }

    private static func record(_ address: IPAddress) -> [UInt8] {
        let type: UInt16 = if case .v4 = address { 1 } else { 28 }
        let data = address.bytes
        // The name is a pointer to the question's.
        return [0xc0, 0x0c] + [type, NameQuery.internet].flatMap(bytes)
            + [UInt16(0), UInt16(timeToLive)].flatMap(bytes)
            + bytes(UInt16(data.count)) + data
    }

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }
}

extension MeshNames {
    /// Answers for the names of the mesh alone: whoever asks us for others has asked the wrong server.
    func answer(to query: NameQuery) -> NameAnswer {
        let suffix = map.mesh.rawValue.split(separator: ".").map(String.init)
        guard query.class == NameQuery.internet, query.labels.count >= suffix.count,
            query.labels.suffix(suffix.count).elementsEqual(suffix)
        else { return NameAnswer(code: .refused) }
        let labels = query.labels.dropLast(suffix.count)
        // The mesh itself, and `node` in it, are names above others and have no address.
        if labels.isEmpty || (labels.elementsEqual(["node"]) && node(label: "node") == nil) {
            return NameAnswer(code: .done)
        }
        guard labels.allSatisfy({ !$0.contains(".") }), let name = node(label: labels.joined(separator: ".")[...]),
            let offset = map.nodes[name]?.offset
        else { return NameAnswer(code: .unknownName) }
        switch query.type {
        case 1: return NameAnswer(code: .done, addresses: [.v4(map.pool.ipv4(at: offset))])
        case 28: return NameAnswer(code: .done, addresses: [.v6(map.pool.ipv6(at: offset))])
        default: return NameAnswer(code: .done)
        }
    }
}
