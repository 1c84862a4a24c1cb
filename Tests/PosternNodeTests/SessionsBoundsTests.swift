import Testing

@testable import PosternNode

@Suite struct SessionsBoundsTests {
    @Test(arguments: [
        ("100%", 8 << 30 as Int?), ("50%", 4 << 30), ("2G", 2 << 30), ("512M", 512 << 20), ("9G", nil),
        ("101%", nil), ("", nil), ("G", nil), ("2", nil), ("-1G", nil), ("2g", nil), ("2G ", nil), ("２G", nil),
        ("99999999999999999999G", nil), ("1048576G", nil), ("1048577M", nil),
    ])
    func `memory is a size or a share, at most the whole`(text: String, bytes: Int?) {
        #expect(SessionsBounds.bytes(text, of: 8 << 30) == bytes)
    }

    @Test func `what is not said is the machine's own, with something left for it`() throws {
        let bounds = try SessionsBounds(memory: nil, processes: nil)
        #expect(bounds == .ofThisMachine)
        #expect(bounds.memory > 0 && bounds.processes > 0)
        #expect(try SessionsBounds(memory: "100%", processes: nil).memory > bounds.memory)
        #expect(try SessionsBounds(memory: "64M", processes: 64) == SessionsBounds(memory: 64 << 20, processes: 64))
    }

    @Test(arguments: [("63M", nil), ("much", nil), (nil, 63), (nil, -1), (nil, .max)] as [(String?, Int?)])
    func `bounds that bound nothing, or all, are refused`(memory: String?, processes: Int?) {
        let error = #expect(throws: NodeError.self) { try SessionsBounds(memory: memory, processes: processes) }
        #expect(error?.description.contains("--sessions-") == true)
    }
}
