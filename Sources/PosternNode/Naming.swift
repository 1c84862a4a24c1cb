import Foundation
import Logging
import Mesh
import WireGuard

// Names of the mesh for the programs of this machine: a server at a loopback address, and systemd-resolved
// told of it where it runs. Sessions have their names in /etc/hosts, and cannot reach the server.

extension Node {
    func setNamesProblem(_ problem: String?) {
        if let problem, problem != namesProblem { log.warning("\(problem)") }
        namesProblem = problem
    }

    fileprivate func setResolverProblem(_ problem: String?) {
        if let problem, problem != resolverProblem { log.warning("\(problem)") }
        resolverProblem = problem
    }

    /// The index of the device that systemd-resolved is told about; nil while there is none, or no server.
    fileprivate func resolvableDevice() -> Int32? {
        namesProblem == nil ? try? Links().index(of: local.device) : nil
    }
}

extension NodeService {
    func answerForNames() async {
        while !Task.isCancelled {
            do {
                let socket = try NameServer.open()
                await node.setNamesProblem(nil)
                try await node.names.serve(socket)
            } catch {
                await node.setNamesProblem("\(error)")
                try? await Task.sleep(for: .seconds(30))
            }
        }
    }

    /// A device that was made anew has lost what was told of it.
    func keepResolver() async {
        let resolver = Resolver()
        var told: Int32?
        while !Task.isCancelled {
            if let index = await node.resolvableDevice(), index != told, resolver.isThere {
                let problem = await resolver.tell(device: node.device, mesh: node.mesh)
                await node.setResolverProblem(problem)
                if problem == nil { told = index }
            }
            try? await Task.sleep(for: .seconds(5))
        }
    }
}

extension Node {
    fileprivate var device: String { local.device.rawValue }
    fileprivate var mesh: MeshDomain { membership.mesh }
}

extension Resolver {
    /// The same without blocking the caller's thread.
    fileprivate func tell(device: String, mesh: MeshDomain) async -> String? {
        await withCheckedContinuation { continuation in
            let thread = Thread {
                // What it starts has no more precedence than it has.
                Precedence.giveUp()
                continuation.resume(returning: tell(device: device, server: NameServer.address, mesh: mesh))
            }
            thread.name = "postern-resolver"
            thread.start()
        }
    }
}
