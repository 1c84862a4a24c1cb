#!/bin/bash
# shellcheck disable=SC2016,SC2119
# Many sessions: what they leave behind on the machine, one after another, at once, and killed at any step of their lives.
#
#   Tests/e2e/many.sh [COUNT]     all, with 200 one after another; or so many one after another alone
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

loops=${1:-200} kills=12
[[ -z "${POSTERN_TEST_DEEP:-}" ]] || loops=1000 kills=60

said() { grep -qE -- "$1" "$work/said" || { sed 's/^/# it said: /' "$work/said" && false; }; }
ask() { on_node node-a session "$@" >"$work/said" 2>&1; }

build_programs
trap mesh_down EXIT
standard_mesh

echo "# many, one after another and at once"
# What sessions may leave behind on node-a, node-b and the coordinator, one kind a line.
left_behind() {
    echo "links $(lab exec node-a -- ip -o link | wc -l)"
    echo "pins $(find "$(node_bpffs node-a)" | wc -l)"
    echo "mounts $(grep -c -e "$work" -e "$(node_bpffs node-a)" /proc/self/mountinfo)"
    echo "cgroups $(find "$(cgroups)/postern/$(node_device node-a)" -type d | wc -l)"
    echo "files $(find "$(node_state node-a)" "$(node_socket node-a)" | wc -l)"
    echo "processes $(ip netns pids "postern-$lab_name-node-a" | wc -l)"
    echo "peers of node-b $(lab exec node-b -- wg show "$(node_device node-b)" peers | wc -l)"
    echo "sessions $(postern get sessions --json | jq length) $(status node-a | jq '.sessions | length')"
}
# And what posternd holds of them: descriptors, and among these namespaces, programs and maps. Not sockets, of which its
# HTTP client keeps some for a minute.
held() {
    local pid
    pid=$(posternd_of "$1")
    echo "$1: descriptors $(find "/proc/$pid/fd" -type l -printf '%l\n' | grep -v '^socket:' | sed -E 's/[0-9]+/N/g' | sort | uniq -c | tr -s ' \n' ' ')"
    echo "$1: programs and maps $(cat "/proc/$pid"/fdinfo/* 2>/dev/null | grep -cE '^(prog|map|link)_id')"
}
sockets() { find "/proc/$(posternd_of node-a)/fd" -type l -lname 'socket:*' | wc -l; }
census() { left_behind && held node-a && held node-b; }
is_as() { [[ "$("$1")" == "$2" ]]; }
# same WHAT BEFORE: within 15 s; the difference is told.
same() {
    wait_until 15 is_as "$1" "$2" || { diff <(echo "$2") <("$1") | sed 's/^/# /' && false; }
}
run_many() {
    local number
    for ((number = 0; number < $1; number++)); do
        run_agent one true
        [[ $run_code -eq 0 ]] || { cat "$work/run.err" && return 1; }
    done
}
run_many 3
sleep 1
before=$(census) sockets_before=$(sockets)
fact "$loops sessions run one after another" run_many "$loops"
fact "and leave nothing behind" same census "$before"
if [[ -n "${1:-}" ]]; then
    all_facts_hold
    exit
fi
many=()
for number in {1..20}; do
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) exec nsenter --net="$(netns_of node-a)" \
        "$bin/postern" run --agent one --user nobody -- sleep 300) </dev/null >"$work/many.out" 2>"$work/many.$number" &
    many+=("$!")
    started_pids+=("$!")
done
twenty_run() { [[ $(status node-a | jq '[.sessions[] | select(.processID != null)] | length') -eq 20 ]]; }
fact "twenty run at once" wait_until 40 twenty_run
fact "each with an address, a device and a process of its own" eval \
    'status node-a | jq -e "[.sessions | (map(.address), map(.device), map(.processID)) | unique | length] == [20, 20, 20]" >/dev/null'
fact "all are ended" ask end --all
fact "each with its last packet" eval '[[ $(grep -c "its last packet passed" "$work/said") -eq 20 ]]'
wait "${many[@]}" || true
fact "and leave nothing behind" same census "$before"
run_agent one sh -c 'setsid sleep 271828 >/dev/null 2>&1 & exit 3'
fact "a command that leaves a child behind ends with its own code" test "$run_code" -eq 3
fact "and the child with it" not pgrep -f '^sleep 271828'
fact "so nothing is left" same census "$before"
fact "nor sockets, but a few to the coordinator" test "$(sockets)" -le $((sockets_before + 8))

echo "# killed at any step of a session's life"
RANDOM=${POSTERN_SESSIONS_SEED:-$RANDOM}
before=$(left_behind)
for ((number = 0; number < kills; number++)); do
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) exec nsenter --net="$(netns_of node-a)" \
        "$bin/postern" run --agent one --user nobody -- sleep 0.3) </dev/null >/dev/null 2>&1 &
    run_pid=$!
    started_pids+=("$run_pid")
    sleep "0.$(printf '%03d' $((RANDOM % 700)))"
    case $((number % 3)) in
        0)
            kill_daemon
            start_node node-a ;;
        1) kill -KILL "$run_pid" || true ;;
        2) cat "$(cgroups)/postern/$(node_device node-a)"/*/cgroup.procs 2>/dev/null | head -n 1 | xargs --no-run-if-empty kill -KILL || true ;;
    esac
    wait_until 20 not is_alive "$run_pid" || kill -KILL "$run_pid"
done 2>/dev/null
fact "all is as before" same left_behind "$before"
run_agent one curl --silent --max-time 5 "http://$address_b:8081/"
fact "and another session is as any" grep -qx 'this is ledger' "$work/run.out"

all_facts_hold
