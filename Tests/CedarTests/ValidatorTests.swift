import Testing

@testable import Cedar

@Suite struct ValidatorTests {
    private static let schema = """
        entity Group in [Group];
        entity User in [Group] = { name: String, age?: Long, boss?: User, prefs: { dark?: Bool, size: Long }, ip?: ipaddr } tags String;
        entity Robot in [Group] = { name: String, age: Long };
        entity Doc = { owner: User, readers: Set<User>, kind: Kind, made: datetime };
        entity Kind enum ["a", "b"];
        action read, write in [all] appliesTo { principal: [User, Robot], resource: Doc, context: { mfa: Bool, now?: datetime } };
        action all;
        action join appliesTo { principal: User, resource: Group };
        """

    private static func errors(_ policy: String, _ mode: ValidationMode = .strict) throws -> [ValidationError] {
        try result(policy, mode).errors
    }

    private static func result(_ policy: String, _ mode: ValidationMode = .strict) throws -> ValidationResult {
        let policies = try PolicySet(parsing: policy, naming: .place, allowingTemplates: true)
        return try Validator(schema: Schema(parsing: schema), mode: mode).validate(policies)
    }

    private static func condition(_ text: String) -> String {
        #"permit(principal is User, action == Action::"read", resource) when { \#(text) };"#
    }

    @Test(arguments: [
        "principal.name == \"a\"", "principal has age && principal.age > 3", "principal.prefs.size > 1",
        "principal.prefs has dark && principal.prefs.dark", "principal has boss.age && principal.boss.age == 1",
        "principal has boss && principal.boss has age && principal.boss.age == 1", "context.mfa",
        "principal in Group::\"x\"",
        "context has now && context.now > resource.made", "resource.kind == Kind::\"a\"",
        "resource.readers.contains(principal)",
        "principal.hasTag(\"t\") && principal.getTag(\"t\") == \"x\"", "!(principal has age && principal.age <= 3)",
        "if principal has age then principal.age > 3 else true",
        "principal has ip && principal.ip.isInRange(ip(\"10.0.0.0/8\"))",
        "principal is Robot && principal.nothing", "false && 1 == \"a\"", "true || 1 == \"a\"", "[1, 2].contains(3)",
        "{a: 1}.a == 1", "action in Action::\"all\"", "action == Action::\"write\" && 1.nothing",
        "principal.name like \"*\" && [principal].containsAny(resource.readers)", "resource.readers.isEmpty()",
        "(principal has age && principal.age == 1) || (principal has boss && principal.boss.name == \"\")",
        "principal != resource.owner", "principal == Robot::\"x\"", "decimal(\"1.5\").lessThan(decimal(\"2.0\"))",
        "resource.made.toDate() == datetime(\"2024-01-01\")", "principal has nothing && principal.nothing",
        "(if true then principal.name else 1) == \"a\"", "[principal, resource.owner] == resource.readers",
        "action has foo && action.foo == 1", "principal in resource.readers",
        "principal in [Group::\"a\", Group::\"b\"]",
    ])
    func `is valid`(condition: String) throws {
        let result = try Self.result(Self.condition(condition))
        #expect(result.errors.isEmpty, "\(result.errors)")
    }

    @Test(arguments: [
        ("principal.nam == \"a\"", "User has no attribute `nam`; did you mean `name`?"),
        ("principal.age > 3", "the attribute `age` of User may be missing: ask for it with `has` first"),
        (
            "principal has age || principal.age > 3",
            "the attribute `age` of User may be missing: ask for it with `has` first"
        ),
        ("principal.boss.name == \"\"", "the attribute `boss` of User may be missing: ask for it with `has` first"),
        (
            "!(principal has age) || principal.age > 3",
            "the attribute `age` of User may be missing: ask for it with `has` first"
        ),
        ("principal.name == 1", "both sides of `==` have types that do not go together: String and Long"),
        ("principal.name > 1", "expected Long, found String"),
        ("principal.name + 1 == 2", "expected Long, found String"),
        ("principal.name", "expected Bool, found String"), ("1 && true", "expected Bool, found Long"),
        ("[].isEmpty()", "the type of an empty set is not known"),
        ("[1, true] == [1]", "the members of a set have types that do not go together: Long and Bool (always true)"),
        ("ip(principal.name).isIpv4()", "`ip` takes a string in quotes only"),
        ("ip(\"x\").isIpv4()", "`ip`: \"x\" is no IP address or range, such as \"10.0.0.0/8\""),
        ("decimal(\"1.0\").lessThan()", "`lessThan` takes 2 arguments with the value it is called on, not 1"),
        ("principal is Robo", "the schema has no entity type `Robo`"),
        ("principal == Nobody::\"x\"", "the schema has no entity type `Nobody`"),
        ("action == Action::\"fly\"", "the schema has no action `Action::\"fly\"`"),
        ("resource.kind == Kind::\"c\"", "there is no `Kind::\"c\"`, only \"a\", \"b\""),
        ("principal.getTag(\"t\") == \"x\"", "this tag of User may be missing: ask for it with `hasTag` first"),
        ("principal.hasTag(1)", "expected String, found Long"),
        (
            "context.now > resource.made",
            "the attribute `now` of {mfa: Bool, now?: datetime} may be missing: ask for it with `has` first"
        ),
        (
            "(if context.mfa then 1 else \"a\") == 1",
            "the branches of an `if` have types that do not go together: Long and String"
        ),
        (
            "resource.readers.contains(resource)",
            "a set and what it may contain have types that do not go together: User and Doc, which are different entity types"
        ),
        (
            "principal.prefs == {size: 1}",
            "both sides of `==` have types that do not go together: {dark?: Bool, size: Long} and {size: Long}, of which one has attributes that the other has not"
        ),
        ("principal has boss.nam.x", "expected any entity or a record, found String"),
    ])
    func `is invalid, and it says why`(condition: String, message: String) throws {
        let errors = try Self.errors(Self.condition(condition))
        if condition == "principal has boss.nam.x" {
            // There is no such attribute, so that what stands behind it is never asked for.
            #expect(errors.isEmpty)
        } else {
            #expect(errors.map { "\($0.kind)" } == [message])
        }
    }

    @Test func `a scope must fit an action`() throws {
        #expect(try Self.errors(#"permit(principal is Doc, action, resource);"#).count == 1)
        #expect(try Self.errors(#"permit(principal == Robot::"r", action == Action::"join", resource);"#).count == 1)
        #expect(try Self.errors(#"permit(principal in Group::"g", action in Action::"all", resource);"#).isEmpty)
        #expect(try Self.errors(#"permit(principal, action == Action::"all", resource);"#).count == 1)
        let hint = try Self.errors(#"permit(principal == Group::"g", action == Action::"join", resource);"#)
        #expect(hint.map(\.kind) == [.invalidActionApplication(inWouldFixPrincipal: true, inWouldFixResource: false)])
    }

    @Test func `what can never apply is warned of`() throws {
        let result = try Self.result(Self.condition("principal is Robot"))
        #expect(result.isValid && result.warnings.map(\.kind) == [.impossiblePolicy])
        #expect(try Self.result(Self.condition("context.mfa")).warnings.isEmpty)
    }

    @Test func `permissively, what cannot fail is valid`() throws {
        for condition in ["principal.name == 1", "[] == []", "[{a: 1}, {b: 1}] == []", "ip(principal.name).isIpv4()"] {
            #expect(try Self.errors(Self.condition(condition), .permissive).isEmpty)
            #expect(try !Self.errors(Self.condition(condition), .strict).isEmpty)
        }
        for condition in ["principal.age > 3", "principal.name + 1 == 2", "ip(\"x\").isIpv4()"] {
            #expect(try !Self.errors(Self.condition(condition), .permissive).isEmpty)
        }
        let mixed =
            #"(if context.mfa then principal else resource.owner).name == "a" && (if context.mfa then principal else resource) has name"#
        #expect(
            try Self.errors("permit(principal, action == Action::\"read\", resource) when { \(mixed) };", .permissive)
                .isEmpty)
    }

    @Test func `strings that may deceive are warned of`() throws {
        #expect(
            try Self.result(Self.condition("principal.name == \"say_\u{4BB}ello\"")).warnings.map(\.kind)
                == [.mixedScriptString("say_\u{4BB}ello")])
        #expect(
            try Self.result(Self.condition("principal.name == \"a\u{202E}b\"")).warnings.map(\.kind)
                == [.bidirectionalString("a\u{202E}b")])
        #expect(
            try Self.result(Self.condition("principal == User::\"is\u{200B}Admin\"")).warnings.map(\.kind)
                == [.confusableIdentifier("is\u{200B}Admin", "\u{200B}")])
        #expect(try Self.result(Self.condition("principal.name == \"日本のカナ\"")).warnings.isEmpty)
    }

    @Test func `a template is checked for whatever may fill it, and a link for what does`() throws {
        let text =
            #"permit(principal in ?principal, action == Action::"read", resource == ?resource) when { principal.name == "a" };"#
        let policies = try PolicySet(parsing: text, allowingTemplates: true)
        let validator = try Validator(schema: Schema(parsing: Self.schema))
        #expect(validator.validate(policies).isValid)
        let good = try policies.linking(
            "policy0", as: "l",
            [.principal: EntityUID(type: "Group", id: "g"), .resource: EntityUID(type: "Doc", id: "d")])
        #expect(validator.validate(good).isValid)
        let wrong = try policies.linking(
            "policy0", as: "l",
            [.principal: EntityUID(type: "Group", id: "g"), .resource: EntityUID(type: "Group", id: "d")])
        #expect(validator.validate(wrong).errors.map(\.policy) == ["l"])
        let unknown = try policies.linking(
            "policy0", as: "l",
            [.principal: EntityUID(type: "Nobody", id: "g"), .resource: EntityUID(type: "Doc", id: "d")])
        #expect(validator.validate(unknown).errors.contains { $0.kind == .unrecognizedEntityType("Nobody") })
    }

    @Test(arguments: [
        ("true", 0), ("context.mfa", 0), ("principal.name == \"a\"", 1), ("resource.owner.name == \"a\"", 2),
        ("resource.owner has boss && resource.owner.boss.prefs.size == 1", 3), ("principal in resource.readers", 1),
        ("{a: principal}.a.name == \"a\"", 1), ("(if context.mfa then principal else resource.owner).name == \"a\"", 2),
        ("resource.owner.hasTag(\"t\") && resource.owner.getTag(\"t\") == \"x\"", 2),
    ])
    func `a policy looks as far as its level`(condition: String, level: Int) throws {
        let policies = try PolicySet(
            parsing: #"permit(principal is User, action == Action::"read", resource) when { \#(condition) };"#)
        let validator = try Validator(schema: Schema(parsing: Self.schema))
        #expect(validator.validate(policies, level: level).isValid)
        if level > 0 {
            let errors = validator.validate(policies, level: level - 1).errors
            #expect(
                errors.contains(where: { if case .levelExceeded(level - 1, level) = $0.kind { true } else { false } }))
        }
    }

    @Test func `an entity that a policy names cannot be looked at by level`() throws {
        let policies = try PolicySet(parsing: Self.condition("User::\"a\".name == \"a\""))
        let validator = try Validator(schema: Schema(parsing: Self.schema))
        #expect(validator.validate(policies).isValid)
        #expect(validator.validate(policies, level: 9).errors.map(\.kind) == [.literalDereference])
    }
}
