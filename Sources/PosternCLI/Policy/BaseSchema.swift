/// The schema that every mesh has: `config/postern.cedarschema`.
enum BaseSchema {
    /// Behind the resource types of an action to which the types of rows belong as well.
    static let placeOfRows = "[Table],  // rows"

    static let text = #"""
        // The schema of a mesh: who asks, for what, to do what, and what a policy can know of it.
        //
        // This is what every mesh has. A catalogue of tables adds a namespace of its own, with one entity type for the rows of each
        // table: `postern policy schema --part FILE` prints the whole. Groups say who, tags say what; labels with a key and a value are
        // entity tags.

        // ---- who ----------------------------------------------------------------------------------------------------------

        entity Group in [Group];

        entity User in [Group] {
          email: String,
          mfa: Bool,
        } tags String;

        // An agent asks in its own name. The roles of a crew, and agents that an agent started, belong to it: "crew/writer" to "crew".
        entity Agent in [Group, Agent] {
          owner: User,
          disabled: Bool,
        } tags String;

        entity Tag in [Tag];

        entity Node in [Tag] {
          os: String,
          attestation: String,           // "join-token" | "tpm" | "cloud" | "k8s"
        } tags String;

        // One run of an agent, from its start to its end. Its tags are what was attested of it, such as "image" or "exe-sha256".
        entity Session in [Session] {
          node: Node,
          started: datetime,
          expires: datetime,
          attended: Bool,                // whether somebody sits at the terminal
          enclosure: String,             // what holds it: "netns" | "pod" | "cgroup" | "machine" | "proxy"
          user?: User,                   // for whom it runs; that person's login proved it, the agent cannot claim it
          task?: String,                 // what whoever started it wrote, for the audit: no guardrail may rest on it
          chain: Set<Agent>,             // the agents above it; the audit has their order
          depth: Long,                   // 0 where a person or a unit started it, 1 where an agent did, and so on
        } tags String;

        // ---- what ---------------------------------------------------------------------------------------------------------

        entity Service in [Tag] {
          protocol: String,              // "tcp" | "udp" | "http" | "postgres" | "mcp"
          external: Bool,
          node?: Node,
        } tags String;

        // A name on the Internet. It belongs to each of its suffixes, and all to Host::"*": "en.wikipedia.org" to "wikipedia.org".
        entity Host in [Host, Tag] {
          categories: Set<String>,
        };

        entity Database in [Service, Tag];
        entity Table in [Database, Tag] {
          rowTyped: Bool,
        };

        entity McpServer in [Service, Tag] {
          transport: String,             // "http" | "stdio"
        };
        entity Tool in [McpServer, Tag] {
          readOnly: Bool,                // as the operator confirmed; what the server says of its tools counts for nothing
          destructive: Bool,
          definition: String,            // a digest of name, description and input: a tool that changed is another one
        } tags String;
        entity McpResource in [McpServer, Tag] {
          uri: String,
        };
        entity Prompt in [McpServer, Tag];

        entity Secret in [Tag] {
          service: Service,
        };

        entity Approval {
          agent: Agent,
          action: String,
          service: Service,
          digest: String,                // of the very request
        };

        entity PolicyRevision;

        // ---- context ------------------------------------------------------------------------------------------------------
        // Records cannot be extended, so each action lists the same fields first. What has keys of any name is an entity with tags.

        entity TextMap tags String;      // headers, the query, arguments by their JSON pointer
        entity NumberMap tags Long;

        type Approved = {
          by: Set<User>,
          groups: Set<Group>,
          at: datetime,
        };

        type Flow = {
          protocol: String,
          port: Long,
          address: __cedar::ipaddr,
          public: Bool,                  // whether the dialled address is one of the Internet's
        };

        type Http = {
          method: String,
          host: String,
          path: String,                  // normalised: what was decided on is what is forwarded
          query: TextMap,
          headers: TextMap,
          size?: Long,                   // as the request says; missing where the body comes in chunks
        };

        type Mcp = {
          text: TextMap,                 // "/path", "/user/name"
          number: NumberMap,
          size: Long,
        };

        type Sql = {
          columns: Set<String>,          // those that are read or written
          labels: Set<String>,           // of these columns
          limit?: Long,
          viaFunction: Bool,
        };

        type Token = {
          action: String,
          ttl: duration,
          maxUses: Long,
          bound: Bool,
          method?: String,
          path?: String,
        };

        // ---- actions ------------------------------------------------------------------------------------------------------

        action read, write, admin;

        action connect appliesTo {
          principal: [Agent, Node],
          resource: [Service, Host],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, flow: Flow },
        };

        action http;
        action "http:GET", "http:HEAD", "http:OPTIONS" in [http, read] appliesTo {
          principal: [Agent, Node],
          resource: [Service, Host],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, flow: Flow, http: Http },
        };
        action "http:POST", "http:PUT", "http:PATCH", "http:DELETE", "http:CONNECT", "http:OTHER" in [http, write] appliesTo {
          principal: [Agent, Node],
          resource: [Service, Host],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, flow: Flow, http: Http },
        };

        action mcp;
        action "mcp:list" in [mcp, read] appliesTo {
          principal: [Agent],
          resource: [McpServer, Tool, McpResource, Prompt],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved },
        };
        action "mcp:read" in [mcp, read] appliesTo {
          principal: [Agent],
          resource: [McpResource, Prompt],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, mcp: Mcp },
        };
        action "mcp:call" in [mcp, write] appliesTo {
          principal: [Agent],
          resource: [Tool],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, mcp: Mcp },
        };

        // A row is the resource, and its type tells the columns: so the validator knows whether `resource has z` can hold. Types of rows
        // come with catalogues.
        action sql;
        action "sql:select" in [sql, read] appliesTo {
          principal: [Agent],
          resource: [Table],  // rows
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, sql: Sql },
        };
        action "sql:insert", "sql:update", "sql:delete" in [sql, write] appliesTo {
          principal: [Agent],
          resource: [Table],  // rows
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, sql: Sql },
        };
        action "sql:truncate", "sql:ddl", "sql:call", "sql:copy" in [sql, write] appliesTo {
          principal: [Agent],
          resource: [Table, Database],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, sql: Sql },
        };

        action "token:issue" appliesTo {
          principal: [Agent],
          resource: [Service, Host, Database, McpServer, Tool],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved, token: Token },
        };
        action "agent:delegate" appliesTo {
          principal: [Agent],
          resource: [Agent],
          context: { now: datetime, weekday: Long, session: Session, approval?: Approved },
        };

        // What people and pipelines do to the mesh itself: they have a login, and no session.
        action "agent:launch" appliesTo {
          principal: [User, Node],
          resource: [Agent],
          context: { now: datetime, weekday: Long, node: Node, selectors: TextMap },
        };
        action "approval:grant", "session:end", "agent:edit", "policy:apply", "secret:set", "audit:read" in [admin] appliesTo {
          principal: [User],
          resource: [Approval, Session, Agent, PolicyRevision, Secret, Service],
          context: { now: datetime, weekday: Long, mfa: Bool, source: __cedar::ipaddr },
        };

        """#
}
