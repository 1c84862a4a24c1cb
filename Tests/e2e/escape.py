"""Tries to leave a session: run as the command of `postern run`, by Tests/e2e/enclosure.sh.

Prints a line for each attempt, `ok - WHAT IS TRIED: what must happen` or `not ok - …`. What stands outside, and must
not be reached, is named by the file given as the only argument: JSON, one object.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
world = json.load(open(sys.argv[1]))
native = platform.machine() == "x86_64"
failed = 0

# By name, for x86_64 and aarch64.
CALLS = dict(
    ptrace=(101, 117), clone=(56, 220), unshare=(272, 97), clone3=(435, 435), setns=(308, 268), mount=(165, 40),
    umount2=(166, 39), pivot_root=(155, 41), chroot=(161, 51), open_tree=(428, 428), move_mount=(429, 429),
    fsopen=(430, 430), mount_setattr=(442, 442), bpf=(321, 280), perf_event_open=(298, 241), userfaultfd=(323, 282),
    io_uring_setup=(425, 425), io_uring_enter=(426, 426), add_key=(248, 217), request_key=(249, 218), keyctl=(250, 219),
    kexec_load=(246, 104), kexec_file_load=(320, 294), init_module=(175, 105), finit_module=(313, 273),
    delete_module=(176, 106), syslog=(103, 116), reboot=(169, 142), swapon=(167, 224), acct=(163, 89),
    settimeofday=(164, 170), clock_settime=(227, 112), open_by_handle_at=(304, 265), quotactl=(179, 60),
    process_vm_readv=(310, 270), process_vm_writev=(311, 271), pidfd_open=(434, 434), pidfd_getfd=(438, 438),
    pidfd_send_signal=(424, 424), kcmp=(312, 272), capset=(126, 91), setgroups=(116, 159), setuid=(105, 146),
    mknodat=(259, 33), prctl=(157, 167), shmget=(29, 194), msgget=(68, 186), semget=(64, 190), sethostname=(170, 161),
    fanotify_init=(300, 262), io_uring_register=(427, 427), seccomp=(317, 277), setpriority=(141, 140))


def call(name, *arguments):
    """The result of a system call, or the name of its error."""
    result = libc.syscall(CALLS[name][0 if native else 1], *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def error_of(work, *arguments):
    """The name of the error that the work ends with; None when it succeeds."""
    try:
        work(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return None


def attempt(sentence, *held):
    """One line: every condition must hold."""
    global failed
    good = all(held)
    failed += not good
    print(("ok - " if good else "not ok - ") + sentence + ("" if good else f" {[h for h in held]}"), flush=True)


def attempt_call(sentence, expected, *calls):
    said = [call(*arguments) for arguments in calls]
    good = all(result in expected for result in said)
    attempt(sentence + ("" if good else f" (it said {said})"), good)


def connects(family, address, kind=socket.SOCK_STREAM, seconds=1.0):
    """None when a connection stands; else the error's name."""
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(seconds)
            s.connect(address)
    except OSError as error:
        return errno.errorcode.get(error.errno, "TIMEOUT")
    return None


def can_open(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


CLOSED = {"ENOENT", "EACCES", "EPERM", "EROFS", "ENOTDIR", "ENXIO", "ESRCH"}
UNREACHABLE = {"ENETUNREACH", "EHOSTUNREACH", "EACCES", "EPERM", "ECONNREFUSED", "TIMEOUT", "EINVAL", "EADDRNOTAVAIL"}
# Other attempts signal whatever they can reach.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def processes():
    host, other = world["process"], world["other_session"]
    for pid, whose in ((host, "a process of the same user outside"), (other, "another session of the same user")):
        attempt_call(f"ptrace {whose}: it is not there", {"ESRCH"}, ("ptrace", 16, pid, 0, 0), ("ptrace", 0x4206, pid, 0, 0))
        attempt(f"/proc of {whose}: it is not there",
                *(can_open(f"/proc/{pid}/{name}") == "ENOENT" for name in ("environ", "mem", "root", "fd", "ns/net", "maps")))
        attempt(f"a signal for {whose}: it is not there", error_of(os.kill, pid, signal.SIGKILL) == "ESRCH",
                error_of(os.killpg, pid, signal.SIGKILL) == "ESRCH")
        attempt_call(f"a descriptor for {whose}: it is not there", {"ESRCH", "EINVAL"}, ("pidfd_open", pid, 0))
        place = (ctypes.c_size_t * 2)(0x400000, 8)
        attempt_call(f"the memory of {whose}: it is not there", {"ESRCH"},
                     ("process_vm_readv", pid, place, 1, place, 1, 0), ("process_vm_writev", pid, place, 1, place, 1, 0))
        attempt(f"limits and scheduling of {whose}: it is not there",
                error_of(os.sched_setaffinity, pid, {0}) == "ESRCH", error_of(os.setpriority, os.PRIO_PROCESS, pid, 19) == "ESRCH")
    attempt("a signal for all: none outside gets one (seen from there)", error_of(os.kill, -1, signal.SIGUSR1) in (None, "EPERM", "ESRCH"))
    end, _ = socket.socketpair()
    attempt("signals by the owner of a descriptor: nobody outside can be that",
            error_of(fcntl.fcntl, end, fcntl.F_SETOWN, host) == "ESRCH" or fcntl.fcntl(end, fcntl.F_GETOWN) == 0)
    attempt("kill the session's first process: not permitted", error_of(os.kill, 1, signal.SIGKILL) == "EPERM")
    attempt_call("ptrace the session's first process: not permitted", {"EPERM", "EACCES"}, ("ptrace", 16, 1, 0, 0))
    attempt("/proc of the session's first process, by which the machine's files would open: no access",
            *(can_open(f"/proc/1/{name}") in ("EACCES", "EPERM") for name in ("environ", "mem", "maps")),
            *(error_of(os.readlink, f"/proc/1/{name}") in ("EACCES", "EPERM") for name in ("root", "cwd", "exe", "ns/net", "ns/mnt")),
            error_of(os.listdir, "/proc/1/fd") in ("EACCES", "EPERM"))
    first = call("pidfd_open", 1, 0)
    attempt_call("take a descriptor out of the session's first process: not permitted", {"EPERM"}, ("pidfd_getfd", first, 4, 0))
    attempt_call("signal it by its descriptor: not permitted", {"EPERM"}, ("pidfd_send_signal", first, 9, 0, 0))
    attempt("be spared by the kernel when memory runs out: not permitted",
            error_of(open("/proc/self/oom_score_adj", "w", buffering=1).write, "-1000\n") in ("EACCES", "EPERM"))
    children = [name for name in os.listdir("/proc") if name.isdigit()]
    attempt("see how many processes the machine has: only those of the session", len(children) < 20)


def terminals():
    import pty
    _, terminal = pty.openpty()
    letter = ctypes.create_string_buffer(b"x")
    for number, name in ((0x5412, "TIOCSTI"), (0x541C, "TIOCLINUX"), (0x5423, "TIOCSETD")):
        said = []
        for request in (number, 1 << 32 | number, 0xFFFFFFFF << 32 | number):
            said.append((libc.ioctl(terminal, ctypes.c_ulong(request), letter), ctypes.get_errno()))
        attempt(f"type into a terminal by {name}, also with a high half that is none: not permitted", *(s == (-1, errno.EPERM) for s in said))
    attempt("open the terminal of whoever started the session: there is none",
            can_open("/dev/tty", os.O_RDWR) == "ENXIO" if not os.isatty(0) else True,
            *(can_open(path, os.O_RDWR) in CLOSED for path in ("/dev/console", "/dev/tty0", "/dev/tty1", "/dev/vcs", "/dev/ttyS0", "/dev/hvc0")))
    attempt("find the terminals of others in /dev/pts: only the session's", len(os.listdir("/dev/pts")) <= 3)


def sockets():
    AF = dict(AX25=3, IPX=4, APPLETALK=5, NETROM=6, X25=9, ROSE=11, KEY=15, PACKET=17, RDS=21, PPPOX=24, LLC=26, IB=27, CAN=29, TIPC=30,
              BLUETOOTH=31, IUCV=32, RXRPC=33, ISDN=34, PHONET=35, IEEE802154=36, CAIF=37, ALG=38, NFC=39, VSOCK=40, KCM=41, QIPCRTR=42,
              SMC=43, XDP=44, MCTP=45)
    for name in ("VSOCK", "PACKET", "ALG", "XDP", "KEY", "BLUETOOTH", "TIPC"):
        attempt(f"a socket of AF_{name}: there is no such family",
                *(error_of(socket.socket, AF[name], kind, 0) == "EAFNOSUPPORT" for kind in (1, 2, 3, 5)))
    attempt("a socket of any other family of old: there is none",
            *(error_of(socket.socket, family, kind, 0) == "EAFNOSUPPORT" for family in AF.values() for kind in (1, 2, 3)))
    attempt("a raw socket: not permitted",
            *(error_of(socket.socket, family, socket.SOCK_RAW, protocol) in ("EPERM", "EACCES")
              for family in (socket.AF_INET, socket.AF_INET6) for protocol in (1, 6, 17, 58, 255)))
    attempt("packets by the old name of AF_PACKET: there is none", error_of(socket.socket, socket.AF_INET, 10, 0x300) == "EAFNOSUPPORT")
    attempt("netlink of firewall, audit, devices, generic and the rest: there is none",
            *(error_of(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, protocol) == "EAFNOSUPPORT" for protocol in range(1, 23)))
    for what, message in (("an address", struct.pack("=BBBBI", 2, 24, 0, 0, 1) + struct.pack("=HHI", 8, 2, 0x0100000A)),
                          ("a route", struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0) + struct.pack("=HHI", 8, 4, 1))):
        kind = 20 if what == "an address" else 24
        attempt(f"{what} by routing netlink: not permitted", netlink(kind, message) == "EPERM")
    attempt("take the device down, or move it, by netlink: not permitted",
            netlink(16, struct.pack("=BBHiII", 0, 0, 0, 1, 0, 1)) == "EPERM")
    s = socket.socket()
    attempt("mark a socket as the sidecar's: not permitted", error_of(s.setsockopt, socket.SOL_SOCKET, 36, 1) == "EPERM")
    attempt("speak with a foreign address: not permitted", error_of(s.setsockopt, socket.SOL_IP, 19, 1) == "EPERM")
    attempt("bind to another session's address: it is not here",
            *(error_of(socket.socket().bind, (address, 0)) == "EADDRNOTAVAIL" for address in (world["other_address"], world["address_a"], world["address_b"])))
    attempt("sockets of the machine by path (tmux, databases): they are not there",
            *(connects(socket.AF_UNIX, path) in CLOSED for path in world["paths"]))
    attempt("its well-known sockets: they are not there",
            *(connects(socket.AF_UNIX, path) in CLOSED for path in (
                "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
                "/run/systemd/private", "/run/systemd/notify", "/run/systemd/journal/stdout", "/run/systemd/resolve/io.systemd.Resolve",
                "/run/dbus/system_bus_socket", "/run/nscd/socket", "/var/run/nscd/socket", "/var/lib/mysql/mysql.sock",
                "/run/postgresql/.s.PGSQL.5432", "/run/snapd.socket", "/var/lib/incus/unix.socket")))
    attempt("the daemon's socket, to launch another agent: it is not there",
            *(connects(socket.AF_UNIX, path) in CLOSED for path in (world["daemon"], "/run/postern/posternd.sock")))
    attempt("the socket of wireguard-go, to change the tunnel: it is not there",
            not os.path.exists("/var/run/wireguard"), not os.path.exists("/run/wireguard"))
    attempt("an abstract socket of the machine, and of another session: it is not there",
            *(connects(socket.AF_UNIX, "\0" + name) == "ECONNREFUSED" for name in world["abstract"]))


def netlink(kind, body):
    """The kernel's answer to a request, by its error's name."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 16 + len(body), kind, 5 | 0x400, 1, 0) + body)
        answer = s.recv(4096)
    return errno.errorcode.get(-struct.unpack_from("=i", answer, 16)[0], "done")


def network():
    for name, address in (("the machine's loopback", ("127.0.0.1", world["loopback_port"])), ("the machine on its LAN", (world["lan_a"], world["loopback_port"])),
                          ("the far machine on its LAN", (world["lan_b"], 8081)), ("cloud metadata", ("169.254.169.254", 80)),
                          ("the Internet", ("1.1.1.1", 443)), ("another session", (world["other_address"], 4444)),
                          ("the node's own mesh address", (world["address_a"], 22)), ("a granted node's other port", (world["address_b"], 22)),
                          ("a service that no policy grants", (world["address_b"], 8082)), ("the coordinator", (world["coordinator"], 8443))):
        attempt(f"call {name}: refused at once, or nothing there", connects(socket.AF_INET, address) in UNREACHABLE)
    attempt("IPv6 of any other: refused, or no way", *(connects(socket.AF_INET6, (address, 80)) in UNREACHABLE
                                                    for address in ("2606:4700:4700::1111", "fe80::1", "ff02::1", "::ffff:1.1.1.1")))
    for name, port in (("QUIC", 443), ("DNS", 53), ("NTP", 123)):
        attempt(f"{name}, which is UDP: nothing comes back", *(not answers(place, port) for place in ("1.1.1.1", world["address_b"], "127.0.0.53", "127.47.47.53")))
    attempt("a resolver: there is none, so no name can be bound anew (DNS rebinding)",
            "nameserver" not in open("/etc/resolv.conf").read(), error_of(socket.getaddrinfo, "example.com", 80) is not None,
            can_open("/etc/hosts", os.O_WRONLY) in CLOSED, can_open("/etc/resolv.conf", os.O_WRONLY) in CLOSED)
    attempt("an inherited stream that is a socket: none is",
            *(not stat.S_ISSOCK(os.fstat(stream).st_mode) for stream in (0, 1, 2)))
    attempt("multicast and broadcast: nothing leaves",
            *(error_of(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b"x", (address, 5353)) in UNREACHABLE for address in ("224.0.0.251", "255.255.255.255")))
    attempt("settings of the network: read-only", *(can_open(f"/proc/sys/net/ipv4/{name}", os.O_WRONLY) in CLOSED for name in ("ip_forward", "ping_group_range", "conf/all/rp_filter")))
    attempt("the service that is granted: it answers", connects(socket.AF_INET, (world["address_b"], 8081), seconds=5.0) is None)


def answers(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        try:
            s.connect((address, port))
            s.send(b"\0" * 1200)
            s.recv(100)
        except OSError:
            return False
    return True


def kernel():
    flags = dict(mount=0x20000, cgroup=0x2000000, uts=0x4000000, ipc=0x8000000, user=0x10000000, pid=0x20000000, net=0x40000000)
    for name, flag in flags.items():
        attempt_call(f"a new {name} namespace: not permitted", {"EPERM"}, ("unshare", flag), ("clone", flag | 17, 0, 0, 0, 0),
                     ("unshare", flag | 0x10000000), ("clone", flag | 0x10000000 | 17, 0, 0, 0, 0))
    attempt_call("clone3, whose flags no filter sees: not there", {"ENOSYS"}, ("clone3", 0, 0), ("clone3", ctypes.create_string_buffer(88), 88))
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    attempt_call("enter a namespace by descriptor: not permitted", {"EPERM"}, ("setns", own, 0), ("setns", own, 0x40000000))
    path = ctypes.create_string_buffer(b"/tmp")
    attempt_call("mount anything, by the old calls: not permitted", {"EPERM"},
                 ("mount", path, path, ctypes.create_string_buffer(b"tmpfs"), 0, 0), ("mount", 0, path, 0, 0x1020, 0), ("umount2", path, 2), ("pivot_root", path, path))
    attempt_call("and by the new ones: not permitted", {"EPERM"},
                 ("open_tree", -100, path, 1), ("move_mount", -100, path, -100, path, 0), ("fsopen", path, 0), ("mount_setattr", -100, path, 0, path, 32))
    attempt_call("change the root directory: not permitted", {"EPERM"}, ("chroot", path))
    attempt_call("open a file by its handle, past every directory: not permitted", {"EPERM"}, ("open_by_handle_at", -100, path, 0))
    for name in ("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl",
                 "kexec_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "acct", "settimeofday", "clock_settime", "quotactl"):
        attempt_call(f"{name}: not permitted", {"EPERM"}, (name, 0, 0, 0, 0, 0, 0), (name, 2, path, 64, 0, 0, 0))
    attempt_call("read the kernel's log: not permitted", {"EPERM"}, ("syslog", 3, path, 5), ("syslog", 10, 0, 0))
    if native:
        attempt("system calls of 32 bits: not there", old_call(20) == -errno.ENOSYS, old_call(102) == -errno.ENOSYS, old_call(359) == -errno.ENOSYS)
        attempt("system calls of x32: not there", *(libc.syscall(0x40000000 | number, 0, 0, 0) == -1 and ctypes.get_errno() == errno.ENOSYS for number in (0, 39, 41, 321, 520)))
    attempt_call("take the filter off: nothing takes it off", {"EINVAL", "EFAULT"}, ("prctl", 22, 0, 0, 0, 0), ("seccomp", 0, 0, 0), ("prctl", 38, 0, 0, 0, 0))
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    attempt("have a capability, or a way to one: there is none",
            *(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), status["NoNewPrivs"].strip() == "1",
            status["Groups"].split() in ([], ["65534"], [str(os.getgid())]))
    header = struct.pack("=Ii", 0x20080522, 0)
    attempt_call("raise capabilities: not permitted", {"EPERM"}, ("capset", ctypes.create_string_buffer(header), ctypes.create_string_buffer(struct.pack("=6I", *(0xFFFFFFFF,) * 6))))
    attempt_call("be another user, or of another group: not permitted", {"EPERM", "EINVAL"}, ("setuid", 1 if os.getuid() == 0 else 0), ("setgroups", 0, 0), ("setgroups", 1, ctypes.create_string_buffer(4)))
    ambient = call("prctl", 47, 2, 21, 0, 0)
    attempt("keep a capability over a program (ambient): not permitted", ambient in ("EPERM", "EINVAL"))
    attempt_call("make a device: not permitted", {"EPERM", "EACCES"}, ("mknodat", -100, ctypes.create_string_buffer(b"disk"), stat.S_IFBLK | 0o600, 0x800), ("mknodat", -100, ctypes.create_string_buffer(b"memory"), stat.S_IFCHR | 0o600, 0x101))
    attempt_call("rename the host: not permitted", {"EPERM"}, ("sethostname", path, 4))
    attempt("settings of the kernel: read-only",
            *(can_open(f"/proc/{name}", os.O_WRONLY) in CLOSED for name in ("sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/pid_max", "sys/vm/overcommit_memory", "sys/fs/file-max", "sysrq-trigger")))
    attempt("write another map of users: not permitted", error_of(open("/proc/self/uid_map", "w", buffering=1).write, "0 0 4294967295\n") == "EPERM")
    if os.getuid() != 0:
        attempt("a program with the owner's rights (su): gains nothing", subprocess.run(["/bin/su", "-c", "id -u"], stdin=subprocess.DEVNULL, capture_output=True).stdout.strip() != b"0")
    attempt_call("memory, messages and semaphores of System V outside: they are not there", {"ENOENT"}, ("shmget", world["key"], 0, 0), ("msgget", world["key"], 0), ("semget", world["key"], 0, 0))


def old_call(number):
    import mmap
    code = b"\x53\xb8" + struct.pack("<I", number) + b"\xbb\1\0\0\0\xb9\1\0\0\0\x31\xd2\xcd\x80\x5b\xc3"
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()


def files():
    secret = world["secret"]
    attempt("the user's own file beside the working directory: it is not there", can_open(secret) == "ENOENT", can_open(secret, os.O_WRONLY) == "ENOENT")
    attempt("homes and their keys (~/.ssh, ~/.aws, ~/.bashrc): they are not there",
            *(can_open(path) in CLOSED for path in ("/root/.ssh", "/root/.bashrc", "/root/.aws", os.path.expanduser("~/.ssh"), os.path.expanduser("~/.bashrc"))),
            set(os.listdir("/home")) <= {"agent"}, os.listdir("/root") == [])
    attempt("the daemon's state, with every key of the node: it is not there", can_open(world["state"]) == "ENOENT", can_open("/var/lib/postern") == "ENOENT")
    attempt("what the machine keeps in /var, /srv, /opt and /mnt: they are empty", *(os.listdir(path) == [] for path in ("/var", "/srv", "/opt", "/mnt")))
    attempt("the machine's passwords: no access", can_open("/etc/shadow") in CLOSED, can_open("/etc/gshadow") in CLOSED)
    attempt("write where the machine's programs are: read-only", *(error_of(os.mkdir, path + "/postern-was-here") in CLOSED for path in ("/", "/usr", "/usr/bin", "/usr/local", "/etc", "/etc/cron.d", "/run", "/dev", "/var", "/lib")))
    attempt("devices: the harmless ones only", set(os.listdir("/dev")) <= {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "ptmx", "shm", "pts"})
    attempt("disks, memory, tunnels, KVM and the kernel's log as devices: they are not there", *(can_open("/dev/" + name) == "ENOENT" for name in ("sda", "vda", "mem", "kmem", "port", "kmsg", "net/tun", "kvm", "fuse", "vhost-vsock", "userfaultfd", "loop-control", "mapper/control")))
    attempt("secrets of the kernel in /proc: empty, or no access", *(can_open("/proc/" + name) in CLOSED or open("/proc/" + name, "rb").read(16) == b"" for name in ("kcore", "keys", "kmsg", "timer_list", "kpagecount", "vmallocinfo", "slabinfo")))
    attempt("control groups: they are not mounted, and the session is at their root", not os.path.exists("/sys/fs/cgroup"), all(line.split(":", 2)[2].strip() == "/" for line in open("/proc/self/cgroup") if line.startswith("0::")))
    attempt("/sys, with its devices and eBPF: it is not there", not os.path.exists("/sys/fs/bpf"), not os.path.exists("/sys/kernel"))
    mounts = [line.split() for line in open("/proc/self/mountinfo")]
    attempt("a program with another's rights: no file system heeds them", *("nosuid" in fields[5].split(",") for fields in mounts))
    attempt("a device that was made elsewhere: no writable file system heeds it", *("nodev" in fields[5].split(",") for fields in mounts if fields[4] in ("/tmp", os.getcwd(), "/dev/shm", os.path.expanduser("~"))))
    os.symlink(secret, "link")
    attempt("a link to a file outside: leads nowhere", can_open("link") == "ENOENT", can_open("link", os.O_WRONLY | os.O_CREAT) in CLOSED)
    attempt("a hard link to a file of the system: not made", error_of(os.link, "/usr/bin/env", "env") in CLOSED | {"EXDEV"}, error_of(os.link, "/etc/passwd", "/tmp/p") in CLOSED | {"EXDEV"})
    os.makedirs("a/b/c")
    place = os.open("a/b/c", os.O_RDONLY | os.O_DIRECTORY)
    os.rename("a/b/c", "moved")
    for _ in range(64):
        place = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place)
    above = os.fstat(place)
    attempt("climb out of a directory that was moved: the session's root is the top", (above.st_dev, above.st_ino) == (os.stat("/").st_dev, os.stat("/").st_ino), not os.path.exists(world["outside"] + "/service.py"))
    attempt("a race of links in the working directory: never the file outside", not raced(secret))
    said = []
    for name in ("/proc/self/fd/0", "/dev/stdin"):
        said.append(can_open(name, os.O_WRONLY) in CLOSED and can_open(name, os.O_RDWR | os.O_APPEND) in CLOSED)
    attempt("write to the file that was handed in to be read: no access", *said)
    attempt("and it can be read as ever", open("/dev/stdin").read() == "handed in\n")
    attempt("secrets of the starter's environment: none came", not any(key in os.environ for key in ("AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "LD_PRELOAD", "DOCKER_HOST", "XDG_RUNTIME_DIR", "SUDO_COMMAND", "TMUX")))
    attempt("shared memory of the machine: it is not there", not os.path.exists("/dev/shm/" + world["shared"]))
    for path in ("/tmp", "/dev/shm", os.path.expanduser("~")):
        file = os.open(path + "/fill", os.O_CREAT | os.O_RDWR)
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        attempt(f"fill the machine's memory by {path.replace(os.path.expanduser('~'), 'the home')}: it is full first", error_of(os.posix_fallocate, file, 0, total // 3) == "ENOSPC")
        os.ftruncate(file, 0)
    attempt("leave a core with what others handed in: none is written", __import__("resource").getrlimit(4) == (0, 0))


def raced(secret):
    """Whether a name that is swapped between a file and a link to the secret ever gave the secret."""
    open("plain", "w").write("plain")
    os.symlink(secret, "swap")
    until = time.monotonic() + 0.5
    def swap():
        while time.monotonic() < until:
            os.rename("plain", "x")
            os.rename("swap", "plain")
            os.rename("plain", "swap")
            os.rename("x", "plain")
    swapper = threading.Thread(target=swap)
    swapper.start()
    found = False
    while time.monotonic() < until:
        try:
            found |= open("plain").read() not in ("plain", "")
        except OSError:
            pass
    swapper.join()
    return found


# Small, so that it meets the bound on processes before the one on memory.
BOMB = """
import ctypes, errno, os, signal
fork, pause = ctypes.PyDLL(None, use_errno=True).fork, ctypes.PyDLL(None).pause
processes = []
while len(processes) < 6000:
    process = fork()
    if process == 0:
        pause()
    if process < 0:
        break
    processes.append(process)
print(errno.errorcode.get(ctypes.get_errno()), len(processes))
for process in processes:
    os.kill(process, signal.SIGKILL)
for process in processes:
    os.waitpid(process, 0)
"""


def bombs():
    done = subprocess.run([sys.executable, "-I", "-S", "-c", BOMB], capture_output=True, text=True)
    stopped, count = (done.stdout.split() + ["nothing", "0"])[:2]
    attempt("a fork bomb: it stops at the bound", stopped in ("EAGAIN", "ENOMEM"), 2000 < int(count) < 4200)
    if world["memory"]:
        attempt("all memory: the kernel ends who takes it, and nobody else", hog(world["memory"]) == -signal.SIGKILL)


def hog(megabytes):
    """How a process ends that wants as much as all sessions together may have."""
    take = f"taken = [bytearray(b'x' * (16 << 20)) for _ in range({megabytes} // 16)]"
    return subprocess.run([sys.executable, "-I", "-S", "-c", take], stderr=subprocess.DEVNULL).returncode


# The fourth is the one that reads the directory.
attempt("descriptors of the daemon and of the one who started it: none but the three", set(os.listdir("/proc/self/fd")) == {"0", "1", "2", "3"})
for part in (processes, terminals, sockets, network, kernel, files, bombs):
    try:
        part()
    except Exception as error:
        attempt(f"all of `{part.__name__}` could be tried: {type(error).__name__} {error} at line {error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0}", False)
sys.exit(failed != 0)
