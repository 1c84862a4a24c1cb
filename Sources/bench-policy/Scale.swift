import Cedar
import Foundation

/// How large a set is, by which both engines are measured on the same texts.
///
/// Each policy is for one role and one project and two actions, with one of five conditions; each role and project meet
/// once, so that a request of someone with two roles is asked of about as many policies, whatever the size.
struct Scale {
    let policies: Int
    let entities: Int

    static let all = [
        Scale(policies: 100, entities: 100), Scale(policies: 1_000, entities: 10_000),
        Scale(policies: 10_000, entities: 10_000),
    ]
    static let requests = 1_000

    var name: String { "\(policies)-\(entities)" }
    var title: String { "\(Self.number(policies)) policies, \(Self.number(entities)) entities" }

    private var roles: Int { policies <= 100 ? 10 : policies <= 1_000 ? 40 : 100 }
    private var projects: Int { policies / roles }
    private var members: Int { (entities - roles - projects) / 2 }
    private static let departments = 5

    private static func number(_ number: Int) -> String {
        number < 1_000 ? "\(number)" : "\(number / 1_000),000"
    }
}

// MARK: - Policies

extension Scale {
    static let schema = """
        entity Role, Project;
        entity User in [Role] = { dept: String };
        entity Document in [Project] = { dept: String, sensitivity: Long, owner: User };
        action read, list, write appliesTo {
            principal: User, resource: Document, context: { mfa: Bool, hour: Long, ip: ipaddr }
        };
        """

    /// One a line.
    var policyTexts: [String] { (0..<policies).map(policyText) }

    private static let conditions = [
        "context.mfa",
        "resource.sensitivity < 3 && context.hour >= 8 && context.hour < 18",
        "principal.dept == resource.dept",
        #"context.ip.isInRange(ip("10.0.0.0/8"))"#,
        "resource.owner == principal",
    ]

    func policyText(_ number: Int) -> String {
        let effect = number % 20 == 7 ? "forbid" : "permit"
        let actions = [["read", "list"], ["read", "write"], ["list", "write"]][number % 3]
        let list = actions.map { #"Action::"\#($0)""# }.joined(separator: ", ")
        let condition = Self.conditions[(number / roles + number) % Self.conditions.count]
        return """
            \(effect) (principal in Role::"role\(number % roles)", action in [\(list)], \
            resource in Project::"project\(number / roles % projects)") when { \(condition) };
            """
    }
}

// MARK: - Entities and requests

extension Scale {
    func user(_ number: Int) -> EntityUID { EntityUID(type: "User", id: "user\(number)") }
    private func document(_ number: Int) -> EntityUID { EntityUID(type: "Document", id: "document\(number)") }

    func entity(user number: Int) -> Entity {
        let parents = [number % roles, (number / 2 + 1) % roles].map { EntityUID(type: "Role", id: "role\($0)") }
        return Entity(user(number), in: parents, attributes: ["dept": department(number)])
    }

    var entityList: [Entity] {
        let groups =
            (0..<roles).map { EntityUID(type: "Role", id: "role\($0)") }
            + (0..<projects).map { EntityUID(type: "Project", id: "project\($0)") }
        return groups.map { Entity($0) } + (0..<members).map(entity(user:))
            + (0..<members).map { number in
                Entity(
                    document(number), in: [EntityUID(type: "Project", id: "project\(number % projects)")],
                    attributes: [
                        "dept": department(number / 3), "sensitivity": .long(Int64(number % 5)),
                        "owner": .entity(user(number * 7 % members)),
                    ])
            }
    }

    private func department(_ number: Int) -> Value { .string(Text("dept\(number % Self.departments)")) }

    /// Who asks for what is spread over all that there is.
    func requestList() throws -> [Request] {
        let addresses = [try Value.IPAddress("10.1.2.3"), try Value.IPAddress("192.0.2.1")]
        return (0..<Self.requests).map { number in
            Request(
                principal: user(number * 7919 % members),
                action: EntityUID(type: "Action", id: ["read", "list", "write"][number % 3]),
                resource: document(number * 104_729 % members),
                context: Context([
                    "mfa": .bool(number % 2 == 0), "hour": .long(Int64(number * 5 % 24)),
                    "ip": .ip(addresses[number / 3 % 2]),
                ]))
        }
    }
}

// MARK: - As the reference reads it

extension Scale {
    /// Writes what the reference reads.
    func write(to folder: URL) throws {
        let policies = policyTexts.joined(separator: "\n")
        try Data(policies.utf8).write(to: folder.appending(path: "\(name).cedar"))
        try Data(Self.json(entityList).utf8).write(to: folder.appending(path: "\(name).entities.json"))
        let requests = try requestList().map(Self.json).joined(separator: ",\n")
        try Data("[\(requests)]".utf8).write(to: folder.appending(path: "\(name).requests.json"))
    }

    private static func json(_ entities: [Entity]) -> String {
        let list = entities.map { entity in
            let parents = entity.parents.map(json).joined(separator: ",")
            return #"{"uid":\#(json(entity.uid)),"attrs":\#(json(entity.attributes)),"parents":[\#(parents)]}"#
        }
        return "[\(list.joined(separator: ",\n"))]"
    }

    private static func json(_ request: Request) -> String {
        let names = [("principal", request.principal), ("action", request.action), ("resource", request.resource)]
        let fields = names.map { #""\#($0)":\#(json($1))"# } + [#""context":\#(json(request.context.attributes))"#]
        return "{\(fields.joined(separator: ","))}"
    }

    private static func json(_ uid: EntityUID) -> String { #"{"type":"\#(uid.type)","id":"\#(uid.id)"}"# }

    private static func json(_ fields: [Text: Value]) -> String {
        "{\(fields.map { #""\#($0.key)":\#(json($0.value))"# }.joined(separator: ","))}"
    }

    /// Of the kinds of values that there are here.
    private static func json(_ value: Value) -> String {
        switch value {
        case .entity(let uid): #"{"__entity":\#(json(uid))}"#
        case .ip(let address): #"{"__extn":{"fn":"ip","arg":"\#(address)"}}"#
        default: "\(value)"
        }
    }
}
