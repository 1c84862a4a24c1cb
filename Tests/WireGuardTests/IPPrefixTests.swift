import Mesh
import Testing

@testable import WireGuard

@Suite struct IPPrefixTests {
    @Test(arguments: [
        ("10.0.0.1/32", "10.0.0.1/32"), ("10.7.9.1/14", "10.4.0.0/14"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("255.255.255.255/1", "128.0.0.0/1"), ("fd00::1/128", "fd00::1/128"),
        ("fd00:1:2:3:4:5:6:7/64", "fd00:1:2:3::/64"),
        ("::/0", "::/0"), ("fd00::ffff/120", "fd00::ff00/120"), ("1:2:3:4:5:6:7:8/128", "1:2:3:4:5:6:7:8/128"),
    ])
    func `a prefix keeps no bits behind its length`(text: String, expected: String) throws {
        #expect(try #require(IPPrefix(text)).description == expected)
    }

    @Test(arguments: [
        "", "/", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/+1", "10.0.0.1/032/1", "10.0.0/8",
        "fd00::1/129", "fd00::1::/64", ":/1", ":::/1", "1:2:3:4:5:6:7/64", "1:2:3:4:5:6:7:8:9/64", "12345::/16",
        "g::/8",
        "+1::/16", "1:2:3:4::5:6:7:8/64", "10.0.0.1/32 ", "999999999999999999999/1", "::1.2.3.4/96",
    ])
    func `text that is not a prefix is none`(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.4.0.0/14", true), ("10.4.0.0/14", "10.0.0.0/8", true), ("10.0.0.0/14", "10.4.0.0/14", false),
        ("0.0.0.0/0", "192.0.2.1/32", true), ("0.0.0.0/0", "::/0", false), ("fd00::/64", "fd00::1/128", true),
        ("fd00:0:0:1::/64", "fd00::1/128", false),
    ])
    func `networks overlap when one holds the other`(left: String, right: String, expected: Bool) throws {
        #expect(try #require(IPPrefix(left)).overlaps(try #require(IPPrefix(right))) == expected)
    }
}

@Suite struct DeviceNameTests {
    @Test(arguments: ["", ".", "..", "a/b", "../x", "0123456789abcdef", "a b", "a\n", "a:1", "é", "a\0"])
    func `a name that could leave the directory of sockets is refused`(text: String) {
        #expect(DeviceName(text) == nil)
    }

    @Test(arguments: ["lo", "wg0", "pt-node-a.1", "0123456789abcde"])
    func `a name that the kernel takes is taken`(text: String) {
        #expect(DeviceName(text)?.description == text)
    }
}
