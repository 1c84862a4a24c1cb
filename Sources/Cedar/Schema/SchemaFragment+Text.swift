/// Why a schema cannot be written in the Cedar schema format.
public enum SchemaTextError: Error, Equatable, CustomStringConvertible {
    /// A name is that of a common type and of an entity type, and the format cannot say which is meant.
    case nameCollision(String)
    /// The attributes of an entity type are a named type.
    case shapeNotRecord(String)

    public var description: String {
        switch self {
        case .nameCollision(let name):
            "cannot write the schema as text: `\(name)` is a common type and an entity type"
        case .shapeNotRecord(let name):
            "cannot write the schema as text: the attributes of `\(name)` are not written as a record"
        }
    }
}

extension SchemaFragment {
    /// The schema in the Cedar schema format, as the reference prints it: declarations in the order of their names.
    public var text: String {
        get throws(SchemaTextError) {
            try refuseWhatTextCannotSay()
            var writer = SchemaWriter()
            for (number, name) in namespaces.keys.sorted().enumerated() {
                guard let namespace = namespaces[name] else { continue }
                if number > 0 { writer.text += "\n" }
                if name.isEmpty {
                    writer.write(namespace, indent: 0)
                } else {
                    writer.write(namespace.annotations, indent: 0)
                    writer.text += "namespace \(name) {\n"
                    writer.write(namespace, indent: 2)
                    writer.text += "}\n"
                }
            }
            return writer.text
        }
    }

    private func refuseWhatTextCannotSay() throws(SchemaTextError) {
        for (name, namespace) in namespaces.sorted(by: { $0.key < $1.key }) {
            let both = Set(namespace.entityTypes.keys).intersection(namespace.commonTypes.keys)
            if !name.isEmpty, let collision = both.min() { throw .nameCollision(SchemaNames.join(name, collision)) }
            for (type, declaration) in namespace.entityTypes.sorted(by: { $0.key < $1.key }) {
                guard case .standard(_, let shape, _) = declaration.kind else { continue }
                guard case .record = shape else { throw .shapeNotRecord(SchemaNames.join(name, type)) }
            }
        }
    }
}

private struct SchemaWriter {
    var text = ""

    mutating func write(_ namespace: SchemaNamespace, indent: Int) {
        var isFirst = true
        func begin(_ annotations: [SchemaAnnotation], _ writer: inout SchemaWriter) {
            if !isFirst { writer.text += "\n" }
            isFirst = false
            writer.write(annotations, indent: indent)
            writer.pad(indent)
        }
        for (name, type) in namespace.commonTypes.sorted(by: { $0.key < $1.key }) {
            begin(type.annotations, &self)
            text += "type \(name) = "
            write(type.type, indent: indent)
            text += ";\n"
        }
        for (name, type) in namespace.entityTypes.sorted(by: { $0.key < $1.key }) {
            begin(type.annotations, &self)
            text += "entity \(name)"
            write(type.kind, indent: indent)
            text += ";\n"
        }
        for (name, action) in namespace.actions.sorted(by: { $0.key < $1.key }) {
            begin(action.annotations, &self)
            text += "action \(Self.quoted(name))"
            write(action, indent: indent)
            text += ";\n"
        }
    }

    mutating func write(_ annotations: [SchemaAnnotation], indent: Int) {
        for annotation in annotations {
            pad(indent)
            text += "@\(annotation.key)" + (annotation.value.map { "(\(Self.quoted($0)))" } ?? "") + "\n"
        }
    }

    private mutating func pad(_ count: Int) { text += String(repeating: " ", count: count) }

    private mutating func write(_ kind: EntityTypeDeclaration.Kind, indent: Int) {
        switch kind {
        case .enumerated(let ids): text += " enum [\(ids.map(Self.quoted).joined(separator: ", "))]"
        case .standard(let parents, let shape, let tags):
            if !parents.isEmpty { text += " in [\(parents.joined(separator: ", "))]" }
            if shape != .empty {
                text += " = "
                write(shape, indent: indent)
            }
            if let tags {
                text += " tags "
                write(tags, indent: 0)
            }
        }
    }

    private mutating func write(_ action: ActionDeclaration, indent: Int) {
        if let groups = action.groups, !groups.isEmpty {
            let names = groups.map { ($0.type.map { "\($0)::" } ?? "") + Self.quoted($0.id) }
            text += " in [\(names.joined(separator: ", "))]"
        }
        guard let application = action.application, !application.principals.isEmpty, !application.resources.isEmpty
        else { return }
        let inner = String(repeating: " ", count: indent + 2)
        text += " appliesTo {\n\(inner)principal: [\(application.principals.joined(separator: ", "))],"
        text += "\n\(inner)resource: [\(application.resources.joined(separator: ", "))],\n\(inner)context: "
        if application.context == .empty { text += "{}" } else { write(application.context, indent: indent + 2) }
        text += "\n"
        pad(indent)
        text += "}"
    }

    private mutating func write(_ type: SchemaType, indent: Int) {
        switch type {
        case .bool: text += "__cedar::Bool"
        case .long: text += "__cedar::Long"
        case .string: text += "__cedar::String"
        case .ext(let name): text += "__cedar::\(name)"
        case .entity(let name), .common(let name), .named(let name): text += name
        case .set(let element):
            text += "Set<"
            write(element, indent: indent)
            text += ">"
        case .record(let attributes, _): write(attributes, indent: indent)
        }
    }

    private mutating func write(_ attributes: [Text: SchemaAttribute], indent: Int) {
        text += "{"
        let sorted = attributes.sorted { $0.key < $1.key }
        for (number, (name, attribute)) in sorted.enumerated() {
            if number == 0 { text += "\n" }
            write(attribute.annotations, indent: indent + 2)
            pad(indent + 2)
            text +=
                (RecordKey.isPlain(name) ? name.string : Self.quoted(name)) + (attribute.isRequired ? "" : "?") + ": "
            write(attribute.type, indent: indent + 2)
            text += number < sorted.count - 1 ? ",\n" : "\n"
        }
        pad(indent)
        text += "}"
    }

    /// As the reference prints strings: single quotes are escaped too, and a mark that would join the quote before it.
    private static func quoted(_ text: Text) -> String {
        var quoted = "\""
        for (number, scalar) in text.string.unicodeScalars.enumerated() {
            if scalar == "'" {
                quoted += "\\'"
            } else if number == 0, scalar.properties.isGraphemeExtend {
                quoted += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                quoted += StringLiteral.body(String(scalar))
            }
        }
        return quoted + "\""
    }
}
