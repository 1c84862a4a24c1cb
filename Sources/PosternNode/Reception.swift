import Datapath
import Glibc

/// The thread that takes callers in and reads what they send: no caller can keep others out.
struct Reception {
    static let places = 256
    /// Of which one user other than root takes at most these.
    static let placesOfOneUser = 32

    private let listener: Int32
    private let stop: StopSignal
    private let patience: Duration
    private let evidence: PeerEvidence
    private var guests: [Guest] = []
    /// Off for a moment when this process has no descriptor left: the listener would stay readable and the loop spin.
    private var isListening = true

    private struct Guest {
        let connection: LocalConnection
        let uid: UInt32?
        let since: BootTime
    }

    init(listener: Int32, stop: StopSignal, patience: Duration, evidence: PeerEvidence) {
        (self.listener, self.stop, self.patience, self.evidence) = (listener, stop, patience, evidence)
    }

    /// Whether there is a place for one more, beside those whose users these are.
    static func hasPlace(for uid: UInt32?, beside others: [UInt32?]) -> Bool {
        others.count < places && (uid == 0 || others.count { $0 == uid } < placesOfOneUser)
    }

    /// Serves until told to stop.
    mutating func run(accepted: (LocalConnection) -> Void) {
        while true {
            let fixed = [stop.descriptor] + (isListening ? [listener] : [])
            let isWaiting = !isListening || guests.contains { !$0.connection.hasAsked }
            let ready = readable(fixed + guests.map(\.connection.descriptor), timeout: isWaiting ? 100 : -1)
            if ready.contains(0) { break }
            dismiss(readable: ready.filter { $0 >= fixed.count }.map { $0 - fixed.count })
            if isListening, ready.contains(1) { welcome(accepted) } else { isListening = true }
        }
    }

    /// Reads what came, and lets those go who hung up, sent nonsense, or sent nothing for long.
    private mutating func dismiss(readable indices: [Int]) {
        var gone = Set(indices.filter { !guests[$0].connection.receive() })
        let now = BootTime.now()
        for (index, guest) in guests.enumerated() where !gone.contains(index) && !guest.connection.hasAsked {
            guard now - guest.since > patience else { continue }
            guest.connection.refuse("nothing was asked for too long")
            guest.connection.end()
            gone.insert(index)
        }
        guests = guests.indices.filter { !gone.contains($0) }.map { guests[$0] }
    }

    private mutating func welcome(_ accepted: (LocalConnection) -> Void) {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else {
            isListening = errno != EMFILE && errno != ENFILE
            return
        }
        let connection = LocalConnection(descriptor: descriptor, evidence: evidence)
        let uid = Caller.uid(of: descriptor)
        guard Self.hasPlace(for: uid, beside: guests.map(\.uid)) else {
            connection.refuse("posternd has no place left for another caller: try again")
            connection.end()
            return
        }
        guests.append(Guest(connection: connection, uid: uid, since: .now()))
        accepted(connection)
    }
}
