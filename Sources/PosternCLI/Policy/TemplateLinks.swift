import Cedar

/// The policies made of templates, as `link` keeps them in a file:
///
///     [{"template_id": "t", "link_id": "l", "args": {"?principal": "User::\"alice\""}}]
struct TemplateLinks {
    struct Link: Equatable {
        let template: String
        let id: String
        let values: [Slot: EntityUID]
    }

    private(set) var links: [Link] = []

    /// - Parameter mayBeMissing: whether no file means no links.
    init(at path: String, mayBeMissing: Bool = false) throws(CommandFailure) {
        if mayBeMissing, !PlainFile.exists(path) { return }
        let source = try SourceText(of: path, what: "links of templates")
        guard !source.text.isEmpty else { return }
        do throws(JSONError) {
            for link in try JSON(parsing: source.text).members("the links") { links.append(try Link(link)) }
        } catch { throw source.failure(error) }
    }

    func applied(to policies: PolicySet) throws(CommandFailure) -> PolicySet {
        var policies = policies
        for link in links { policies = try link.applied(to: policies) }
        return policies
    }

    mutating func append(_ link: Link) { links.append(link) }

    func write(to path: String) throws(CommandFailure) {
        try PlainFile.write(JSON.array(links.map(\.json)).description, to: path)
    }
}

extension TemplateLinks.Link {
    func applied(to policies: PolicySet) throws(CommandFailure) -> PolicySet {
        do { return try policies.linking(template, as: id, values) } catch { throw CommandFailure("\(error)") }
    }

    fileprivate init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("a link")
        guard case .string(let template)? = fields["template_id"], case .string(let id)? = fields["link_id"],
            let values = fields["args"]
        else { throw JSONError("a link has `template_id`, `link_id` and `args`") }
        (self.template, self.id) = (template.string, id.string)
        self.values = try Self.values(of: values)
    }

    /// `{"?principal": "User::\"alice\""}`
    static func values(of json: JSON) throws(JSONError) -> [Slot: EntityUID] {
        var values: [Slot: EntityUID] = [:]
        for (name, value) in try json.fields("the arguments of a template") {
            guard let slot = Slot(rawValue: name.string) else {
                throw JSONError("templates have `?principal` and `?resource`, not `\(name)`")
            }
            guard case .string(let text) = value else {
                throw JSONError("the value of `\(name)` is an entity in quotes")
            }
            do { values[slot] = try EntityUID(parsing: text.string) } catch {
                throw JSONError("the value of `\(name)` is no entity: \(error)")
            }
        }
        return values
    }

    private var args: JSON {
        .object(
            Dictionary(values.map { (Text($0.key.rawValue), .string(Text("\($0.value)"))) }) { first, _ in first })
    }

    fileprivate var json: JSON {
        .object(["template_id": .string(Text(template)), "link_id": .string(Text(id)), "args": args])
    }
}
