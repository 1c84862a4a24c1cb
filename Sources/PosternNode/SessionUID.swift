import Mesh

extension SessionID {
    /// A uid, and gid, of the session's own: among the 2²⁸ from 1879048192, which systemd's "Users, Groups, UIDs and
    /// GIDs on systemd Systems" leaves to nobody.
    var ownUID: UInt32 {
        guard let number = UInt32(rawValue.suffix(7), radix: 16) else {
            preconditionFailure("a session's id is 32 hexadecimal digits")
        }
        return 1_879_048_192 | number
    }

    /// A new one, whose uid none of the others has.
    static func random(beside others: some Sequence<SessionID>) -> SessionID {
        var generator = SystemRandomNumberGenerator()
        let taken = Set(others.map(\.ownUID))
        while true {
            let id = SessionID.random(using: &generator)
            if !taken.contains(id.ownUID) { return id }
        }
    }
}
