/// What a daemon believes of a session from its reports, each of which must come in its order.
enum EnclosureProgress: Equatable {
    case preparing, ready, running, finished
    /// It runs, and says so again to a daemon that has just found it.
    case found

    /// Takes the next report; one out of order is not believed.
    mutating func accept(_ report: EnclosureReport) -> Bool {
        switch (self, report) {
        case (.preparing, .ready): self = .ready
        case (.ready, .started), (.found, .started): self = .running
        case (.ready, .exited), (.running, .exited): self = .finished
        case (.preparing, .failed), (.ready, .failed), (.running, .failed): self = .finished
        case (.ready, .expired), (.running, .expired): self = .finished
        case (.running, .lapsed): break
        default: return false
        }
        return true
    }
}
