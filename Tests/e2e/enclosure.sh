#!/bin/bash
# shellcheck disable=SC2016,SC2119
# What a hostile command can do inside a session, and what an ordinary one must not notice.
# Prints `ok - …` or `not ok - …`, one line a fact; escape.py, the hostile one, prints them itself.
#
#   Tests/e2e/enclosure.sh [attacks]     the attacks alone, or all
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh

# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# Whose machine it is: an ordinary user, who starts the hostile command himself, by his definition.
user=1000

# ---- the world outside -------------------------------------------------------------------------------------------------

# What a user has on his machine beside the agent: a process with a secret, sockets, shared memory, a file.
world_up() {
    secret=$work/secret
    echo 'a secret of the user' >"$secret"
    chown $user:$user "$secret"
    chmod 600 "$secret"
    cat >"$work/world.py" <<'PY'
import ctypes, http.server, json, os, signal, socket, sys, threading
work = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
kept, paths = [], [f"/tmp/postern-world-{os.getpid()}.sock", f"/run/postern-world-{os.getpid()}.sock", f"/var/lib/postern-world-{os.getpid()}.sock"]
def serve(address):
    s = socket.socket(socket.AF_UNIX)
    s.bind(address)
    if address[0] != "\0": os.chmod(address, 0o777)
    s.listen()
    kept.append(s)
    def accept():
        while True:
            s.accept()
            print("somebody connected to", address.strip("\0"), flush=True)
    threading.Thread(target=accept, daemon=True).start()
for path in paths: serve(path)
abstract = f"postern-world-{os.getpid()}"
serve("\0" + abstract)
key = 0x50540000 | os.getpid() & 0xFFFF
for make in (libc.shmget, libc.semget): make(key, 1, 0o1666)
libc.msgget(key, 0o1666)
shared = f"postern-world-{os.getpid()}"
open("/dev/shm/" + shared, "w").write("x")
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("somebody asked the loopback", flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
libc.prctl(4, 1, 0, 0, 0)
json.dump(dict(process=os.getpid(), paths=paths, abstract=[abstract], key=key, shared=shared,
               loopback_port=server.server_port), sys.stdout)
print(flush=True)
def stop(*_):
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
while True: signal.pause()
PY
    start "$work/world.log" nsenter --net="$(netns_of node-a)" env SECRET=in-its-environment \
        /usr/bin/python3 -I -S "$work/world.py" "$work" $user
    wait_until 5 grep -q loopback_port "$work/world.log"
}
world_down() {
    local process
    process=$(head -n 1 "$work/world.log" 2>/dev/null | jq -r '.process // empty' 2>/dev/null) || true
    [[ -n "$process" ]] || return 0
    rm -f /tmp/postern-world-"$process".sock /run/postern-world-"$process".sock /var/lib/postern-world-"$process".sock \
        /dev/shm/postern-world-"$process"
    local key
    key=$(head -n 1 "$work/world.log" | jq -r .key)
    ipcrm --shmem-key "$key" --semaphore-key "$key" --queue-key "$key" 2>/dev/null || true
}
finish_all() {
    world_down
    mesh_down
}

# What of the machine a session could have changed.
machine_facts() {
    local setting
    hostname
    for setting in pid_max core_pattern randomize_va_space; do cat "/proc/sys/kernel/$setting"; done
    stat --format='%n %s %Y' /etc/passwd /etc/hosts /etc/resolv.conf /usr/bin /etc 2>&1
    sha256sum "$secret" "$work/handed"
    find / /usr /usr/bin /usr/local /etc /etc/cron.d /run /dev /var /lib -maxdepth 1 -name postern-was-here
}

as_user() {
    POSTERN_SOCKET=$(node_socket node-a) nsenter --net="$(netns_of node-a)" \
        setpriv --reuid $user --regid $user --clear-groups "$@"
}

# In MB, what all sessions of node-a may have together; 0 where this kernel cannot bound it.
sessions_memory() {
    local bytes
    bytes=$(cat "$(cgroups)/postern/$(node_device node-a)/memory.max" 2>/dev/null) || bytes=0
    echo $((bytes >> 20))
}

# hostile NAME OPTION...: escape.py as the command of a session, whose lines are ours.
hostile() {
    local name=$1
    shift
    rm -rf "$work/agent"
    install -d -o $user -g $user "$work/agent"
    install -m 644 Tests/e2e/escape.py "$work/agent/escape.py"
    head -n 1 "$work/world.log" | jq --arg secret "$secret" --arg outside "$work" --arg state "$(node_state node-a)" \
        --arg daemon "$(node_socket node-a)" --arg other "${address_of[$two]}" --argjson pid "${process_of[$two]}" \
        --arg a "$(mesh_address node-a)" --arg b "$address_b" --arg coordinator "$(underlay_address coordinator)" \
        --arg lan_a "$(underlay_address node-a)" --arg lan_b "$(underlay_address node-b)" \
        --argjson memory "$(sessions_memory)" \
        '. + {memory: $memory, secret: $secret, outside: $outside, state: $state, daemon: $daemon, other_address: $other, other_session: $pid,
              address_a: $a, address_b: $b, coordinator: $coordinator, lan_a: $lan_a, lan_b: $lan_b}' >"$work/agent/world.json"
    echo 'handed in' >"$work/handed"
    chown $user:$user "$work/handed"
    machine_facts >"$work/before"
    local said
    said=$(wc -l <"$work/world.log")
    (cd "$work/agent" && AWS_SECRET_ACCESS_KEY=x SSH_AUTH_SOCK=/tmp/x DOCKER_HOST=unix:///x \
        as_user timeout "$(patiently 90)" "$bin/postern" run --agent one "$@" -- \
        /usr/bin/python3 -I escape.py world.json) <"$work/handed" >"$work/hostile.out" 2>"$work/hostile.err"
    local code=$?
    sed "s/^\(ok\|not ok\) - /\1 - $name: /" "$work/hostile.out"
    failures=$((failures + $(grep -c '^not ok - ' "$work/hostile.out")))
    fact "$name: it came to its end, after more than ninety attempts" ended_after_all "$code"
    machine_facts >"$work/after"
    fact "$name: the machine is as it was" diff "$work/before" "$work/after"
    fact "$name: the user's process outside lives" kill -s 0 "$(head -n 1 "$work/world.log" | jq -r .process)"
    fact "$name: the other session lives" kill -s 0 "${process_of[$two]}"
    fact "$name: nobody connected to a socket outside, or asked its loopback" test "$(wc -l <"$work/world.log")" -eq "$said"
    fact "$name: no file of the working directory belongs to root" test -z "$(find "$work/agent" -newer "$work/before" -uid 0 ! -name escape.py ! -name world.json)"
}
ended_after_all() {
    [[ "$1" -le 1 && $(grep -c '^\(not \)\?ok - ' "$work/hostile.out") -gt 90 ]] || { { echo "exit code $1, its last words:"; tail -n 3 "$work/hostile.out" "$work/hostile.err"; } | sed 's/^/# /'; return 1; }
}

# ---- ordinary programs -------------------------------------------------------------------------------------------------

# ordinary SENTENCE EXPECTED SCRIPT: what the shell script prints last in a session.
ordinary() {
    local sentence=$1 expected=$2
    run_agent one bash -ec "$3"
    fact "$sentence" prints_last "$expected"
}
prints_last() {
    [[ $run_code -eq 0 && "$(tail -n 1 "$work/run.out")" == "$1" ]] \
        || { echo "# exit $run_code; it printed:"; tail -n 5 "$work/run.out" "$work/run.err" | sed 's/^/# /'; return 1; }
}

# A wheel, as pip would download it.
make_wheel() {
    /usr/bin/python3 -I - "$1" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/greeting-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting.py", "def hello(): return 'hello from a wheel'\n")
    wheel.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("greeting-1.0.dist-info/RECORD", "greeting.py,,\ngreeting-1.0.dist-info/METADATA,,\ngreeting-1.0.dist-info/WHEEL,,\ngreeting-1.0.dist-info/RECORD,,\n")
PY
}

# at_a_terminal SCRIPT.py COMMAND...: `postern run` with a terminal as its streams; the script talks to it.
at_a_terminal() {
    local talk=$1
    shift
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) timeout "$(patiently 40)" nsenter --net="$(netns_of node-a)" \
        /usr/bin/python3 -I -S "$talk" "$bin/postern" run --agent one --user nobody "$@") >"$work/terminal.out" 2>&1
}

terminal_talked() { # TIMES
    [[ $(grep -ac '^ok - ' "$work/terminal.out") -eq $1 ]] || { tail -n 4 "$work/terminal.out" | sed 's/^/# /'; return 1; }
}

build_programs
trap finish_all EXIT
standard_mesh
world_up
start_session two sleep 900
two=$session

postern agent create one --owner test --node node-a --uid $user >/dev/null
user_launches() { (cd "$work/agent" && as_user "$bin/postern" run --agent one -- true) >"$work/launch.out" 2>&1; }
fact "a user whom the definition names launches the agent" wait_until 10 user_launches
echo "# a hostile command, as an ordinary user"
hostile "uid $user"
echo "# and as root of a user namespace of its own"
hostile "uid 0" --as-root
if [[ "${1:-}" == attacks ]]; then
    all_facts_hold
    exit
fi
rm -rf "$work/agent"
install -d -o nobody -g nogroup "$work/agent"

echo "# what never starts"
as_agent() { (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a "$@"); }
socket_as_input() {
    as_agent /usr/bin/python3 -I -S - "$bin/postern" <<'PY'
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
stream = socket.create_connection(listener.getsockname())
done = subprocess.run([sys.argv[1], "run", "--agent", "one", "--user", "nobody", "--", "true"], stdin=stream, capture_output=True, text=True)
print(done.stderr)
sys.exit(not (done.returncode == 125 and "a socket that leads out of its network" in done.stderr))
PY
}
fact "a socket as standard input, to connect anew past the namespace (AF_UNSPEC): refused, and said why" socket_as_input
run_in() { (cd "$1" && POSTERN_SOCKET=$(node_socket node-a) in_node_a "$bin/postern" run --agent one --user nobody -- true); }
for directory in / /etc /tmp /var/lib /proc/self /run; do
    fact "a session in $directory: refused" says 'working directory' run_in "$directory"
done
fact "root, without a user namespace: refused" says 'an agent may not run as root' as_agent "$bin/postern" run --agent one --user root -- true
fact "root, as the caller: refused" says 'an agent may not run as root' as_agent "$bin/postern" run --agent one -- true

echo "# ordinary programs"
make_wheel "$work/agent"
ordinary "a virtual environment of Python, and pip" 'hello from a wheel' '/usr/bin/python3 -m venv venv
    venv/bin/pip install --quiet --no-index --disable-pip-version-check ./greeting-1.0-py3-none-any.whl
    venv/bin/python -c "import greeting; print(greeting.hello())"'
ordinary "Python with processes, threads, asyncio, shared memory and temporary files" '499500 4950 done' '/usr/bin/python3 -c "
import asyncio, concurrent.futures as futures, multiprocessing.shared_memory as shared, tempfile
def main():
    with futures.ProcessPoolExecutor(4) as pool: print(sum(pool.map(int, range(1000))), end=\" \")
    with futures.ThreadPoolExecutor(16) as pool: print(sum(pool.map(int, range(100))), end=\" \")
    block = shared.SharedMemory(create=True, size=1 << 20); block.close(); block.unlink()
    with tempfile.TemporaryDirectory() as place: open(place + \"/f\", \"w\").write(\"x\")
    async def child(): return await (await asyncio.create_subprocess_exec(\"true\")).wait()
    asyncio.run(child()); print(\"done\")
main()"'
ordinary "git: a repository, a commit, a clone, a merge" 'two files' 'git init --quiet -b main r; cd r; git config user.email a@b; git config user.name a
    echo x >f; git add f; git commit --quiet -m x; git switch --quiet -c b; echo y >g; git add g; git commit --quiet -m y
    git switch --quiet main; git merge --quiet b; cd ..; git clone --quiet r s; [ $(ls s | wc -l) = 2 ]; echo two files'
ordinary "curl calls the service that is granted, by its name" 'this is ledger' 'curl --silent --max-time 10 http://ledger:8081/'
ordinary "curl is refused at once what is not" 'refused' 'curl --silent --max-time 10 http://vault:8082/ || echo refused'
ordinary "a compiler, and what it made" '42' 'echo "int printf(const char *, ...); int main(void) { return printf(\"%d\\n\", 42) < 0; }" >p.c; gcc -O1 -o p p.c; ./p'
ordinary "SQLite, with its locks and its log" '1000' '/usr/bin/python3 -c "
import sqlite3
base = sqlite3.connect(\"base.db\"); base.execute(\"pragma journal_mode=wal\"); base.execute(\"create table t(n)\")
base.executemany(\"insert into t values(?)\", ((n,) for n in range(1000))); base.commit(); print(base.execute(\"select count(*) from t\").fetchone()[0])"'
ordinary "a debugger's means on its own children" 'traced' 'strace -f -o trace sh -c "true"; grep -q "execve(" trace && echo traced'
ordinary "tar, find, xargs, dd, and files that move between directories" '300 moved' 'mkdir x y; for i in $(seq 300); do echo $i >x/$i; done; tar cf - x | tar xf - -C y
    find y -type f | xargs -P 4 -n 50 mv -t /tmp; echo $(find /tmp -maxdepth 1 -type f -regex "/tmp/[0-9]+" | wc -l) moved'
ordinary "bash with pipes by name and process substitution" '3' 'mkfifo p1; (seq 3 >p1 &) ; diff <(cat p1) <(seq 3) && seq 3 | tee /dev/stderr | wc -l'
ordinary "a program that is stopped and continued" 'continued' 'sleep 0.2 & kill -STOP $!; kill -CONT $!; wait $!; echo continued'
ordinary "files that were handed over by descriptor" 'line' 'exec 5</dev/stdin; echo line | cat /dev/stdin'

echo "# what an agent's definition gives it"
tool=$work/tool
mkdir "$tool"
echo 'of the machine' >"$tool/text"
postern agent create given --owner test --node node-a --path "$tool" --device /dev/net/tun --allow-userns >/dev/null
has_provisions() { postern get agents --json | jq -e '.[] | select(.name == "given") | .provisions.userNamespaces' >/dev/null; }
fact "the definition says so" has_provisions
given_starts() { run_agent given true && [[ $run_code -eq 0 ]]; }
wait_until 10 given_starts
given() { # SENTENCE EXPECTED SCRIPT
    run_agent given bash -ec "$3"
    fact "$1" prints_last "$2"
}
given "a path of the node can be read, and not changed" 'of the machine' "(echo x >$tool/text) 2>/dev/null && exit 1; cat $tool/text"
given "a device is there" 'character special file' 'stat -c %F /dev/net/tun'
given "a user namespace can be made, for an enclosure inside" '0' 'unshare --user --map-root-user --net id -u'
given "and has neither packet sockets nor mounts" 'held' 'unshare --user --map-root-user --net --mount --propagation unchanged /usr/bin/python3 -c "
import socket
for family, kind in ((17, 3), (16, 3), (40, 1)):
    try: socket.socket(family, kind, 12 if family == 16 else 0)
    except OSError: continue
    raise SystemExit(f\"open {family}\")"; unshare --user --map-root-user --mount --propagation unchanged mount -t tmpfs x /tmp 2>/dev/null || echo held'
echo "# a uid of its own"
alone() {
    run_code=0
    as_agent "$bin/postern" run --agent one --user nobody --isolate uid -- bash -ec "$1" >"$work/run.out" 2>"$work/run.err" || run_code=$?
}
alone 'id -u; [ "$(id -un)" = agent ]; git init --quiet alone; cd alone; git config user.email a@b; git config user.name a
    echo x >f; git add f; git commit --quiet -m x; /usr/bin/python3 -m venv venv; venv/bin/python -c "print(1)"; echo works'
fact "ordinary programs work as a user that nobody else is" prints_last works
fact "that user is none that the machine knows" not getent passwd "$(head -n 1 "$work/run.out")"
fact "what it made is its owner's" test "$(stat -c %U "$work/agent/alone/f" "$work/agent/alone/.git/HEAD" | sort -u)" = nobody
alone 'id -u'
first=$(tail -n 1 "$work/run.out")
alone 'id -u'
fact "no two sessions have the same" test "$first" -ne "$(tail -n 1 "$work/run.out")"
echo 'x:' >"$work/agent/Makefile"
run_agent one true
fact "what its owner may run later is named" grep -q 'may change what you run later.*`Makefile`' "$work/run.err"
rm "$work/agent/Makefile"
fact "a device that is none is refused" says 'no device below' postern agent create odd --owner test --device /etc/passwd

echo "# at a terminal"
cat >"$work/talk.py" <<'PY'
import fcntl, os, pty, select, signal, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:] + ["--", "bash", "--norc", "-i"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
seen = b""
def expect(text, seconds=10):
    global seen
    end = time.monotonic() + seconds
    while text.encode() not in seen:
        left = end - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], f"`{text}` did not come; there was {seen[-300:]!r}"
        try: seen += os.read(terminal, 4096)
        except OSError: assert text.encode() in seen, f"`{text}` did not come before the end; there was {seen[-300:]!r}"
    seen = seen.split(text.encode(), 1)[1]
def type_(text): os.write(terminal, text.encode())
def ok(sentence): print("ok - " + sentence, flush=True)
# The prompt may come before the line with the session's id, or after it.
expect("session ")
type_("PS1='rea''dy> '\n"); expect("ready> ")
type_("tty; stty size\n"); expect("/dev/pts/0"); expect("33 99"); ok("the command has a terminal with a name, as large as ours")
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
time.sleep(0.3)
type_("stty size\n"); expect("40 120"); ok("a new size goes through")
expect("ready> "); type_("sleep 100\n"); time.sleep(0.3); type_("\x03"); expect("^C"); expect("ready> "); ok("Control-C interrupts what is in front, and not the session")
type_("sleep 100\n"); time.sleep(0.3); type_("\x1a"); expect("Stopped"); type_("bg\n"); expect("sleep 100 &"); type_("jobs\n"); expect("Running")
ok("Control-Z stops it, and job control goes on")
type_("read -s word; echo; echo got-$word\n"); time.sleep(0.3); type_("hidden\n"); expect("got-hidden"); ok("a word that is typed unseen arrives")
type_("/usr/bin/python3 -c \"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSTI, b'x')\" 2>&1 | tail -1\n"); expect("Operation not permitted"); ok("nothing is typed in by a program")
type_("seq 20000 | tail -1; echo whole\n"); expect("20000"); expect("whole")
type_("seq 100000\n"); expect("\r\n100000\r\n", 20); ok("much output comes whole")
type_("exit 7\n")
while True:
    try:
        if not os.read(terminal, 4096): break
    except OSError: break
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(("ok" if code == 7 else f"not ok ({code})") + " - the exit code comes back", flush=True)
PY
at_a_terminal "$work/talk.py"
grep -a '^\(not \)\?ok - ' "$work/terminal.out"
fact "all that was typed was answered" terminal_talked 8
cat >"$work/settings.py" <<'PY'
import os, pty, sys, termios
outer, inner = pty.openpty()
before = termios.tcgetattr(inner)
pid = os.fork()
if pid == 0:
    os.setsid()
    for stream in (0, 1, 2): os.dup2(inner, stream)
    os.execv(sys.argv[1], sys.argv[1:] + ["--no-tty"] * int(os.environ["PIPES"]) + ["--", "sh", "-c", "test -t 0 || echo no terminal; exit 5"])
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
said = os.read(outer, 4096).decode()
print(code, ("no terminal" in said), termios.tcgetattr(inner) == before)
PY
PIPES=0 at_a_terminal "$work/settings.py"
fact "the terminal is set as it was before" test "$(tail -n 1 "$work/terminal.out")" = "5 False True"
PIPES=1 at_a_terminal "$work/settings.py"
fact "with --no-tty there is none" test "$(tail -n 1 "$work/terminal.out")" = "5 True True"

finish_session "$two"
all_facts_hold
