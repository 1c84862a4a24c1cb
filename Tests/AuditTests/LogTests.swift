import Audit
import Crypto
import Mesh
import Testing

private let newline = UInt8(ascii: "\n")

@Suite struct LogTests {
    @Test func `what is received is exported, and the file is whole`() throws {
        var test = try TestLog(limits: .init(segment: 1 << 20, checkpointEntries: 3))
        let records = try test.chain(7)
        #expect(try test.receive(records) == AuditReceipt(spool: 7, sequence: 7))
        try test.receive(try test.chain(2, node: "node-b"), from: "node-b")
        let report = try test.verify(test.export()).get()
        #expect((report.records, report.first, report.last) == (9, 1, test.log.last))
        #expect(report.vouched == test.log.last && report.gaps.isEmpty)
    }

    @Test func `one byte edited anywhere is found`() throws {
        var test = try TestLog(limits: .init(segment: 1 << 20, checkpointEntries: 2))
        try test.receive(try test.chain(2))
        let file = try test.export()
        _ = try test.verify(file).get()
        for index in file.indices {
            var edited = file
            edited[index] ^= index.isMultiple(of: 2) ? 1 : 0x20
            #expect(throws: LogVerifier.Break.self, "byte \(index)") { try test.verify(edited).get() }
        }
    }

    @Test func `a file cut off at any byte is found`() throws {
        var test = try TestLog(limits: .init(segment: 1 << 20, checkpointEntries: 2))
        try test.receive(try test.chain(2))
        let file = try test.export()
        // The end of the last line says nothing.
        for length in 0..<(file.count - 1) {
            #expect(throws: LogVerifier.Break.self, "\(length) bytes") { try test.verify(Array(file[..<length])).get() }
        }
    }

    @Test func `what was done is told, and at which line`() throws {
        var test = try TestLog()
        try test.receive(try test.chain(8))
        let lines = try test.export().split(separator: newline)
        func verify(_ lines: [ArraySlice<UInt8>]) -> LogVerifier.Break? {
            switch test.verify(Array(lines.joined(separator: [newline])) + [newline]) {
            case .success: nil
            case .failure(let found): found
            }
        }
        #expect(verify(lines) == nil)
        var changed = lines
        changed.remove(at: 4)
        #expect(verify(changed).map { "\($0.kind) \($0)" } == "removed line 5: before it, entry 4 is missing")
        changed = lines
        changed.swapAt(3, 5)
        #expect(verify(changed)?.kind == .reordered)
        changed = lines
        changed.insert(lines[3], at: 6)
        #expect(verify(changed).map { "\($0.kind) \($0)" } == "reordered line 7: entry 3 stands behind entry 5")
        changed = lines
        changed[5] = Array(String(decoding: lines[5], as: UTF8.self).replacing("vault", with: "vaulT").utf8)[...]
        #expect(verify(changed).map { ($0.kind == .edited, $0.line) } ?? (false, 0) == (true, 6))
        #expect(verify(lines.dropLast())?.kind == .truncated)
        #expect(verify(Array(lines.dropFirst()))?.kind == .unsigned)
        let stranger = P256.Signing.PrivateKey().publicKey
        guard case .failure(let found) = verifyLog(try test.export(), .export, key: stranger) else {
            Issue.record("another mesh's key does not vouch for it")
            return
        }
        #expect((found.kind, found.line) == (.unsigned, 1))
    }

    @Test func `records that come again are stored once`() throws {
        var test = try TestLog()
        let records = try test.chain(6)
        try test.receive(Array(records[..<4]))
        #expect(try test.receive(Array(records[2...])) == AuditReceipt(spool: 7, sequence: 6))
        #expect(try test.receive(Array(records[..<2])) == AuditReceipt(spool: 7, sequence: 6))
        #expect(test.log.last == 6)
        try test.open()
        #expect(try test.receive(records) == AuditReceipt(spool: 7, sequence: 6))
        #expect(test.log.last == 6)
    }

    @Test func `a node that sends another node's records is refused, with all that it sent`() throws {
        var test = try TestLog()
        let (own, foreign) = (try test.chain(2), try test.chain(1, node: "node-b"))
        #expect(throws: AuditError(.foreign, "node `node-a` sends a record of node `node-b`")) {
            try test.receive(own + foreign)
        }
        #expect(test.log.last == 0)
    }

    @Test func `a record that does not follow the one before it is a conflict`() throws {
        var test = try TestLog()
        let records = try test.chain(3)
        try test.receive(records)
        let other = AuditRecord(
            node: try NodeName("node-a"), spool: 7, sequence: 4, previous: .none, event: try event(9))
        let found = #expect(throws: AuditError.self) { try test.receive([other]) }
        #expect(found?.kind == .conflict)
        #expect(test.log.last == 3)
        try test.receive(try test.chain(1, spool: 8))
        let report = try test.verify(test.export()).get()
        #expect(report.gaps == ["node `node-a` began another chain at entry 4"])
    }

    @Test func `what a node had to drop is a gap that verification tells`() throws {
        var test = try TestLog()
        let records = try test.chain(6)
        try test.receive(Array(records[..<2]))
        try test.receive(Array(records[4...]))
        let report = try test.verify(test.export()).get()
        #expect(report.records == 4)
        #expect(
            report.gaps == [
                "of node `node-a`, what is between its records 2 and 5 never came (before entry 3)"
            ])
    }

    @Test func `a log cut off anywhere in its last writing opens with what was acknowledged before`() throws {
        var test = try TestLog()
        let records = try test.chain(4)
        try test.receive(Array(records[..<2]))
        let before = try test.stored.count
        try test.receive(Array(records[2...]))
        let whole = try test.stored
        let path = try #require(try AuditLog.files(in: test.scratch.path).first)
        for length in stride(from: before, to: whole.count, by: 5) {
            try writeBytes(Array(whole[..<length]), path)
            try test.open()
            let intact = whole[before..<length].count { $0 == newline }
            #expect(test.log.last == 2 + UInt64(intact), "cut at \(length)")
            #expect(try test.receive(Array(records[2...])) == AuditReceipt(spool: 7, sequence: 4))
            #expect(try test.verify(test.export()).get().records == 4, "cut at \(length)")
        }
    }

    @Test func `a log that was changed before its end is not opened`() throws {
        var test = try TestLog()
        try test.receive(try test.chain(4))
        let path = try #require(try AuditLog.files(in: test.scratch.path).first)
        let whole = try test.stored
        _ = try test.verify(whole, .state).get()
        for place in [100, whole.count / 2, whole.count - 10] {
            var bytes = whole
            bytes[place] ^= 1
            try writeBytes(bytes, path)
            #expect(throws: AuditError.self) { try test.open() }
            #expect(try test.stored == bytes, "what was changed is evidence")
            #expect(throws: LogVerifier.Break.self) { try test.verify(bytes, .state).get() }
        }
    }

    @Test func `the coordinator's own files are verified without it, also when the oldest are gone`() throws {
        var test = try TestLog(limits: .init(segment: 4_000, checkpointEntries: 5))
        var last: AuditRecord?
        for minute in 0..<20 {
            let records = try test.chain(3, after: last)
            try test.receive(records, at: morning + .seconds(60 * minute))
            last = records.last
        }
        let all = try test.verify(test.stored, .state).get()
        #expect((all.records, all.first, all.last) == (60, 1, test.log.last))
        #expect(try AuditLog.files(in: test.scratch.path).count > 3)
        let gone = try test.log.forget(before: morning + .seconds(60 * 10))
        #expect(gone > 0)
        let rest = try test.verify(test.stored, .state).get()
        #expect((rest.first, rest.last) == (gone + 1, test.log.last))
        _ = try test.verify(test.export()).get()
        try test.open()
        #expect(test.log.last == rest.last)
        #expect(try test.receive(Array([try #require(last)])) == AuditReceipt(spool: 7, sequence: 60))
        #expect(test.log.last == rest.last, "how far a node had come is known though its records are in older files")
    }

    @Test func `pages add up to the whole, in whatever order they are asked for`() throws {
        var test = try TestLog(limits: .init(segment: 3_000, checkpointEntries: 4))
        var last: AuditRecord?
        for minute in 0..<10 {
            let records = try test.chain(3, after: last)
            try test.receive(records, at: morning + .seconds(60 * minute))
            last = records.last
        }
        let whole = try test.log.lines(after: 0, atMost: .max, bytes: .max)
        let lines = whole.split(separator: newline)
        #expect(UInt64(lines.count) == test.log.last)
        for size in [1, 3, 7] {
            var pages: [UInt8] = []
            for start in stride(from: 0, to: lines.count, by: size) {
                pages += try test.log.lines(after: UInt64(start), atMost: size)
            }
            #expect(pages == whole)
        }
        for start in stride(from: lines.count - 1, through: 0, by: -5) {
            #expect(Array(try test.log.lines(after: UInt64(start), atMost: 1).dropLast()) == Array(lines[start]))
        }
        for number in [test.log.last, .max] {
            #expect(try test.log.lines(after: number, atMost: .max).isEmpty)
        }
        let since = try test.log.firstEntry(since: morning + .seconds(60 * 4))
        let text = String(decoding: lines[Int(since) - 1], as: UTF8.self)
        #expect(text.contains("\"received\":\((morning + .seconds(60 * 4)).rawValue)"))
        #expect(
            !String(decoding: lines[Int(since) - 2], as: UTF8.self).contains(
                "\"received\":\((morning + .seconds(60 * 4)).rawValue)"))
        #expect(try test.log.firstEntry(since: morning + .seconds(3600)) == test.log.last + 1)
    }
}
