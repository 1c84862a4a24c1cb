import Cedar
import Mesh

/// Something that a policy can permit: an action of the mesh's schema, such as `connect`.
package struct MeshAction: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    /// Opening a connection to a service.
    package static let connect = MeshAction(known: "connect")
    /// Starting an agent.
    package static let launch = MeshAction(known: "agent:launch")

    /// Nil unless the schema has the action.
    package init?(rawValue: String) {
        guard MeshSchema.parents[rawValue] != nil else { return nil }
        self.rawValue = rawValue
    }

    private init(known: String) { rawValue = known }

    package var description: String { rawValue }
}

/// The entity types and actions of a mesh, as the mesh's schema has them.
enum MeshSchema {
    static let agent: EntityType = "Agent"
    static let group: EntityType = "Group"
    static let user: EntityType = "User"
    static let node: EntityType = "Node"
    static let service: EntityType = "Service"
    static let tag: EntityType = "Tag"
    static let action: EntityType = "Action"

    static let types: Set<EntityType> = [agent, group, user, node, service, tag, action]

    /// The attributes of each type, and the type of entity that each holds; nil if it holds none.
    static let attributes: [EntityType: [Text: EntityType?]] = [
        agent: ["owner": user, "disabled": nil],
        service: ["protocol": nil, "external": nil, "node": node],
    ]

    /// The attribute of the context that tells the time.
    static let clock: Text = "now"

    /// The attributes of the context of a launch: where it is, and what is known of who asks.
    static let launchNode: Text = "node"
    static let launchSelectors: Text = "selectors"
    /// The entity whose tags are what is known of who asks.
    static let selectors = EntityUID(type: "TextMap", id: "selectors")

    /// Every action, and the actions it belongs to.
    static let parents: [String: [String]] = {
        var all: [String: [String]] = [:]
        for (ids, parents) in table {
            for id in ids { all[id] = parents }
        }
        return all
    }()

    private static let table: [([String], [String])] = [
        (["read", "write", "admin", "connect", "http", "mcp", "sql"], []),
        (["http:GET", "http:HEAD", "http:OPTIONS"], ["http", "read"]),
        (["http:POST", "http:PUT", "http:PATCH", "http:DELETE", "http:CONNECT", "http:OTHER"], ["http", "write"]),
        (["mcp:list", "mcp:read"], ["mcp", "read"]),
        (["mcp:call"], ["mcp", "write"]),
        (["sql:select"], ["sql", "read"]),
        (["sql:insert", "sql:update", "sql:delete"], ["sql", "write"]),
        (["sql:truncate", "sql:ddl", "sql:call", "sql:copy"], ["sql", "write"]),
        (["token:issue", "agent:delegate", "agent:launch"], []),
        (["approval:grant", "session:end", "agent:edit", "policy:apply", "secret:set", "audit:read"], ["admin"]),
    ]

    static let actions: [Entity] = parents.map { id, parents in
        Entity(EntityUID(type: action, id: id), in: parents.map { EntityUID(type: action, id: $0) })
    }
}

extension MeshAction {
    var entity: EntityUID { EntityUID(type: MeshSchema.action, id: rawValue) }
}

extension AgentName {
    var entity: EntityUID { EntityUID(type: MeshSchema.agent, id: rawValue) }
}

extension ServiceName {
    var entity: EntityUID { EntityUID(type: MeshSchema.service, id: rawValue) }
}

extension GroupName {
    var entity: EntityUID { EntityUID(type: MeshSchema.group, id: rawValue) }
}

extension TagName {
    var entity: EntityUID { EntityUID(type: MeshSchema.tag, id: rawValue) }
}

extension UserName {
    var entity: EntityUID { EntityUID(type: MeshSchema.user, id: rawValue) }
}

extension NodeName {
    var entity: EntityUID { EntityUID(type: MeshSchema.node, id: rawValue) }
}
