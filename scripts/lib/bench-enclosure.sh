# shellcheck shell=bash disable=SC2154
# What the enclosure costs a program that runs in it: computing, system calls, processes, and files, against the same
# program outside, as the same user. Sourced by scripts/bench.

# bench_enclosure [ROUNDS]
bench_enclosure() {
    local rounds=${1:-15} most=2
    trap 'mesh_down 2>/dev/null' EXIT
    standard_mesh
    wait_until 20 agent_runs
    cat >"$work/agent/work.py" <<'PY'
import hashlib, os, sys, time

def computing():
    digest = b"x" * 1024
    for _ in range(400_000): digest = hashlib.sha256(digest).digest()

def calls():
    for _ in range(1_000_000): os.getppid()

def processes():
    for _ in range(300):
        if os.fork() == 0: os._exit(0)
        os.wait()

def large_files():
    block = os.urandom(1 << 20)
    with open("large", "wb", buffering=0) as file:
        for _ in range(200): file.write(block)
        os.fsync(file.fileno())
    with open("large", "rb", buffering=0) as file:
        while file.read(1 << 20): pass
    os.unlink("large")

def small_files():
    os.mkdir("small")
    for number in range(3000):
        with open(f"small/{number}", "w") as file: file.write("x")
    for number in range(3000):
        with open(f"small/{number}") as file: file.read()
        os.unlink(f"small/{number}")
    os.rmdir("small")

kind = {f.__name__: f for f in (computing, calls, processes, large_files, small_files)}[sys.argv[1]]
start = time.monotonic()
kind()
print(time.monotonic() - start)
PY
    cat >"$work/time.py" <<'PY'
import json, statistics, subprocess, sys

rounds, postern, most = json.loads(sys.argv[1])
inside = [postern, "run", "--agent", "one", "--user", "nobody", "--"]
outside = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--no-new-privs", "--"]

def seconds(command, kind):
    done = subprocess.run(command + ["/usr/bin/python3", "-I", "-S", "work.py", kind], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode: sys.exit(f"bench: {kind}: {done.stderr}")
    return float(done.stdout)

print(f"{'seconds':14} {'inside':>8} {'outside':>8} {'more':>8} {'null':>8}   spread of the pairs")
bad = False
for kind in ("computing", "calls", "processes", "large_files", "small_files"):
    ratios, nulls, a, b = [], [], [], []
    for _ in range(rounds):
        before, ours, after = seconds(outside, kind), seconds(inside, kind), seconds(outside, kind)
        # Between two outside, so that a machine that grows slower counts for neither.
        ratios.append(ours / ((before + after) / 2)); nulls.append(after / before); a.append(ours); b.append(before)
    ratio, quarters = statistics.median(ratios), statistics.quantiles(ratios, n=4)
    print(f"{kind:14} {statistics.median(a):8.3f} {statistics.median(b):8.3f} {100 * (ratio - 1):+7.1f}% "
          f"{100 * (statistics.median(nulls) - 1):+7.1f}%   {100 * (quarters[0] - 1):+.1f}% to {100 * (quarters[2] - 1):+.1f}%", flush=True)
    # System calls alone are no program: they show what seccomp costs at most.
    bad |= kind != "calls" and 100 * (ratio - 1) > most
print(f"to reach: at most {most} % more, each but the calls")
sys.exit(bad)
PY
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a python3 -I -S "$work/time.py" "$(jq -cn \
        --argjson rounds "$rounds" --arg postern "$bin/postern" --argjson most "$most" '[$rounds, $postern, $most]')")
}
agent_runs() { run_agent one true && [[ $run_code -eq 0 ]]; }
