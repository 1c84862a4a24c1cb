internal import CBpf
internal import CPosternABI
internal import Glibc

/// The rows of one copy: pages that are opened and made as they are needed.
final class RowPages {
    private final class Page {
        let map: MapDescriptor
        init(_ map: consuming MapDescriptor) { self.map = map }
    }

    /// Pages of all segments: those of the first come first, one for each group of slots.
    static let count = UInt32(PT_PAGES)
    static let segments = UInt32(PT_SEGMENTS)
    static let groups = UInt32(PT_GROUPS)
    static let rowsPerPage = UInt32(PT_ROWS_PER_PAGE)

    private let outer: Int32
    private let copy: Copy
    private let finder: PageFinder
    private var pages: [UInt32: Page] = [:]
    /// What the kernel calls each page of the copy; nil until somebody wants to know of all. Pages are never taken away.
    private var numbers: [UInt32]?

    /// A row with changes that the kernel has not seen; those of one row are written together.
    private var pending: (page: UInt32, place: UInt32, row: pt_row)?

    /// - Parameter tables: must outlive the pages.
    init(_ tables: borrowing Tables, _ copy: Copy) {
        (outer, self.copy, finder) = (tables.rows.descriptor.raw, copy, tables.finder)
    }

    /// Finds all pages at once, for whoever goes through them.
    func findAll() throws(DatapathError) {
        numbers = try finder.pages(from: index(of: 0), count: Self.count)
    }

    /// The page of a slot's verdicts about a class.
    static func page(of slot: Slot, _ serviceClass: ServiceClass) -> UInt32 {
        serviceClass.rawValue / UInt32(PT_SEGMENT_CLASSES) * groups + slot.rawValue / rowsPerPage
    }

    /// The page that says whose a slot's row is.
    static func page(of slot: Slot) -> UInt32 { slot.rawValue / rowsPerPage }

    // MARK: one row

    /// Says whose a slot's row is, in every segment that there is of it.
    func set(_ generation: UInt32, of slot: Slot) throws(DatapathError) {
        for segment in 0..<Self.segments {
            let number = segment * Self.groups + Self.page(of: slot)
            let isThere = try page(number) != nil
            guard segment == 0 || isThere else { continue }
            try change(number, slot.rawValue % Self.rowsPerPage) { $0.generation = generation }
        }
    }

    /// What may stand beside the address of a slot's peer: nothing unless the row is of this generation.
    func near(_ slot: Slot, _ generation: UInt32) throws(DatapathError) -> NearGrants {
        guard try page(Self.page(of: slot)) != nil else { return .none }
        return try row(Self.page(of: slot), slot.rawValue % Self.rowsPerPage).near(generation)
    }

    func bits(of key: VerdictKey) throws(DatapathError) -> UInt32 {
        try row(Self.page(of: key.slot, key.serviceClass), key.slot.rawValue % Self.rowsPerPage)[key.serviceClass]
    }

    func set(_ bits: UInt32, at key: VerdictKey) throws(DatapathError) {
        let number = Self.page(of: key.slot, key.serviceClass)
        // Where there is no page nothing is allowed already.
        let isThere = try page(number) != nil
        guard isThere || bits != PT_DENY.rawValue else { return }
        try change(number, key.slot.rawValue % Self.rowsPerPage) { $0[key.serviceClass] = bits }
    }

    func change(_ number: UInt32, _ place: UInt32, _ body: (inout pt_row) -> Void) throws(DatapathError) {
        var row = try row(number, place)
        body(&row)
        pending = (number, place, row)
    }

    private func row(_ number: UInt32, _ place: UInt32) throws(DatapathError) -> pt_row {
        if let pending, pending.page == number, pending.place == place { return pending.row }
        try flush()
        return try made(number).map.value(at: place, into: pt_row())
    }

    func flush() throws(DatapathError) {
        guard let (number, place, row) = pending else { return }
        pending = nil
        try made(number).map.put(place, row)
    }

    // MARK: one page

    /// All rows of a page; nil when nobody in it was ever granted anything.
    func rows(ofPage number: UInt32) throws(DatapathError) -> [pt_row]? {
        try page(number)?.map.values(from: 0, count: Self.rowsPerPage, zero: pt_row())
    }

    /// The rows that a page has, or would have if it were made.
    func rowsExpected(inPage number: UInt32) throws(DatapathError) -> [pt_row] {
        if let rows = try rows(ofPage: number) { return rows }
        let empty = [pt_row](repeating: pt_row(), count: Int(Self.rowsPerPage))
        guard number >= Self.groups, let first = try rows(ofPage: number % Self.groups) else { return empty }
        return first.map { pt_row(generation: $0.generation, pad: 0, verdicts: (0, 0, 0, 0)) }
    }

    /// Makes pages that will be needed. Together, for the kernel waits for the packets under way at each call.
    func make(_ numbers: Set<UInt32>) throws(DatapathError) {
        try flush()
        var (keys, descriptors): ([UInt32], [Int32]) = ([], [])
        var new: [UInt32: Page] = [:]
        for number in numbers.sorted() where try page(number) == nil {
            let page = Page(try SharedMap.page.create())
            for (place, row) in try rowsExpected(inPage: number).enumerated() where row.generation != 0 {
                try page.map.put(UInt32(place), row)
            }
            keys.append(index(of: number))
            descriptors.append(page.map.descriptor.raw)
            new[number] = page
        }
        guard !keys.isEmpty else { return }
        var count = UInt32(keys.count)
        if unsafe bpf_map_update_batch(outer, &keys, &descriptors, &count, nil) != 0 {
            for (key, descriptor) in zip(keys, descriptors) { try put(key, descriptor) }
        }
        pages.merge(new) { $1 }
    }

    private func made(_ number: UInt32) throws(DatapathError) -> Page {
        if let page = try page(number) { return page }
        try make([number])
        guard let page = pages[number] else { preconditionFailure("a page that was made is known") }
        return page
    }

    private func page(_ number: UInt32) throws(DatapathError) -> Page? {
        if let known = pages[number] { return known }
        guard let id = try id(of: number) else { return nil }
        let descriptor = try DatapathError.check(bpf_map_get_fd_by_id(id), "open a page of the table `rows`")
        let page = Page(MapDescriptor(descriptor: Descriptor(owning: descriptor), shape: SharedMap.page))
        pages[number] = page
        return page
    }

    /// A page that was not there when all were looked for is only made by us, and then known.
    private func id(of number: UInt32) throws(DatapathError) -> UInt32? {
        guard let numbers else { return try finder.page(at: index(of: number)) }
        let id = numbers[Int(number)]
        return id == 0 ? nil : id
    }

    private func put(_ key: UInt32, _ descriptor: Int32) throws(DatapathError) {
        var (key, descriptor) = (key, descriptor)
        try DatapathError.check(
            unsafe bpf_map_update_elem(outer, &key, &descriptor, 0), "write the table `rows`")
    }

    private func index(of number: UInt32) -> UInt32 { copy.rawValue * Self.count + number }
}

extension pt_row {
    private static let perWord = UInt32(PT_VERDICTS_PER_WORD)

    /// The two bits of a class.
    subscript(serviceClass: ServiceClass) -> UInt32 {
        get {
            let word = unsafe withUnsafeBytes(of: verdicts) {
                unsafe $0.loadUnaligned(fromByteOffset: Self.offset(serviceClass), as: UInt64.self)
            }
            return UInt32(word >> Self.shift(serviceClass) & 3)
        }
        set {
            unsafe withUnsafeMutableBytes(of: &verdicts) { bytes in
                let word = unsafe bytes.loadUnaligned(fromByteOffset: Self.offset(serviceClass), as: UInt64.self)
                let changed = word & ~(3 << Self.shift(serviceClass)) | UInt64(newValue) << Self.shift(serviceClass)
                unsafe bytes.storeBytes(of: changed, toByteOffset: Self.offset(serviceClass), as: UInt64.self)
            }
        }
    }

    private static func offset(_ serviceClass: ServiceClass) -> Int { Int(place(serviceClass) / perWord) * 8 }
    private static func shift(_ serviceClass: ServiceClass) -> UInt64 { UInt64(place(serviceClass) % perWord * 2) }
    private static func place(_ serviceClass: ServiceClass) -> UInt32 {
        serviceClass.rawValue % UInt32(PT_SEGMENT_CLASSES)
    }
}
