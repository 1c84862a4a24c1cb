#!/bin/bash
# The life of sessions from their owners' side: listed, extended and ended, with the coordinator or posternd away.
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
expiry() { date --date "$(session_field "$1" expires)" +%s 2>/dev/null || session_field "$1" expires; }

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
kill -KILL "$(posternd_of node-a)"
wait_until 5 not is_alive "$node_a_pid"
fact "a list says that it takes posternd" eval 'not ask list && said "nobody lists"'
fact "so does extending" eval 'not ask extend "$one" && said "Nobody else can extend"'
fact "so does ending all" eval 'not ask end --all && said "Root ends one by its id"'
fact "root ends one by its id" ask end "$one"
fact "and its processes are gone" wait_until 5 not is_alive "${process_of[$one]}"
start_node node-a
fact "the coordinator hears of it when posternd is back" wait_until 10 eval \
    'postern get sessions --json | jq -e --arg id "$one" "all(.id != \$id)" >/dev/null'

all_facts_hold
