/// What of a caller's environment an agent may see: an allow-list, because secrets travel in the rest.
package enum EnvironmentFilter {
    private static let names: Set<String> = [
        "PATH", "LANG", "LANGUAGE", "TERM", "COLORTERM", "NO_COLOR", "TZ", "USER", "LOGNAME", "SHELL",
    ]
    private static let defaultPath = "/usr/local/bin:/usr/bin:/bin"

    /// The allowed variables, `HOME` as the enclosure's empty home, and a `PATH` in any case.
    package static func allowed(_ environment: [String: String]) -> [String: String] {
        var kept = environment.filter { names.contains($0.key) || $0.key.hasPrefix("LC_") }
        kept["HOME"] = EnclosureSpecification.home
        kept["PATH"] = kept["PATH"] ?? defaultPath
        return kept
    }
}
