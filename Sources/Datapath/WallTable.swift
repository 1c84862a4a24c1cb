internal import CPosternABI
internal import Mesh

/// The wall as a table of nftables, for kernels that take no eBPF program there (before 6.4).
///
/// Whoever may change the firewall can take it away: `nft flush ruleset` does. So it is asked for again and again
/// (`verify`), rule by rule, and put back.
struct WallTable {
    static let name = "postern"
    let pool: AddressPool

    /// Makes the whole table anew in one step.
    func raise(devices: Set<UInt32>, netns: Int32?) throws(DatapathError) {
        let elements = devices.sorted().map { "add element inet \(Self.name) mesh { \($0) }" }
        let script =
            ["add table inet \(Self.name)", "delete table inet \(Self.name)", "table inet \(Self.name) {"]
            + ["set mesh { type iface_index; }", "counter arriving { }", "counter leaving { }"] + chains + ["}"]
            + elements
        try NFTables.perform(
            script.joined(separator: "\n") + "\n", netns: netns, "put up the wall around \(pool.v4Text)")
    }

    /// Throws unless every rule stands as it was put, in its order, and no other.
    func verify(netns: Int32?) throws(DatapathError) {
        let operation = "rely on the wall"
        let arguments = ["-s", "-nn", "list", "table", "inet", Self.name]
        guard let listing = try NFTables.ask(arguments, netns: netns, operation) else {
            throw DatapathError(operation, because: "its nftables table `\(Self.name)` is gone")
        }
        let lines = listing.split(separator: "\n").map { $0.drop { $0 == "\t" || $0 == " " } }
        guard lines.drop(while: { !$0.hasPrefix("chain ") }).dropLast().elementsEqual(chains, by: { $0 == $1 }) else {
            throw DatapathError(operation, because: "its nftables table `\(Self.name)` is not as we made it")
        }
    }

    /// As `nft` lists them.
    private var chains: [String] {
        chain("arriving", hook: "prerouting", device: "iif") + chain("leaving", hook: "postrouting", device: "oif")
    }

    private func chain(_ name: String, hook: String, device: String) -> [String] {
        let ends = [
            "ip saddr \(pool.v4Text)", "ip daddr \(pool.v4Text)", "ip6 saddr \(pool.v6Text)",
            "ip6 daddr \(pool.v6Text)",
        ]
        return [
            "chain \(name) {", "type filter hook \(hook) priority -300; policy accept;",
            "\(device) \"lo\" accept", "\(device) @mesh accept",
        ] + ends.map { "\($0) counter name \"\(name)\" drop" } + ["}"]
    }

    // MARK: what needs no pool

    static func setDevices(_ devices: Set<UInt32>, netns: Int32?) throws(DatapathError) {
        let operation = "open the wall for the mesh devices"
        // Where there is no table there is nothing to open; `raise` is told the devices.
        guard try NFTables.ask(["list", "set", "inet", name, "mesh"], netns: netns, operation) != nil else { return }
        let elements = devices.sorted().map { "add element inet \(name) mesh { \($0) }" }
        try NFTables.perform(
            (["flush set inet \(name) mesh"] + elements).joined(separator: "\n") + "\n", netns: netns, operation)
    }

    static func remove(netns: Int32?) throws(DatapathError) {
        try NFTables.perform("add table inet \(name)\ndelete table inet \(name)\n", netns: netns, "take down the wall")
    }

    static func drops(netns: Int32?) throws(DatapathError) -> Count {
        let operation = "count what the wall has dropped"
        var sum = Count()
        for counter in ["arriving", "leaving"] {
            let words = try NFTables.ask(["list", "counter", "inet", name, counter], netns: netns, operation)
            let parts = (words ?? "").split { $0 == " " || $0 == "\n" || $0 == "\t" }
            sum.packets += number(behind: "packets", in: parts)
            sum.bytes += number(behind: "bytes", in: parts)
        }
        return sum
    }

    private static func number(behind word: Substring, in parts: [Substring]) -> UInt64 {
        guard let place = parts.lastIndex(of: word), parts.indices.contains(place + 1) else { return 0 }
        return UInt64(parts[place + 1]) ?? 0
    }
}
