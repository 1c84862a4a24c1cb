import Audit
import Mesh
import Testing

@Suite struct SpoolTests {
    @Test func `records are delivered once, in their order, each with the hash of the one before it`() throws {
        let scratch = try Scratch()
        let spool = try makeSpool(scratch)
        for number in 0..<10 { spool.append(try event(number)) }
        #expect(try spool.batch() == nil, "nothing is delivered before it is on the disk")
        try spool.flush()
        let first = try #require(try spool.batch(atMost: 4))
        #expect(try spool.batch(atMost: 4) == first, "what is not acknowledged is delivered again")
        try spool.acknowledge(first)
        let rest = try #require(try spool.batch())
        try spool.acknowledge(rest)
        #expect(try spool.batch() == nil)
        let records = try parse(first.body) + parse(rest.body)
        #expect(records.map(\.sequence) == Array(1...10))
        #expect(records[0].previous == .none)
        for (record, next) in zip(records, records.dropFirst()) { #expect(next.previous == AuditHash(of: record.text)) }
        #expect(records.map(\.event) == (try (0..<10).map { try event($0) }))
    }

    @Test func `the chain goes on after a restart, also when all was delivered`() throws {
        let scratch = try Scratch()
        var last: AuditRecord?
        for round in 1...3 {
            let spool = try makeSpool(scratch)
            spool.append(try event(round))
            try spool.flush()
            let batch = try #require(try spool.batch())
            let record = try #require(try parse(batch.body).first)
            #expect((batch.count, record.sequence) == (1, UInt64(round)))
            #expect(record.previous == last.map { AuditHash(of: $0.text) } ?? AuditHash.none)
            try spool.acknowledge(batch)
            last = record
        }
    }

    @Test func `a spool cut off at any byte goes on with the records that are whole, and says what it cut`() throws {
        let origin = try Scratch()
        let spool = try makeSpool(origin)
        for number in 0..<4 { spool.append(try event(number)) }
        try spool.flush()
        let whole = try readBytes(try #require(try origin.files(".spool").first))
        let name = try #require(try origin.files(".spool").first?.split(separator: "/").last)
        let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        for length in 0..<whole.count {
            let scratch = try Scratch()
            try writeBytes(Array(whole[..<length]), "\(scratch.path)/\(name)")
            let found = try undelivered(scratch)
            let intact = max(0, ends.filter { $0 <= length }.count - 1)
            let isTorn = !ends.contains(length)
            #expect(
                found.count == intact + (isTorn && length > 0 || length == 0 ? 1 : 0) - (length == 0 ? 1 : 0),
                "\(length)")
            #expect(found.prefix(intact).map(\.event) == (try (0..<intact).map { try event($0) }))
            if isTorn, length > 0 {
                #expect(found.last?.event.kind == .dropped)
                #expect(found.last?.event.reason?.contains("torn") == true)
            }
            #expect(found.map(\.sequence) == Array(1..<UInt64(found.count + 1)))
        }
    }

    @Test func `a full spool drops the oldest, and says how many`() throws {
        let scratch = try Scratch()
        let spool = try makeSpool(scratch, limits: .init(segment: 2_000, disk: 8_000, memory: 1 << 20))
        for number in 0..<100 {
            spool.append(try event(number))
            try spool.flush()
        }
        #expect(spool.figures.diskBytes <= 8_000 + 2_000)
        let found = try undelivered(scratch)
        let told = found.filter { $0.event.kind == .dropped }
        let (first, last) = (try #require(found.first), try #require(found.last))
        // Among what was dropped may be records that told of drops before.
        #expect(UInt64(found.count) == last.sequence - first.sequence + 1)
        #expect(told.last?.event.count != nil)
        #expect(spool.figures.dropped == first.sequence - 1)
        #expect(told.last?.event.reason?.contains("to \(first.sequence - 1) were not delivered") == true)
    }

    @Test func `what the memory does not hold is counted, and told when there is room`() throws {
        let scratch = try Scratch()
        let spool = try makeSpool(scratch, limits: .init(segment: 1 << 20, disk: 1 << 24, memory: 3_000))
        for number in 0..<100 { spool.append(try event(number)) }
        try spool.flush()
        spool.append(try event(100))
        try spool.flush()
        let records = try parse(try #require(try spool.batch()).body)
        let told = try #require(records.dropLast().last)
        #expect(told.event.kind == .dropped)
        #expect(told.event.count == UInt64(100 - (records.count - 2)))
        #expect(records.last?.event == (try event(100)))
    }

    @Test func `a damaged segment is given up, and the next is delivered`() throws {
        let scratch = try Scratch()
        let spool = try makeSpool(scratch, limits: .init(segment: 1_000, disk: 1 << 20, memory: 1 << 20))
        for number in 0..<12 {
            spool.append(try event(number))
            try spool.flush()
        }
        let path = try #require(try scratch.files(".spool").first)
        var bytes = try readBytes(path)
        let place = try #require(bytes.firstIndex(of: UInt8(ascii: "{")))
        bytes[place + 20] ^= 1
        try writeBytes(bytes, path)
        #expect(try spool.batch() == nil)
        try spool.flush()
        var found: [AuditRecord] = []
        while let batch = try spool.batch() {
            found += try parse(batch.body)
            try spool.acknowledge(batch)
        }
        let told = try #require(found.last)
        #expect(told.event.kind == .dropped && told.event.reason?.contains("damaged") == true)
        #expect(UInt64(found.count) + (told.event.count ?? 0) == 13)
    }

    @Test func `another chain takes over what was not delivered`() throws {
        let scratch = try Scratch()
        let spool = try makeSpool(scratch)
        for number in 0..<6 { spool.append(try event(number)) }
        try spool.flush()
        let old = try #require(try spool.batch(atMost: 2))
        try spool.acknowledge(old)
        try spool.beginAnew()
        let records = try parse(try #require(try spool.batch()).body)
        #expect(records.map(\.event) == (try (2..<6).map { try event($0) }))
        #expect(records.map(\.sequence) == [1, 2, 3, 4])
        #expect(try #require(records.first).spool > old.last.spool)
    }

    @Test func `a text from outside stays one bounded line`() throws {
        var event = AuditEvent(.flowDenied, at: morning)
        event.reason = String(repeating: "a\n\"\\\u{1}é", count: 500)
        let record = AuditRecord(node: try NodeName("node-a"), spool: 1, sequence: 1, previous: .none, event: event)
        #expect(!record.text.contains(UInt8(ascii: "\n")))
        #expect(record.text.count < AuditRecord.maximumLength)
        #expect(try AuditRecord(parsing: record.text) == record)
    }

    @Test(arguments: [
        #"{"node":"node-a","node":"node-b""#, #"{ "node":"node-a""#, #"{"node":"node-\u0061""#,
        #"{"extra":1,"node":"node-a""#,
    ])
    func `a record that two readers could read as two is refused`(beginning: String) throws {
        let record = AuditRecord(
            node: try NodeName("node-a"), spool: 1, sequence: 1, previous: .none, event: try event(1))
        let text = String(decoding: record.text, as: UTF8.self)
        let changed = text.replacing(#"{"node":"node-a""#, with: beginning)
        #expect(changed != text)
        #expect(throws: AuditError.self) { try AuditRecord(parsing: Array(changed.utf8)) }
    }
}
