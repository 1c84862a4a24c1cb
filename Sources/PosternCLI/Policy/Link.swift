import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy link`
    struct Link: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a policy of a template.",
            discussion: """
                With --template-linked the link is kept in that file, which the other commands read by the same flag: \
                when the template changes, so do the policies made of it.

                Example:
                  postern policy link -p templates.cedar -k links.json --template-id reader --new-id ann-reads \\
                    --arguments '{"?principal": "User::\\"ann\\""}'
                """)

        @OptionGroup var policies: PoliciesOptions

        @Option(help: ArgumentHelp("The template.", valueName: "id"))
        var templateId: String

        @Option(name: .shortAndLong, help: ArgumentHelp("What the new policy is called.", valueName: "id"))
        var newId: String

        @Option(name: .shortAndLong, help: ArgumentHelp("What the slots stand for, a JSON object.", valueName: "json"))
        var arguments: String

        func run() throws {
            let values: [Slot: EntityUID]
            do throws(JSONError) { values = try TemplateLinks.Link.values(of: JSON(parsing: arguments)) } catch {
                throw SourceText(argument: arguments, of: "--arguments").failure(error)
            }
            let link = TemplateLinks.Link(template: templateId, id: newId, values: values)
            var links = try policies.linksFile.map { path throws(CommandFailure) in
                try TemplateLinks(at: path, mayBeMissing: true)
            }
            let unlinked = try PoliciesOptions.read(policies.source, policies.policyFormat)
            _ = try link.applied(to: links?.applied(to: unlinked) ?? unlinked)
            let slots = values.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key.rawValue) -> \($0.value)" }
            Terminal.current.print(
                "Template-linked policy added: Template Instance of \(templateId), slots: [\(slots.joined(separator: ","))]"
            )
            if let path = policies.linksFile {
                links?.append(link)
                try links?.write(to: path)
            }
        }
    }
}
