# shellcheck shell=bash disable=SC2154
# What a posternd with 20 peers takes while nothing happens: anonymous memory, and CPU in a minute. Sourced by scripts/bench.

bench_idle() {
    local peers=20 seconds=60 most_kilobytes=12288 most_milliseconds=60 number pid anonymous before after used
    trap 'mesh_down 2>/dev/null' EXIT
    standard_mesh
    # The other node is one of them; the rest are sessions.
    for ((number = 2; number <= peers; number++)); do
        (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) exec nsenter --net="$(netns_of node-a)" \
            "$bin/postern" run --agent one --user nobody -- sleep 600) </dev/null >/dev/null 2>&1 &
        started_pids+=("$!")
        has_peers() { [[ $(lab exec node-b -- wg show "$(node_device node-b)" peers | wc -l) -eq $number ]]; }
        wait_until 20 has_peers
    done
    pid=$(posternd_of node-b)
    sleep 10
    before=$(cpu_milliseconds "$pid")
    sleep "$seconds"
    after=$(cpu_milliseconds "$pid")
    anonymous=$(awk '$1 == "Anonymous:" { print $2 }' "/proc/$pid/smaps_rollup")
    used=$((after - before))
    printf '%-34s %8s %8s\n' 'posternd with 20 peers, idle' measured 'at most'
    printf '%-34s %5d kB %5d kB\n' 'anonymous memory' "$anonymous" "$most_kilobytes"
    printf '%-34s %5d ms %5d ms\n' "CPU in $seconds s" "$used" "$most_milliseconds"
    [[ $anonymous -le $most_kilobytes && $used -le $most_milliseconds ]]
}

# User and system time, with that of threads which have ended.
cpu_milliseconds() { awk -v hertz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hertz }' "/proc/$1/stat"; }
