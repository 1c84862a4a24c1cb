# shellcheck shell=bash disable=SC2154
# What a session costs beside `ip netns exec`: a command that does nothing, the first byte of an allowed service, and
# twenty sessions at once. Sourced by scripts/bench.

# bench_session [ROUNDS]
bench_session() {
    local rounds=${1:-60} median=80 p99=200
    trap 'mesh_down 2>/dev/null' EXIT
    standard_mesh
    start_session one sleep 600
    wait_until 10 ledger_answers "$session"
    finish_session "$session"
    cat >"$work/time.py" <<'PY'
import json, os, subprocess, sys, time

rounds, postern, namespace, far, near, limits = json.loads(sys.argv[1])
ours = [postern, "run", "--agent", "one", "--user", "nobody", "--"]
plain = ["ip", "netns", "exec", namespace]
bad = 0

def begin(command):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

def finish(process, expected):
    global bad
    output, errors = process.communicate()
    if process.returncode != 0 or expected not in output:
        bad += 1
        if bad < 4: print("it failed:", errors.decode(), file=sys.stderr)

def whole(command):
    start = time.monotonic()
    finish(begin(command), b"")
    return time.monotonic() - start

def first_byte(command):
    start = time.monotonic()
    process = begin(command)
    first = process.stdout.read(1)
    span = time.monotonic() - start
    finish(process, b"" if first else b"a byte")
    return span

def at_once(command):
    start, processes, spans = time.monotonic(), [begin(command) for _ in range(20)], []
    while processes:
        for process in [p for p in processes if p.poll() is not None]:
            spans.append(time.monotonic() - start)
            processes.remove(process)
            finish(process, b"")
        time.sleep(0.001)
    return spans

def at(spans, share): return sorted(spans)[min(len(spans) - 1, int(len(spans) * share))] * 1000

def compare(name, measure, count, session, baseline, limits=None):
    a, b, null = [], [], []
    for _ in range(count):
        for spans, command in ((b, baseline), (a, session), (null, baseline)):
            taken = measure(command)
            spans += taken if isinstance(taken, list) else [taken]
    median, worst = at(a, 0.5) - at(b, 0.5), at(a, 0.99) - at(b, 0.99)
    print(f"{name:28} {at(a, .5):8.1f} {at(a, .99):8.1f} {at(b, .5):8.1f} {at(b, .99):8.1f} {median:+8.1f} {worst:+8.1f} "
          f"{at(null, .5) - at(b, .5):+8.1f}")
    return limits is None or (median <= limits[0] and worst <= limits[1])

print(f"{'milliseconds':28} {'session':>8} {'p99':>8} {'plain':>8} {'p99':>8} {'more':>8} {'p99':>8} {'null':>8}")
whole(ours + ["true"])
reached = compare("true", whole, rounds, ours + ["true"], plain + ["true"], limits)
get = ["curl", "--silent", "--max-time", "10"]
compare("the first allowed byte", first_byte, max(1, rounds // 3), ours + get + [far], plain + get + [near])
compare("each of twenty at once", at_once, max(1, rounds // 20), ours + ["true"], plain + ["true"])
print(f"to reach with true: median +{limits[0]} ms, p99 +{limits[1]} ms")
sys.exit(0 if reached and not bad else 1)
PY
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a python3 -I -S "$work/time.py" "$(jq -cn \
        --argjson rounds "$rounds" --arg postern "$bin/postern" --arg namespace "postern-$lab_name-node-a" \
        --arg far "http://$address_b:8081/" --arg near "http://$(underlay_address node-b):8081/" \
        --argjson median "$median" --argjson p99 "$p99" '[$rounds, $postern, $namespace, $far, $near, [$median, $p99]]')")
}
