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
fact "a session is listed with its owner and its longest duration" said "^$one +one +- +root +[0-9.]+ .* [78]h"
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
# Each was renewed at its own time.
fact "and reaches nothing" wait_until 13 ledger_is_silent "$one"

all_facts_hold
