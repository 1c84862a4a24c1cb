import Crypto
package import Datapath
package import Mesh

/// Brings what a session's node says to the nodes that it concerns, while the coordinator is away.
///
///     node A:4747 ── envelope (JSON, at most 1,200 bytes) ──> node B:4747
///     node A:4747 <── 0x06, SHA-256 of what came ──────────── node B:4747
///
/// Both addresses are of the mesh. Each envelope is sent five times at most, a second apart, until it is acknowledged.
/// What is newer about a session takes the place of what is older. A value: who sends, and what time it is, is not here.
package struct Courier: Sendable {
    /// Where nodes listen to each other, and from where they speak.
    package static let port: UInt16 = 4747
    package static let longestDatagram = 1200
    static let tries = 5
    static let pause = Duration.seconds(1)
    /// How long a letter may be under way.
    static let patience = pause * (tries + 1)
    /// Of letters under way; what is more is not sent, and the lease ends on its own.
    package static let capacity = 4096

    /// Something to be sent to one node.
    package struct Letter: Equatable, Sendable {
        package let to: IPv4Address
        package let bytes: [UInt8]
    }

    private struct Address: Hashable {
        let session: SessionID
        let to: IPv4Address
    }

    private struct Transit {
        let bytes: [UInt8]
        let digest: [UInt8]
        var left: Int
        var next: BootTime
    }

    private var transits: [Address: Transit] = [:]

    package init() {}

    /// How many letters wait for their answer.
    package var count: Int { transits.count }

    /// Takes a letter about a session for some nodes; it is due at once.
    package mutating func take(_ bytes: [UInt8], about session: SessionID, to nodes: [IPv4Address], now: BootTime) {
        guard bytes.count <= Self.longestDatagram else { return }
        let transit = Transit(bytes: bytes, digest: Self.digest(of: bytes), left: Self.tries, next: now)
        for node in nodes {
            let address = Address(session: session, to: node)
            guard transits.count < Self.capacity || transits[address] != nil else { return }
            transits[address] = transit
        }
    }

    /// What is to be sent now.
    package mutating func due(now: BootTime) -> [Letter] {
        var letters: [Letter] = []
        for (address, transit) in transits where transit.next <= now {
            guard transit.left > 0 else {
                transits[address] = nil
                continue
            }
            letters.append(Letter(to: address.to, bytes: transit.bytes))
            transits[address]?.left -= 1
            transits[address]?.next = now + Self.pause
        }
        return letters
    }

    /// When something is due again.
    package var nextDue: BootTime? { transits.values.map(\.next).min() }

    /// Takes an answer.
    package mutating func acknowledge(_ digest: [UInt8], by node: IPv4Address) {
        for (address, transit) in transits where address.to == node && transit.digest == digest {
            transits[address] = nil
        }
    }
}

extension Courier {
    /// What a datagram is.
    package enum Datagram: Equatable, Sendable {
        case letter([UInt8])
        case answer(digest: [UInt8])
    }

    private static let acknowledgement: UInt8 = 0x06

    /// Reads a datagram; nil for what is neither.
    package static func read(_ bytes: [UInt8]) -> Datagram? {
        guard bytes.count <= longestDatagram, let first = bytes.first else { return nil }
        if first == UInt8(ascii: "{") { return .letter(bytes) }
        guard first == acknowledgement, bytes.count == 1 + SHA256.byteCount else { return nil }
        return .answer(digest: Array(bytes.dropFirst()))
    }

    /// The answer to a letter.
    package static func answer(to letter: [UInt8]) -> [UInt8] { [acknowledgement] + digest(of: letter) }

    private static func digest(of bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }
}

/// How many letters a node may send here: a signature costs more to check than to make up.
package struct LetterLimit: Sendable {
    /// As many sessions as start at once, and then some every second.
    static let burst = 256.0
    static let perSecond = 64.0

    private struct Bucket {
        var left: Double
        var at: BootTime
    }

    private var buckets: [NodeName: Bucket] = [:]

    package init() {}

    /// Whether one more of a known node is taken.
    package mutating func allows(_ node: NodeName, now: BootTime) -> Bool {
        var bucket = buckets[node] ?? Bucket(left: Self.burst, at: now)
        let passed = Double(max(0, (now - bucket.at).milliseconds)) / 1000
        bucket = Bucket(left: min(Self.burst, bucket.left + passed * Self.perSecond), at: now)
        guard bucket.left >= 1 else {
            buckets[node] = bucket
            return false
        }
        bucket.left -= 1
        buckets[node] = bucket
        return true
    }

    /// Forgets whom the map does not hold.
    package mutating func keep(_ nodes: some Sequence<NodeName>) {
        let known = Set(nodes)
        buckets = buckets.filter { known.contains($0.key) }
    }
}
