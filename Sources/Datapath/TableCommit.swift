internal import CPosternABI

/// One of the two halves of every table.
enum Copy: UInt32, CaseIterable, Sendable {
    case first = 0
    case second = 1

    var other: Copy { self == .first ? .second : .first }
}

/// Which copy holds, and whether the other one may differ from it.
struct TableState: Equatable, Sendable {
    var live: Copy
    var isBehind: Bool
}

/// The steps of a change, in their order: a test stops before any of them, as a crash would.
enum CommitStep: Hashable, Sendable {
    case begin
    case prepare(Int)
    case swap
    case wait
    case follow(Int)
    case end
}

// A change of the whole set:
//
//     begin    the idle copy is said to be behind: from here on a crash has it copied anew
//     prepare  the idle copy gets the change
//     swap     one word makes it the copy that holds
//     wait     until no packet is under way that began with the other one
//     follow   the other copy gets the same change
//     end      both are the same again
extension Tables {
    func currentState() throws(DatapathError) -> TableState {
        let raw = try state.value(at: UInt32(0), into: pt_state())
        guard let live = Copy(rawValue: raw.copy) else {
            throw DatapathError("adopt the table `state`", because: "it holds an entry that we never write")
        }
        return TableState(live: live, isBehind: raw.behind != 0)
    }

    private func set(_ new: TableState) throws(DatapathError) {
        try state.put(UInt32(0), pt_state(copy: new.live.rawValue, behind: new.isBehind ? 1 : 0))
    }

    func commit(
        _ writes: [TableWrite], before step: (CommitStep) throws(DatapathError) -> Void = { _ in }
    ) throws(DatapathError) {
        guard !writes.isEmpty else { return }
        try catchUp()
        let idle = try currentState().live.other
        try step(.begin)
        try set(TableState(live: idle.other, isBehind: true))
        try write(writes, to: idle) { index throws(DatapathError) in try step(.prepare(index)) }
        try step(.swap)
        try set(TableState(live: idle, isBehind: true))
        try step(.wait)
        try waitForPackets()
        try write(writes, to: idle.other) { index throws(DatapathError) in try step(.follow(index)) }
        try step(.end)
        try set(TableState(live: idle, isBehind: false))
    }

    /// Makes the idle copy the same as the one that holds, if a change was cut off.
    func catchUp() throws(DatapathError) {
        let now = try currentState()
        guard now.isBehind else { return }
        try waitForPackets()
        try mirror(from: now.live)
        try set(TableState(live: now.live, isBehind: false))
    }
}
