/// An array in pages, so that the copy which a change of a shared one makes is small: of one page.
struct Paged<Element: Sendable>: Sendable {
    private static var bits: Int { 8 }

    private var pages: [[Element]] = []
    private(set) var count = 0

    subscript(place: Int) -> Element {
        get { pages[place >> Self.bits][place & (1 << Self.bits - 1)] }
        _modify { yield &pages[place >> Self.bits][place & (1 << Self.bits - 1)] }
    }

    mutating func append(_ element: Element) {
        if count & (1 << Self.bits - 1) == 0 { pages.append([]) }
        pages[pages.count - 1].append(element)
        count += 1
    }
}
