import CLinux
import Foundation
import Testing

@testable import Sandbox

/// What the command may ask of the kernel.
@Suite(.timeLimit(.minutes(1))) struct SystemCallTests {
    @Test func `no family of sockets is there but those a network namespace holds`() async throws {
        let outcome = try await python(
            """
            def attempt(number, *arguments):
                result = libc.syscall(number, *map(ctypes.c_ulong, arguments))
                if result >= 0: os.close(result)
                return errno.errorcode[ctypes.get_errno()] if result < 0 else 'open'
            found = {family for family in range(64) if attempt(SOCKET, family, 2, 0) != 'EAFNOSUPPORT'}
            print(*sorted(found))
            print(attempt(SOCKET, 40, 1, 0), attempt(SOCKET, 1 << 32 | 40, 1, 0), attempt(SOCKET, 1 << 32 | 1, 1, 0))
            print(attempt(SOCKET, 2, 10, 0), attempt(SOCKET, 2, 10 | 0o2000000, 0), attempt(SOCKET, 17, 3, 0))
            print(*(attempt(SOCKET, 16, 3, protocol) for protocol in (0, 2, 4, 12, 16)))
            pair = (ctypes.c_int * 2)()
            print(*(attempt(SOCKETPAIR, family, 1, 0, ctypes.addressof(pair)) for family in (1, 40)))
            """)
        #expect(
            outcome.lines == [
                "1 2 10 16", "EAFNOSUPPORT EAFNOSUPPORT open", "EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT",
                "open EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT", "open EAFNOSUPPORT",
            ])
    }

    #if arch(x86_64)
        @Test func `the calls of other binary interfaces are not there`() async throws {
            // push rbx; eax, ebx, ecx and edx; int 0x80; pop rbx; ret: socket(AF_UNIX, SOCK_STREAM, 0) and getpid.
            let outcome = try await python(
                """
                import mmap, struct
                def old(number):
                    code = b'\\x53\\xb8' + struct.pack('<I', number) + b'\\xbb\\1\\0\\0\\0\\xb9\\1\\0\\0\\0\\x31\\xd2\\xcd\\x80\\x5b\\xc3'
                    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
                    page.write(code)
                    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
                print(errno.errorcode[-old(359)], errno.errorcode[-old(20)])
                print(libc.syscall(0x40000000 | 41, 1, 1, 0), errno.errorcode[ctypes.get_errno()])
                """)
            #expect(outcome.lines == ["ENOSYS ENOSYS", "-1 ENOSYS"])
        }
    #endif

    @Test func `what no ordinary program asks for is refused`() async throws {
        // By number, which most have in common: those of x86_64 below 424 have another on aarch64.
        let outcome = try await python(
            """
            import platform
            mine = platform.machine() == 'x86_64'
            calls = dict(io_uring_setup=(425, 425), io_uring_enter=(426, 426), io_uring_register=(427, 427),
                bpf=(321, 280), perf_event_open=(298, 241), userfaultfd=(323, 282), add_key=(248, 217),
                request_key=(249, 218), keyctl=(250, 219), mount=(165, 40), umount2=(166, 39), pivot_root=(155, 41),
                open_tree=(428, 428), move_mount=(429, 429), fsopen=(430, 430), fsconfig=(431, 431),
                fsmount=(432, 432), fspick=(433, 433), mount_setattr=(442, 442), open_tree_attr=(467, 467),
                open_by_handle_at=(304, 265), setns=(308, 268), kexec_load=(246, 104), kexec_file_load=(320, 294),
                init_module=(175, 105), finit_module=(313, 273), delete_module=(176, 106), reboot=(169, 142),
                swapon=(167, 224), swapoff=(168, 225), acct=(163, 89), quotactl=(179, 60), quotactl_fd=(443, 443),
                settimeofday=(164, 170), clock_settime=(227, 112), syslog=(103, 116), vhangup=(153, 58))
            for name, numbers in calls.items():
                result = libc.syscall(numbers[0 if mine else 1], -1, -1, -1, -1, -1, -1)
                if (result, ctypes.get_errno()) != (-1, errno.EPERM): print(name, result, ctypes.get_errno())
            print(len(calls))
            """)
        #expect(outcome.lines == ["37"])
    }

    @Test func `no namespace can be made, and threads begin without the call whose flags cannot be seen`() async throws
    {
        let outcome = try await python(
            """
            import platform, threading
            mine = platform.machine() == 'x86_64'
            def said(*arguments): return libc.syscall(*arguments), errno.errorcode.get(ctypes.get_errno())
            print(*said(435, 0, 0))
            flags = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
            print({said(272 if mine else 97, flag) for flag in flags})
            print({said(56 if mine else 220, flag | 17, 0, 0, 0, 0) for flag in flags[1:]})
            print(libc.syscall(272 if mine else 97, 0x200))
            thread = threading.Thread(target=lambda: print('thread')); thread.start(); thread.join()
            """)
        #expect(outcome.lines == ["-1 ENOSYS", "{(-1, 'EPERM')}", "{(-1, 'EPERM')}", "0", "thread"])
    }

    @Test func `nothing is typed into a terminal, whatever stands in the high half of the number`() async throws {
        let outcome = try await python(
            """
            import pty
            _, terminal = pty.openpty()
            letter = ctypes.create_string_buffer(b'x')
            for request in (0x5412, 0x541c, 0x5423, 1 << 32 | 0x5412, 1 << 63 | 0x541c):
                result = libc.ioctl(terminal, ctypes.c_ulong(request), letter)
                print(result, errno.errorcode[ctypes.get_errno()])
            size = ctypes.create_string_buffer(8)
            print(libc.ioctl(terminal, ctypes.c_ulong(0x5413), size))
            """)
        #expect(outcome.lines == Array(repeating: "-1 EPERM", count: 5) + ["0"])
    }

    private static let families = """
        grep ^Seccomp: /proc/self/status
        unshare -Urn python3 -c 'import socket
        try: socket.socket(17, 3)
        except OSError as error: print(error.errno)' 2>&1
        """

    @Test func `user namespaces are refused`() async throws {
        let outcome = try await EnclosureRun(shell: Self.families).run()
        #expect(outcome.lines == ["Seccomp:\t2", "unshare: unshare failed: Operation not permitted"])
    }

    @Test func `where they are allowed, the filter stands in them too`() async throws {
        var run = EnclosureRun(
            shell: Self.families + "; unshare -Urm --propagation unchanged mount -t tmpfs none /tmp 2>&1 | grep -c den")
        run.userNamespaces = true
        #expect(try await run.run().lines == ["Seccomp:\t2", "97", "1"])
    }

    @Test func `ordinary programs do not notice`() async throws {
        try bringUpLoopback()
        let outcome = try await python(
            """
            import asyncio, http.server, multiprocessing, socket, subprocess, threading
            async def echo(reader, writer):
                writer.write(await reader.readline())
                writer.close()
            async def talk(host):
                server = await asyncio.start_server(echo, host, 0)
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
                writer.write(b'hello\\n')
                print((await reader.read()).decode().strip())
                process = await asyncio.create_subprocess_exec('echo', 'child', stdout=subprocess.PIPE)
                print((await process.communicate())[0].decode().strip())
            asyncio.run(talk('127.0.0.1'))
            asyncio.run(talk('::1'))
            with multiprocessing.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, [-1, -2])))
            print(socket.getaddrinfo('localhost', 80, type=socket.SOCK_STREAM)[0][4][1], socket.if_nameindex())
            one, other = socket.socketpair()
            one.send(b'pair'); print(other.recv(9).decode())
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            datagrams.bind(('127.0.0.1', 0))
            class Quiet(http.server.BaseHTTPRequestHandler):
                def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b'page\\n')
                def log_message(self, *_): pass
            server = http.server.HTTPServer(('127.0.0.1', 0), Quiet)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            print(subprocess.check_output(['curl', '-sS', f'http://localhost:{server.server_port}'], text=True).strip())
            print('inet 127.0.0.1/8' in subprocess.check_output(['/usr/sbin/ip', 'addr'], text=True))
            """)
        #expect(
            outcome.lines == ["hello", "child", "hello", "child", "3", "80 [(1, 'lo')]", "pair", "page", "True"])
        #expect(outcome.end == .code(0))
    }

    private func python(_ script: String) async throws -> EnclosureRun.Outcome {
        let start = """
            import ctypes, errno, os, platform
            libc = ctypes.CDLL(None, use_errno=True)
            SOCKET, SOCKETPAIR = (41, 53) if platform.machine() == 'x86_64' else (198, 199)

            """
        return try await EnclosureRun("/usr/bin/python3", "-c", start + script).run()
    }

    private func bringUpLoopback() throws {
        let (pid, pidfd) = try Program(
            path: "/usr/sbin/ip", arguments: ["ip", "link", "set", "lo", "up"], environment: [:], directory: "/",
            descriptors: [0, 1, 2], network: EnclosureRun.network
        ).start()
        close(pidfd)
        var status: Int32 = 0
        guard unsafe waitpid(pid, &status, 0) == pid, status == 0 else {
            throw SandboxError(.network, "cannot bring up the loopback device of the tests")
        }
    }
}
