import Glibc

/// What stands in a directory that its owner's programs run by themselves, so that who can change it can speak
/// through them later: a person who lets an agent work there should know.
enum LaterRun {
    private static let names = [
        ".git/hooks", ".git/config", ".envrc", ".vscode", ".idea", ".husky", ".pre-commit-config.yaml", ".bashrc",
        ".profile", "Makefile", "justfile", "package.json", "conftest.py", "setup.py", "pyproject.toml", "Cargo.toml",
        "build.gradle", "Package.swift", "CMakeLists.txt", "node_modules", ".venv", "venv",
    ]

    /// A sentence with the names of what is there; nil when nothing is.
    static func warning(in directory: String) -> String? {
        let found = names.filter { unsafe access("\(directory)/\($0)", F_OK) == 0 }
        guard !found.isEmpty else { return nil }
        return "the command may change what you run later: "
            + found.map { "`\($0)`" }.joined(separator: ", ")
    }
}
