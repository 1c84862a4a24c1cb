# shellcheck shell=bash disable=SC2154
# What a gigabyte through the tunnel costs the machine in CPU, with our classifiers on both devices and without them, in
# pairs one after the other; and the null: pairs of which both have them. Sourced by scripts/bench.

bench_tunnel() {
    local pairs=${1:-30} pair with without
    trap mesh_down EXIT
    standard_mesh
    postern service add bulk --node node-b --port 5201 >/dev/null
    echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"bulk");' >"$work/b.cedar"
    postern policy apply "$work/b.cedar" >/dev/null
    start "$work/iperf3.log" scripts/lab exec node-b -- iperf3 --server
    start_session one sleep 7200
    wait_until 10 in_session "$session" iperf3 --client "$address_b" --time 1 >/dev/null
    for ((pair = 0; pair < pairs; pair++)); do
        echo "null $(gigabyte) $(gigabyte)"
    done >"$work/pairs"
    for ((pair = 0; pair < pairs; pair++)); do
        with=$(gigabyte)
        classifiers_off
        without=$(gigabyte)
        classifiers_on
        echo "classifier $without $with"
    done >>"$work/pairs"
    /usr/bin/python3 -I -S - "$work/pairs" <<'PY'
import statistics, sys

# Student's t for 95 % and so many degrees of freedom, near enough.
def interval(values):
    middle, spread = statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5
    width = (1.96 + 2.5 / (len(values) - 1)) * spread
    return middle, middle - width, middle + width

pairs = {}
for line in open(sys.argv[1]):
    kind, before, after = line.split()
    pairs.setdefault(kind, []).append((float(before), float(after)))
print(f"{'CPU seconds for each GB':28} {'before':>8} {'after':>8} {'more':>8}   95 %")
for kind in ("null", "classifier"):
    before, after = (statistics.mean(column) for column in zip(*pairs[kind]))
    middle, low, high = interval([100 * (b / a - 1) for a, b in pairs[kind]])
    print(f"{kind:28} {before:8.2f} {after:8.2f} {middle:+7.1f} %   {low:+.1f} to {high:+.1f} %")
sys.exit(middle > 3)
PY
}

# CPU seconds that the whole machine spends on a gigabyte.
gigabyte() {
    local before after
    before=$(busy)
    in_session "$session" iperf3 --client "$address_b" --bytes 500M >/dev/null
    after=$(busy)
    awk -v ticks="$((after - before))" -v hertz="$(getconf CLK_TCK)" 'BEGIN { print ticks / hertz / 0.5 }'
}
busy() { awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }

classifiers_off() {
    kill -STOP "$(posternd_of node-a)" "$(posternd_of node-b)"
    rm -f "$(node_bpffs node-a)/device-${device_of[$session]}"/* "$(node_bpffs node-b)/device-$(node_device node-b)"/*
}
classifiers_on() {
    kill -CONT "$(posternd_of node-a)" "$(posternd_of node-b)"
    wait_until 20 classifier_attached "${device_of[$session]}"
    both_attached() { status node-b | jq -e 'all(.devices[]; .classifierAttached)' >/dev/null; }
    wait_until 20 both_attached
}
