import Testing

@testable import Datapath

@Suite struct PageFinderTests {
    @Test func `the pages that were made are found, one by one and all at once`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        let last = RowPages.count - 1
        try RowPages(tables, .second).make([0, 7, last])
        for copy in Copy.allCases {
            let first = copy.rawValue * RowPages.count
            let all = try tables.finder.pages(from: first, count: RowPages.count)
            let places = all.indices.filter { all[$0] != 0 }
            #expect(places == (copy == .first ? [] : [0, 7, Int(last)]))
            for number in [0, 1, 7, last] {
                #expect(try tables.finder.page(at: first + number) ?? 0 == all[Int(number)])
            }
        }
    }
}
