# shellcheck shell=bash disable=SC2154
# What a gigabyte through the tunnel costs in CPU, with our classifiers on both devices and without them. A pair is three
# downloads: with, without, with; the mean of the first and the last stands against the middle one, so that what drifts
# slowly drops out, and the first against the last is the null. Sourced by scripts/bench.

bench_tunnel() {
    local pairs=${1:-30} pair first without last
    trap 'mesh_down 2>/dev/null' EXIT
    standard_mesh
    postern service add bulk --node node-b --port 5201 >/dev/null
    echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"bulk");' >"$work/b.cedar"
    postern policy apply "$work/b.cedar" >/dev/null
    start "$work/iperf3.log" nsenter --net="$(netns_of node-b)" iperf3 --server
    start_session one sleep 7200
    wait_until 10 gigabyte >/dev/null
    for ((pair = 0; pair < pairs; pair++)); do
        first=$(gigabyte)
        classifiers_off
        without=$(gigabyte)
        classifiers_on
        last=$(gigabyte)
        echo "$first $without $last"
    done >"$work/pairs"
    /usr/bin/python3 -I -S - "$work/pairs" <<'PY'
import statistics, sys

# Student's t for 95 % and so many degrees of freedom, near enough.
def interval(values):
    middle, spread = statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5
    width = (1.96 + 2.5 / (len(values) - 1)) * spread
    return middle, middle - width, middle + width

def show(name, before, after, values):
    middle, low, high = interval(values)
    print(f"{name:28} {before:8.2f} {after:8.2f} {middle:+7.2f} %   {low:+.2f} to {high:+.2f} %")
    return middle

rows = [[float(word) for word in line.split()] for line in open(sys.argv[1])]
first, without, last = map(statistics.median, zip(*rows))
print(f"{f'CPU seconds a GB, {len(rows)} pairs':28} {'before':>8} {'after':>8} {'more':>9}   95 %")
show("null: with, with again", first, last, [100 * (c / a - 1) for a, _, c in rows])
more = show("without, with classifiers", without, (first + last) / 2, [100 * ((a + c) / 2 / b - 1) for a, b, c in rows])
print(f"at most +3 %: {'reached' if more <= 3 else 'MISSED'}")
sys.exit(more > 3)
PY
}

# CPU seconds that a gigabyte costs all who carry it. Fails when it does not come over.
gigabyte() {
    local megabytes=64 before after client TIMEFORMAT='%3U %3S'
    before=$(carriers)
    client=$({ time in_session "$session" iperf3 --client "$address_b" --reverse --bytes "${megabytes}M" >"$work/iperf3" 2>&1; } 2>&1) \
        || return 1
    after=$(carriers)
    awk -v carried="$((after - before))" -v bytes="$((megabytes << 20))" \
        '{ print (carried / 1e9 + $1 + $2) / bytes * 1e9 }' <<<"$client"
}

# Nanoseconds that the processes on both nodes, but for the daemons, and the kernel's threads have run. What the kernel
# does with packets it does in one of these.
carriers() {
    local pid
    for pid in $(ip netns pids "postern-$lab_name-node-a") $(ip netns pids "postern-$lab_name-node-b") \
        $(pgrep --parent 2); do
        [[ " ${daemons[*]} " == *" $pid "* ]] || cat "/proc/$pid"/task/*/schedstat 2>/dev/null || true
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# The daemons stand still meanwhile, or they would put the classifiers back at once.
declare -a daemons=()
classifiers_off() {
    local attached
    daemons=("$(posternd_of node-a)" "$(posternd_of node-b)")
    attached=$(links_of_classifiers)
    kill -STOP "${daemons[@]}"
    detach_pinned "$(node_bpffs node-a)/device-${device_of[$session]}"
    detach_pinned "$(node_bpffs node-b)/device-$(node_device node-b)"
    [[ $(links_of_classifiers) -eq $((attached - 4)) ]] || { echo "bench: the classifiers did not go" >&2; return 1; }
}
# Debian's bpftool knows TCX by its number only.
links_of_classifiers() { bpftool link list | grep -cE ': (tcx|type 11) '; }

classifiers_on() {
    kill -CONT "${daemons[@]}"
    wait_until 20 classifier_attached "${device_of[$session]}"
    both_attached() { status node-b | jq -e 'all(.devices[]; .classifierAttached)' >/dev/null; }
    wait_until 20 both_attached
}
