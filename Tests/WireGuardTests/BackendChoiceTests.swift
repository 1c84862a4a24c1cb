import Foundation
import Testing

@testable import WireGuard

@Suite struct BackendChoiceTests {
    private let both = Backends.Obstacles()
    private let noKernel = Backends.Obstacles(kernel: "no kernel")
    private let noProgram = Backends.Obstacles(userspace: "no program")

    @Test func `the kernel is taken where it can, and else user space`() throws {
        #expect(try Backends.decide(nil, both, hasLivingDevices: false) == .kernel)
        #expect(try Backends.decide(nil, noProgram, hasLivingDevices: false) == .kernel)
        #expect(try Backends.decide(nil, noKernel, hasLivingDevices: false) == .userspace)
    }

    @Test func `devices that live in user space are kept unless somebody asks otherwise`() throws {
        #expect(try Backends.decide(nil, both, hasLivingDevices: true) == .userspace)
        #expect(try Backends.decide(nil, noProgram, hasLivingDevices: true) == .kernel)
        #expect(try Backends.decide(.kernel, both, hasLivingDevices: true) == .kernel)
    }

    @Test func `a wish that the machine cannot fulfil is an error`() {
        #expect(throws: BackendError("no kernel")) {
            try Backends.decide(.kernel, noKernel, hasLivingDevices: false)
        }
        #expect(throws: BackendError("no program")) {
            try Backends.decide(.userspace, noProgram, hasLivingDevices: false)
        }
        #expect(throws: BackendError("no kernel; and no program")) {
            try Backends.decide(
                nil, Backends.Obstacles(kernel: "no kernel", userspace: "no program"), hasLivingDevices: false)
        }
    }

    @Test func `a program that is not there is an error that says what to do`() throws {
        let place = try Workshop()
        let error = #expect(throws: BackendError.self) {
            try Backends.choose(override: .userspace, directory: place.directory, program: "/usr/bin/no-such-program")
        }
        #expect(
            error?.description
                == "cannot have WireGuard devices: `/usr/bin/no-such-program` cannot be run: no such file or directory "
                + "(errno 2): install the package wireguard-go, or choose `kernel`")
    }

    @Test func `what the other backend left is deleted`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        let other: any WireGuardBackend =
            backendUnderTest == .kernel
            ? UserspaceBackend(directory: place.directory) : KernelBackend(directory: place.directory)
        if backendUnderTest == .kernel {
            try place.createInUserspace(device)
        } else {
            try Data().write(to: URL(filePath: "\(place.directory)/\(device).link"))
        }
        #expect(try other.devices() == [device])
        _ = try Backends.choose(override: backendUnderTest, directory: place.directory)
        #expect(try other.devices().isEmpty)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `an interface of another kind is not deleted`() throws {
        let (place, near, far) = (try Workshop(), uniqueDevice(), uniqueDevice())
        let cable = try Cable(near, far)
        let kernel = KernelBackend(directory: place.directory)
        let isTaken = try cable.here.entering { try kernel.exists(near) }
        #expect(!isTaken)
        #expect(throws: WireGuardError(.delete, near, .notOurs)) {
            try cable.here.entering { try kernel.delete(near) }
        }
        #expect(try Links(in: cable.here).index(of: near) != nil)
    }
}
