/// What `Package.swift` says of the targets, read from its text in the form that this repository keeps it.
struct Manifest {
    struct Target: Equatable {
        /// The word behind the dot: `target`, `testTarget`, …
        let kind: String
        let name: String
        /// Targets by name, products by the name of their module.
        let dependencies: [String]
        let isStrict: Bool
    }

    /// In the order of the list.
    let targets: [Target]
    /// The modules of other packages.
    let products: Set<String>

    init(text: String) {
        let products = Self.products(in: text)
        self.products = Set(products.values)
        guard let list = text.firstRange(of: "\n    targets: [") else {
            targets = []
            return
        }
        targets = text[list.upperBound...].split(separator: "\n        .").compactMap { entry in
            Self.target(String(entry), products: products)
        }
    }

    /// `let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")`
    private static func products(in text: String) -> [String: String] {
        var products: [String: String] = [:]
        for match in text.matches(of: /let (\w+) = Target\.Dependency\.product\(name: "(\w+)"/) {
            products[String(match.1)] = String(match.2)
        }
        return products
    }

    private static func target(_ entry: String, products: [String: String]) -> Target? {
        guard let match = entry.firstMatch(of: /^(\w+)\(\s*name: "([\w-]+)"/) else { return nil }
        let list = entry.firstMatch(of: /dependencies: \[([^\]]*)\]/).map { String($0.1) } ?? ""
        let dependencies = list.split(separator: ",").map { item in
            item.trimming { $0.isWhitespace || $0 == "\"" }
        }.filter { !$0.isEmpty }
        return Target(
            kind: String(match.1), name: String(match.2), dependencies: dependencies.map { products[$0] ?? $0 },
            isStrict: entry.contains("swiftSettings: strict"))
    }
}

extension Substring {
    fileprivate func trimming(_ isTrimmed: (Character) -> Bool) -> String {
        String(drop(while: isTrimmed).reversed().drop(while: isTrimmed).reversed())
    }
}
