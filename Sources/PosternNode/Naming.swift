import Foundation
import Logging
import Mesh
import WireGuard

// Names of the mesh for the programs of this machine: a server at the node's own mesh address, and systemd-resolved
// told of it where it runs. Sessions have their names in /etc/hosts, and cannot reach the server.

extension Node {
    /// This node's address, once the map says it.
    var ownAddress: IPv4Address? { map?.nodes[local.name].map { membership.pool.ipv4(at: $0.offset) } }

    func setNamesProblem(_ problem: String?) {
        if let problem, problem != namesProblem { log.warning("\(problem)") }
        namesProblem = problem
    }

    /// What systemd-resolved has to know, and the index of the device that it is about; nil while the mesh is down.
    fileprivate func resolverFacts() -> (index: Int32, server: IPv4Address)? {
        guard let server = ownAddress, namesProblem == nil, let index = try? Links().index(of: local.device) else {
            return nil
        }
        return (index, server)
    }
}

extension NodeService {
    func answerForNames() async {
        while !Task.isCancelled {
            guard let address = await node.ownAddress else {
                try? await Task.sleep(for: .seconds(1))
                continue
            }
            do {
                let socket = try NameServer.open(at: address)
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
            if let facts = await node.resolverFacts(), facts.index != told, resolver.isThere {
                let problem = await resolver.tell(device: node.device, server: facts.server, mesh: node.mesh)
                if let problem { await node.setNamesProblem(problem) } else { told = facts.index }
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
    fileprivate func tell(device: String, server: IPv4Address, mesh: MeshDomain) async -> String? {
        await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: tell(device: device, server: server, mesh: mesh)) }
            thread.name = "postern-resolver"
            thread.start()
        }
    }
}
