#!/bin/bash
# The life of sessions from their owners' side: listed, extended and ended, with the coordinator or posternd away.
# shellcheck disable=SC2016,SC2119
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# What the last command of a person said.
said() { grep -qE -- "$1" "$work/said" || { sed 's/^/# it said: /' "$work/said" && false; }; }
ask() { on_node node-a session "$@" >"$work/said" 2>&1; }
# ask_as UID ARGUMENT...: as an ordinary user of node-a.
ask_as() {
    local uid=$1
    shift
    POSTERN_SOCKET=$(node_socket node-a) in_node_a setpriv --reuid "$uid" --regid "$uid" --clear-groups \
        "$bin/postern" session "$@" >"$work/said" 2>&1
}
is_alive() { awk '$1 == "State:" && $2 !~ /[ZX]/ { alive = 1 } END { exit !alive }' "/proc/$1/status" 2>/dev/null; }

kill_daemon() {
    local pid
    pid=$(posternd_of node-a)
    kill -KILL "$pid"
    wait_until 5 not is_alive "$pid"
}

build_programs
trap mesh_down EXIT
standard_mesh
chmod 755 "$work"

echo "# listed, extended, ended"
start_session one sleep 300
one=$session
start_session two sleep 300
two=$session
fact "the ledger answers" wait_until 10 ledger_answers "$one"
ask list
fact "a session is listed with its owner and its longest duration" said "^$one +one +root +[0-9.]+ .* [78]h"
fact "as JSON too" eval 'ask list --json && jq -e "length == 2 and all(.owner == 0)" "$work/said" >/dev/null'
fact "it is extended" ask extend "$one"
fact "and it is said until when" said "lives until .*, for 1[45]m"
fact "another user may neither end nor extend it" eval \
    'not ask_as 12345 end "$one" && said "another user" && not ask_as 12345 extend "$one" && said "another user"'
fact "nor does he end it with all" eval 'ask_as 12345 end --all && said "no session of yours" && ledger_answers "$one"'
fact "all of an agent are ended" ask end --agent two
fact "and it is said when the last packet passed" said "$two has ended: its last packet passed within [0-9]+ ms"
fact "the other goes on" ledger_answers "$one"

echo "# who may speak to posternd"
# refused_to WORDS COMMAND...: `postern session list` run by the command is refused, and so is what it could end.
refused_to() {
    local words=$1
    shift
    not env POSTERN_SOCKET="$(node_socket node-a)" nsenter --net="$(netns_of node-a)" "$@" \
        "$bin/postern" session end "$one" >"$work/said" 2>&1 && said "$words"
}
cgroup_of_session() { echo "$(cgroups)/postern/$(node_device node-a)/$1"; }
fact "not somebody in another network namespace" refused_to 'in its own network namespace' unshare --net
fact "nor in another pid namespace" refused_to 'in its own process namespace' unshare --pid --fork
fact "nor in another user namespace" refused_to 'in its own user namespace' unshare --user --map-root-user
fact "nor in the cgroup of a session" refused_to 'in the cgroup of a session' \
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$(cgroup_of_session "$one")"
fact "the session is there still" ledger_answers "$one"

echo "# without the coordinator"
kill -KILL "$coordinator_pid"
wait "$coordinator_pid" 2>/dev/null || true
fact "a session is extended still" ask extend "$one"
fact "it is ended still" ask end "$one"
fact "and is gone" wait_until 5 session_is_gone "$one"
fact "and node-b forgets its key" wait_until 10 wg_does_not_know "$one"
serve_coordinator

echo "# without posternd"
start_session one sleep 300
one=$session
in_session "$one" true
kill_daemon
fact "a list says that it takes posternd" eval 'not ask list && said "nobody lists"'
fact "so does extending" eval 'not ask extend "$one" && said "Nobody else can extend"'
fact "so does ending all" eval 'not ask end --all && said "Root ends one by its id"'
fact "root ends one by its id" ask end "$one"
fact "and its processes are gone" wait_until 5 not is_alive "${process_of[$one]}"
start_node node-a
fact "the coordinator hears of it when posternd is back" wait_until 10 eval \
    'postern get sessions --json | jq -e --arg id "$one" "all(.id != \$id)" >/dev/null'

echo "# a command that is killed with its session"
# ended_with CODE TEXT: what `postern run` said and came to.
ended_with() {
    local code=0
    wait "$run_pid" || code=$?
    [[ $code -eq $1 ]] && grep -qF -- "$2" "$work/session.err" \
        || { echo "# code $code: $(cat "$work/session.err")" && false; }
}
start_session one sleep 300
ask end "$session"
fact "is said to be, with the reason, and is 137" ended_with 137 'session end`: its network is cut, its command killed'

echo "# a command that is left alone"
run_options=(--no-kill)
start_session one sleep 300
one=$session
fact "the ledger answers" wait_until 10 ledger_answers "$one"
fact "its session is ended" ask end "$one"
fact "its network is cut" ledger_is_silent "$one"
fact "node-b forgets its key" wait_until 10 wg_does_not_know "$one"
fact "it runs on" is_alive "${process_of[$one]}"
fact "and is listed without an end" eval 'ask list && said "^$one +one .* -  +-  +${process_of[$one]}"'
kill_daemon
start_node node-a
fact "the next daemon knows it" eval 'ask list && said "^$one +one .* -  +-  +${process_of[$one]}"'
fact "and it runs on still, without a network" eval 'is_alive "${process_of[$one]}" && ledger_is_silent "$one"'
fact "another end ends it" ask end "$one"
fact "and it is gone" wait_until 5 not is_alive "${process_of[$one]}"
fact "as its owner hears" ended_with 137 'its command runs on without a network'

run_options=()
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
loops=40 kills=12
[[ -z "${POSTERN_TEST_DEEP:-}" ]] || loops=200 kills=60
run_many 3
sleep 1
before=$(census) sockets_before=$(sockets)
fact "$loops sessions run one after another" run_many "$loops"
fact "and leave nothing behind" same census "$before"
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

echo "# leases that end with everything dead"
kill -KILL "$coordinator_pid"
wait "$coordinator_pid" 2>/dev/null || true
coordinator_options=(--session-lease 10s)
serve_coordinator
# A node that has heard of the shorter lease renews by it.
is_short() { [[ $(postern get sessions --json | jq --arg id "$1" '.[] | select(.id == $id) | .expires' | wc -c) -gt 1 ]] && ask list && said "^$1 .* ([0-9]|1[0-2])s "; }
run_options=(--no-kill)
start_session one sleep 300
one=$session
run_options=()
start_session two sleep 300
two=$session
fact "two leases are short" wait_until 20 eval 'is_short "$one" && is_short "$two"' 2>/dev/null
fact "the ledger answers" wait_until 10 ledger_answers "$one"
kill -KILL "$coordinator_pid"
kill_daemon
fact "one that is killed with its session has ended by itself" wait_until 13 not is_alive "${process_of[$two]}"
fact "one that is not runs on" is_alive "${process_of[$one]}"
fact "and reaches nothing" ledger_is_silent "$one"

all_facts_hold
