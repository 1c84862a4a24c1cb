package import Datapath
package import Mesh
package import WireGuard

/// One thing to do to the machine, small enough that it is done or not done.
///
/// Wherever a run of steps breaks off, what packets may do is at most what they might before or may afterwards.
package enum Step: Equatable, Sendable {
    /// The tables lose what the plan does not hold: access ends here.
    case tighten(TableChanges)
    /// The device goes, and what was attached to it.
    case delete(DeviceName)
    /// The device is made anew: down, without addresses, in the daemon's own namespace.
    case create(DeviceName)
    /// A device that is down goes to its session's namespace.
    case move(DeviceName, to: SessionID)
    /// The classifier takes the first place in both chains of the device.
    case attach(DeviceName, DeviceIdentity)
    /// The kernel says that it has it.
    case verify(DeviceName)
    /// The session's calls are answered at once where the classifier would be silent.
    case hook(DeviceName, DeviceIdentity)
    /// WireGuard forgets peers and prefixes.
    case narrow(DeviceName, DeviceChanges.Tightening)
    /// WireGuard learns the device's own key, peers and prefixes.
    case extend(DeviceName, DeviceChanges.Loosening)
    /// WireGuard says that each address is with the key that the plan gives it to, but for peers that go later.
    case readBack(DeviceName, later: Set<WireGuardPublicKey>)
    /// No link-local address: the kernel would ask for routers through it, and every packet would count as a denial.
    case quiet(DeviceName)
    /// The wall stands around the pool.
    case raiseWall(AddressPool)
    /// The wall lets the pool pass on this device.
    case admit(DeviceName)
    case address(DeviceName, IPAddress)
    case up(DeviceName)
    case route(DeviceName, IPPrefix)
    /// The tables gain what the plan adds.
    case loosen(TableChanges)
    /// The last resort: a device that cannot be set up carries nothing.
    case takeDown(DeviceName)
}

extension Step {
    /// The device that it is about; nil for tables and wall.
    package var device: DeviceName? {
        switch self {
        case .tighten, .loosen, .raiseWall: nil
        case .delete(let name), .create(let name), .move(let name, _), .attach(let name, _), .verify(let name),
            .hook(let name, _), .narrow(let name, _), .extend(let name, _), .readBack(let name, _), .quiet(let name),
            .admit(let name), .address(let name, _), .up(let name), .route(let name, _), .takeDown(let name):
            name
        }
    }

    /// Which of several steps that a device needs says best what had happened to it.
    package var gravity: Int {
        switch self {
        case .create: 5
        case .attach: 4
        case .narrow: 3
        case .up: 2
        case .extend: 1
        default: 0
        }
    }

    /// What was wrong with a device that had been set up, when this step is needed all the same; nil when the step
    /// only follows from another.
    package var drift: String? {
        switch self {
        case .create(let name): "device `\(name)` was gone; it has been made again"
        case .attach(let name, _): "the classifier was not first on device `\(name)`; it has been attached again"
        case .hook(let name, _): "the connect hook of device `\(name)` was gone; it has been attached again"
        case .narrow(let name, let changes): "device `\(name)` had \(changes.summary); they have been taken away"
        case .extend(let name, _): "device `\(name)` had lost peers or settings; they have been set again"
        case .raiseWall: "the wall was gone; it has been put up again"
        case .admit(let name): "the wall did not know device `\(name)`, or knew others; that has been mended"
        case .address(let name, let address): "device `\(name)` had lost its address \(address); it has it again"
        case .up(let name): "device `\(name)` was down; it is up again"
        case .route(let name, let network): "the route to \(network) by device `\(name)` was gone; it is back"
        case .tighten, .delete, .move, .verify, .readBack, .quiet, .loosen, .takeDown: nil
        }
    }
}

extension DeviceChanges.Tightening {
    fileprivate var summary: String {
        let keys = removedPeers.union(keptAllowedIPs.keys).map(\.description).sorted()
        let few = keys.prefix(3).map { "`\($0)`" }.joined(separator: ", ")
        return "peers or addresses that are not planned (\(few)\(keys.count > 3 ? ", …" : ""))"
    }
}
