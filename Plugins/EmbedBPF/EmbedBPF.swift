import Foundation
import PackagePlugin

/// Compiles the eBPF programs of a target's `BPF` folder and embeds each as Swift.
@main
struct EmbedBPF: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let folder = target.directoryURL.appending(path: "BPF")
        let headers = context.package.directoryURL.appending(path: "Sources/CPosternABI/include")
        let sources = try files(in: folder, ending: ".bpf.c")
        // A program that is measured includes the one that is carried.
        let shared = context.package.directoryURL.appending(path: "Sources/Datapath/BPF")
        let included =
            try files(in: folder, ending: ".h") + files(in: headers, ending: ".h")
            + (folder.path == shared.path ? [] : files(in: shared, ending: ""))
        let tool = try context.tool(named: "embed-bpf").url
        return sources.map { source in
            let name = source.lastPathComponent.dropLast(".bpf.c".count)
            let output = context.pluginWorkDirectoryURL.appending(path: "\(name)Object.swift")
            return .buildCommand(
                displayName: "Compiling eBPF \(source.lastPathComponent)",
                executable: tool,
                arguments: [source.path, output.path, headers.path],
                inputFiles: [source] + included,
                outputFiles: [output])
        }
    }

    private func files(in folder: URL, ending suffix: String) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.lastPathComponent.hasSuffix(suffix) }
            .sorted { $0.path < $1.path }
    }
}
