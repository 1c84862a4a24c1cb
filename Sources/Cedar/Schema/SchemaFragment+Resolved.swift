extension SchemaFragment {
    /// The same schema with each name in full, and said to be of a common type or of an entity type.
    public func resolvingNames() throws(SchemaError) -> SchemaFragment {
        // Whoever resolves every name refuses those that nobody declares.
        _ = try Schema(self)
        var resolved = self
        for (name, namespace) in namespaces {
            let names = NameLookup(fragment: self, namespace: name)
            var changed = namespace
            changed.commonTypes = namespace.commonTypes.mapValues {
                CommonTypeDeclaration(annotations: $0.annotations, type: names.resolve($0.type))
            }
            changed.entityTypes = namespace.entityTypes.mapValues(names.resolve)
            changed.actions = namespace.actions.mapValues(names.resolve)
            resolved.namespaces[name] = changed
        }
        return resolved
    }
}

/// What the names in one namespace of a sound schema mean.
private struct NameLookup {
    let fragment: SchemaFragment
    let namespace: String

    func resolve(_ declaration: EntityTypeDeclaration) -> EntityTypeDeclaration {
        guard case .standard(let parents, let shape, let tags) = declaration.kind else { return declaration }
        return EntityTypeDeclaration(
            annotations: declaration.annotations,
            kind: .standard(parents: parents.map(entityType), shape: resolve(shape), tags: tags.map(resolve)))
    }

    func resolve(_ declaration: ActionDeclaration) -> ActionDeclaration {
        ActionDeclaration(
            annotations: declaration.annotations,
            groups: declaration.groups?.map { group in .init(type: actionType(of: group), id: group.id) },
            application: declaration.application.map {
                .init(
                    principals: $0.principals.map(entityType), resources: $0.resources.map(entityType),
                    context: resolve($0.context))
            },
            hasAttributes: declaration.hasAttributes)
    }

    func resolve(_ type: SchemaType) -> SchemaType {
        switch type {
        case .bool, .long, .string, .ext: type
        case .set(let element): .set(resolve(element))
        case .record(let attributes, let open):
            .record(
                attributes.mapValues {
                    SchemaAttribute(annotations: $0.annotations, type: resolve($0.type), isRequired: $0.isRequired)
                }, open: open)
        case .entity(let name): .entity(entityType(name))
        case .common(let name): meaning(of: name) { _ in nil } ?? type
        case .named(let name):
            meaning(of: name) { declares($0, in: \.entityTypes) ? .entity($0) : nil } ?? type
        }
    }

    /// Common types come before entity types, and what is near before what is far.
    private func meaning(of name: String, orElse other: (String) -> SchemaType?) -> SchemaType? {
        for candidate in candidates(name) {
            if declares(candidate, in: \.commonTypes) { return .common(candidate) }
            if let builtin = builtin(candidate) { return builtin }
            if let type = other(candidate) { return type }
        }
        return nil
    }

    private func builtin(_ name: String) -> SchemaType? {
        let plain = name.hasPrefix("__cedar::") ? String(name.dropFirst("__cedar::".count)) : name
        guard plain != name || !declares(name, in: \.entityTypes) else { return nil }
        return switch plain {
        case "Bool": .bool
        case "Long": .long
        case "String": .string
        default: ExtensionType(rawValue: plain).map { .ext($0.rawValue) }
        }
    }

    private func entityType(_ name: String) -> String {
        candidates(name).first { declares($0, in: \.entityTypes) } ?? name
    }

    private func actionType(of group: ActionDeclaration.Group) -> String? {
        candidates(group.type ?? "Action").first { candidate in
            let home = String(candidate.dropLast(candidate.hasSuffix("::Action") ? "::Action".count : "Action".count))
            return fragment.namespaces[home]?.actions[group.id] != nil
        } ?? group.type
    }

    private func candidates(_ name: String) -> [String] {
        name.contains("::") || namespace.isEmpty ? [name] : ["\(namespace)::\(name)", name]
    }

    private func declares<Declaration>(
        _ name: String, in declarations: KeyPath<SchemaNamespace, [String: Declaration]>
    ) -> Bool {
        let parts = name.split(separator: "::", omittingEmptySubsequences: false)
        let home = parts.dropLast().joined(separator: "::")
        return fragment.namespaces[home]?[keyPath: declarations][String(parts.last ?? "")] != nil
    }
}
