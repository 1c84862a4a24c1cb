import Sandbox
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

    @Test func `what is not said is the machine's own, with something left for it, and for a second session`() throws {
        let bounds = try SessionsBounds(memory: nil, eachMemory: nil, processes: nil)
        #expect(bounds == .ofThisMachine)
        #expect(bounds.each.memory > 0 && bounds.each.processes > 0)
        #expect(bounds.each.memory * 2 <= bounds.all.memory && bounds.each.processes * 2 <= bounds.all.processes)
        #expect(try SessionsBounds(memory: "100%", eachMemory: nil, processes: nil).all.memory > bounds.all.memory)
    }

    @Test func `what is said holds, for all and for each`() throws {
        let small = try SessionsBounds(memory: "128M", eachMemory: nil, processes: 64)
        #expect(small.all == CgroupBounds(memory: 128 << 20, processes: 64))
        #expect(small.each == CgroupBounds(memory: 64 << 20, processes: 32))
        let each = try SessionsBounds(memory: "128M", eachMemory: "128M", processes: nil).each
        #expect(each.memory == 128 << 20)
    }

    @Test(
        arguments: [
            ("63M", nil, nil), ("much", nil, nil), (nil, nil, 63), (nil, nil, -1), (nil, nil, .max), (nil, "63M", nil),
            ("128M", "129M", nil),
        ] as [(String?, String?, Int?)])
    func `bounds that bound nothing, or all, are refused`(memory: String?, eachMemory: String?, processes: Int?) {
        let error = #expect(throws: NodeError.self) {
            try SessionsBounds(memory: memory, eachMemory: eachMemory, processes: processes)
        }
        #expect(error?.description.contains("--session") == true)
    }
}
