internal import CMnl
internal import Glibc
internal import Mesh
internal import Synchronization

/// WireGuard in the kernel: links by routing netlink, their keys and peers by generic netlink.
///
/// Generic netlink reaches only the devices of its socket's own namespace, so the backend keeps, for each device, a
/// descriptor of the namespace where it is. That a device was made stands in a file `NAME.link`, written before
/// the device is, so that whoever starts with the same directory knows of it.
package final class KernelBackend: WireGuardBackend {
    package let kind = BackendKind.kernel
    /// A link goes when somebody deletes it, or with its namespace, of which we hold a descriptor.
    package var endings: DeviceEndings? { nil }
    private let directory: String
    private let places = Mutex<[DeviceName: Place]>([:])

    /// A network namespace where a device is.
    private final class Place: Sendable {
        let namespace: NetworkNamespace
        init(_ namespace: consuming NetworkNamespace) { self.namespace = namespace }
    }

    /// As the kernel names it.
    static let linkKind = "wireguard"

    /// The directory must exist, and be ours alone.
    package init(directory: String) { self.directory = directory }

    private func recordPath(of device: DeviceName) -> String { "\(directory)/\(device).link" }
}

// MARK: - Links

extension KernelBackend {
    package func create(_ device: DeviceName, mtu: Int) throws(WireGuardError) {
        guard try !exists(device) else { throw WireGuardError(.create, device, .exists) }
        do throws(SystemError) { try writeFile(recordPath(of: device), "") } catch {
            throw WireGuardError(.create, device, .system(error.errno))
        }
        try during(.create, device) { () throws(LinkError) in
            let here = try NetworkNamespace.current()
            try Links().create(device, kind: Self.linkKind, mtu: mtu)
            remember(device, at: Place(here))
        }
    }

    package func move(_ device: DeviceName, to namespace: borrowing NetworkNamespace) throws(WireGuardError) {
        do throws(LinkError) {
            let target = Place(try namespace.duplicate())
            try Links().move(device, to: namespace)
            remember(device, at: target)
        } catch {
            throw WireGuardError(.move, device, .link(error))
        }
    }

    package func adopt(_ device: DeviceName, in namespace: borrowing NetworkNamespace) throws(WireGuardError) {
        do throws(LinkError) {
            remember(device, at: Place(try namespace.duplicate()))
        } catch {
            throw WireGuardError(.find, device, .link(error))
        }
    }

    package func delete(_ device: DeviceName) throws(WireGuardError) {
        switch try during(.delete, device, { () throws(LinkError) in try deleteLink(device) }) {
        case nil, Self.linkKind: break
        default: throw WireGuardError(.delete, device, .notOurs)
        }
        guard unsafe unlink(recordPath(of: device)) == 0 || errno == ENOENT else {
            throw WireGuardError(.delete, device, .system(errno))
        }
        places.withLock { $0[device] = nil }
    }

    /// Says what had the name; another kind of interface stays.
    private func deleteLink(_ device: DeviceName) throws(LinkError) -> String? {
        try locate(device)
        let links = try links(around: device)
        let kind = try links.kind(of: device)
        if kind == Self.linkKind { try links.delete(device) }
        return kind
    }

    package func exists(_ device: DeviceName) throws(WireGuardError) -> Bool {
        try during(.find, device) { () throws(LinkError) in try locate(device) }
    }

    package func devices() throws(WireGuardError) -> Set<DeviceName> {
        do throws(SystemError) {
            let records = try fileNames(in: directory).filter { $0.hasSuffix(".link") }
            return Set(records.compactMap { DeviceName(String($0.dropLast(5))) })
        } catch {
            throw WireGuardError(.list, nil, .system(error.errno))
        }
    }
}

// MARK: - Keys and peers

extension KernelBackend {
    package func state(of device: DeviceName) throws(WireGuardError) -> DeviceState {
        let dump = try converse(with: device, .read) { (netlink, family) throws(NetlinkSocket.Failure) in
            try netlink.dump { stateRequest(device, family: family) }
        }
        do throws(MalformedReply) {
            return try DeviceState(dump: dump)
        } catch {
            throw WireGuardError(.read, device, .malformed(error))
        }
    }

    package func apply(_ changes: DeviceChanges, to device: DeviceName) throws(WireGuardError) {
        try converse(with: device, .change) { (netlink, family) throws(NetlinkSocket.Failure) in
            for order in changes.orders() { try netlink.ask(order.request(device, family: family)) }
        }
    }

    /// A device is where it was last, unless somebody moved it: looking first would cost each change a question more.
    private func converse<Answer>(
        with device: DeviceName, _ operation: WireGuardError.Operation,
        _ body: (borrowing NetlinkSocket, UInt16) throws(NetlinkSocket.Failure) -> Answer
    ) throws(WireGuardError) -> Answer {
        var isKnown = place(of: device) != nil
        while true {
            let netlink = try during(operation, device) { () throws(LinkError) in
                if !isKnown { try locate(device) }
                return try openGeneric(around: device)
            }
            do throws(NetlinkSocket.Failure) {
                return try body(netlink, try netlink.wireGuardFamily())
            } catch {
                // Nothing is there, or a device of another kind.
                guard isKnown, error.errno == ENODEV || error.errno == EOPNOTSUPP else {
                    throw WireGuardError(operation, device, .refused(error.errno))
                }
                isKnown = false
            }
        }
    }
}

// MARK: - Places

extension KernelBackend {
    private func remember(_ device: DeviceName, at place: Place) { places.withLock { $0[device] = place } }

    private func place(of device: DeviceName) -> Place? { places.withLock { $0[device] } }

    /// Whether the device is where it is known to be, or in the calling thread's namespace: there it is if it was made
    /// and not moved, or in an earlier run.
    @discardableResult
    private func locate(_ device: DeviceName) throws(LinkError) -> Bool {
        if place(of: device) != nil, try links(around: device).kind(of: device) == Self.linkKind { return true }
        guard try Links().kind(of: device) == Self.linkKind else { return false }
        remember(device, at: Place(try .current()))
        return true
    }

    private func links(around device: DeviceName) throws(LinkError) -> Links {
        guard let place = place(of: device) else { return try Links() }
        return try Links(in: place.namespace)
    }

    private func openGeneric(around device: DeviceName) throws(LinkError) -> NetlinkSocket {
        guard let place = place(of: device) else { return try NetlinkSocket(generic: ()) }
        return NetlinkSocket(
            owning: try place.namespace.socket(
                domain: AF_NETLINK, type: Int32(SOCK_RAW.rawValue), protocol: NETLINK_GENERIC))
    }

    private func during<Result: ~Copyable>(
        _ operation: WireGuardError.Operation, _ device: DeviceName, _ body: () throws(LinkError) -> Result
    ) throws(WireGuardError) -> Result {
        do throws(LinkError) {
            return try body()
        } catch {
            throw WireGuardError(operation, device, .link(error))
        }
    }
}

extension NetlinkSocket {
    /// A socket of generic netlink in the calling thread's namespace.
    init(generic: Void) throws(LinkError) {
        let opened = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_GENERIC)
        guard opened >= 0 else { throw LinkError(.open, "a netlink socket", errno: errno) }
        self.init(owning: opened)
    }

    /// The number of WireGuard's family; the module gets another one each time it is loaded.
    borrowing func wireGuardFamily() throws(Failure) -> UInt16 {
        let request = NetlinkRequest(Int(GENL_ID_CTRL), flags: NLM_F_ACK)
        request.put(genlmsghdr(cmd: UInt8(CTRL_CMD_GETFAMILY), version: 1, reserved: 0))
        request.put(Int(CTRL_ATTR_FAMILY_NAME), WG_GENL_NAME)
        for message in try ask(request) {
            for (type, value) in message.attributeList(after: genlmsghdr.self) where type == CTRL_ATTR_FAMILY_ID {
                if let family = hostOrder(value, as: UInt16.self) { return family }
            }
        }
        throw Failure(errno: ENOENT)
    }
}
