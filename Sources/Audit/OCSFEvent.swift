import Mesh

/// A record in the words of the Open Cybersecurity Schema Framework 1.3.
///
/// Flows are `Network Activity` (4001), sessions are `Authentication` (3002), and what was not told is a `Base Event` (0).
package struct OCSFEvent: Encodable, Equatable, Sendable {
    private let tree: Tree

    private indirect enum Tree: Encodable, Equatable, Sendable {
        case text(String)
        case number(Int64)
        case object([String: Tree])

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            case .object(let members): try container.encode(members)
            }
        }

        /// Without the members that there are none of.
        static func object(_ members: [String: Tree?]) -> Tree { .object(members.compactMapValues { $0 }) }
        static func text(_ value: String?) -> Tree? { value.map { Tree.text($0) } }
        static func number(_ value: (some BinaryInteger)?) -> Tree? { value.map { Tree.number(Int64(clamping: $0)) } }
    }

    package func encode(to encoder: any Encoder) throws { try tree.encode(to: encoder) }

    package init(_ record: AuditRecord) {
        let (event, form) = (record.event, record.event.kind.form)
        let owner = (event.person ?? event.owner).map { Tree.object(["name": .text($0.rawValue)]) }
        let reason = event.reason.map { ": \($0)" } ?? ""
        let isFlow = form.number == Self.networkActivity
        let members: [String: Tree?] = [
            "class_uid": .number(form.number),
            "category_uid": .number(form.category),
            "activity_id": .number(form.activity),
            "type_uid": .number(form.number * 100 + form.activity),
            "severity_id": .number(form.severity),
            "status_id": .number(form.status),
            "time": .number(event.time.rawValue),
            "message": .text(event.kind.rawValue + reason),
            "metadata": .object([
                "version": .text("1.3.0"), "uid": .text(record.id), "sequence": .number(record.sequence),
                "product": .object(["name": .text("Postern"), "vendor_name": .text("Postern")]),
            ]),
            "actor": event.agent.map { .object(["app_name": .text($0.rawValue), "user": owner]) },
            "user": isFlow ? nil : event.agent.map { .object(["name": .text($0.rawValue)]) },
            "session": event.session.map { .object(["uid": .text($0.rawValue)]) },
            "device": .object(["hostname": .text(record.node.rawValue), "type_id": .number(0)]),
            "dst_endpoint": isFlow
                ? .object([
                    "svc_name": .text(event.service?.rawValue), "port": .number(event.port?.rawValue),
                    "ip": .text(event.target.map(Self.address)),
                ]) : nil,
            "connection_info": isFlow
                ? .object(["protocol_name": .text(event.transport), "direction_id": .number(0)]) : nil,
            "count": .number(event.count),
            "policy": event.policies?.first.map { .object(["name": .text($0)]) },
        ]
        tree = .object(members)
    }

    fileprivate static let networkActivity = 4001
    fileprivate static let authentication = 3002

    /// `10.0.0.1` of `10.0.0.1:80`, `fd00::1` of `[fd00::1]:80`.
    private static func address(_ target: String) -> String {
        if target.hasPrefix("[") { return String(target.dropFirst().prefix { $0 != "]" }) }
        return String(target.prefix { $0 != ":" })
    }
}

/// What a kind of record is in the schema: severity 1 is informational, 2 low, 3 medium; status 1 is success, 2 failure.
private struct Form {
    let number: Int
    let category: Int
    let activity: Int
    let severity: Int
    let status: Int

    init(_ number: Int, _ category: Int, activity: Int, severity: Int, status: Int) {
        (self.number, self.category, self.activity) = (number, category, activity)
        (self.severity, self.status) = (severity, status)
    }
}

extension AuditEvent.Kind {
    fileprivate var form: Form {
        switch self {
        case .flowOpened: Form(OCSFEvent.networkActivity, 4, activity: 1, severity: 1, status: 1)
        case .flowDenied: Form(OCSFEvent.networkActivity, 4, activity: 5, severity: 2, status: 2)
        case .sessionStarted: Form(OCSFEvent.authentication, 3, activity: 1, severity: 1, status: 1)
        case .sessionRenewed: Form(OCSFEvent.authentication, 3, activity: 99, severity: 1, status: 1)
        case .sessionEnded: Form(OCSFEvent.authentication, 3, activity: 2, severity: 1, status: 1)
        case .launchRefused: Form(OCSFEvent.authentication, 3, activity: 1, severity: 2, status: 2)
        case .suppressed: Form(0, 0, activity: 99, severity: 2, status: 99)
        case .dropped: Form(0, 0, activity: 99, severity: 3, status: 99)
        }
    }
}
