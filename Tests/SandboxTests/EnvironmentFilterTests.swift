import Sandbox
import Testing

@Suite struct EnvironmentFilterTests {
    @Test func `only the allow-list passes, and home is the enclosure's`() {
        let outside = [
            "PATH": "/usr/bin", "HOME": "/home/anna", "LANG": "C.UTF-8", "LC_ALL": "C", "TERM": "xterm", "TZ": "UTC",
            "USER": "anna", "LOGNAME": "anna", "AWS_SECRET_ACCESS_KEY": "x", "SSH_AUTH_SOCK": "/run/agent",
            "LD_PRELOAD": "/tmp/x.so", "DOCKER_HOST": "unix:///x", "LCX": "y",
        ]
        #expect(
            EnvironmentFilter.allowed(outside) == [
                "PATH": "/usr/bin", "HOME": "/home/agent", "LANG": "C.UTF-8", "LC_ALL": "C", "TERM": "xterm",
                "TZ": "UTC", "USER": "anna", "LOGNAME": "anna",
            ])
    }

    @Test func `there is always a path to search`() {
        #expect(EnvironmentFilter.allowed([:])["PATH"] == "/usr/local/bin:/usr/bin:/bin")
    }
}
