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

    @Test func `a ring, which could make sockets unseen, is refused`() async throws {
        let outcome = try await python(
            "print(libc.syscall(425, 4, ctypes.create_string_buffer(256)), errno.errorcode[ctypes.get_errno()])")
        #expect(outcome.lines == ["-1 EPERM"])
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

    @Test func `the filter stands in what the command starts, also in its own user namespace`() async throws {
        let script = """
            grep ^Seccomp: /proc/self/status
            unshare -Urn python3 -c 'import socket
            try: socket.socket(17, 3)
            except OSError as error: print(error.errno)'
            """
        #expect(try await EnclosureRun(shell: script).run().lines == ["Seccomp:\t2", "97"])
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
