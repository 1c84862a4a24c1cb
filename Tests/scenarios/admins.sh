#!/bin/bash
# Admins come and go while the mesh runs: what each says counts as long as he is one, and nodes follow by themselves.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

as_bob() { POSTERN_ADMIN_FILE=$work/bob.json postern "$@"; }
vault_answers() { [[ "$(get "$1" 8082 1)" == 'this is vault' ]]; }
admins() { postern admin list --json | jq -r '[.[].name] | sort | join(" ")'; }
nodes_are_fine() { node_is_ready node-a && node_is_ready node-b; }

build_programs
trap mesh_down EXIT
standard_mesh
start_session one sleep 600
one=$session
fact "the ledger answers one" wait_until 5 ledger_answers "$one"
postern admin add bob --output "$work/bob.json" >/dev/null
fact "there is another admin" test "$(admins)" = 'admin bob'
fact "his file is his alone" test "$(stat --format=%a "$work/bob.json")" = 600
echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"vault");' >"$work/bob.cedar"
fact "he gives a policy" as_bob policy apply "$work/bob.cedar"
fact "which nodes believe" wait_until 10 vault_answers "$one"
postern admin remove bob >/dev/null
fact "an admin who is removed is none" test "$(admins)" = admin
fact "he changes nothing any more" not as_bob policy delete bob.cedar
fact "nor does he see anything" not as_bob get policies
fact "what he said stands, for another has signed it again" wait_until 10 vault_answers "$one"
fact "the nodes have nothing to complain of" wait_until 10 nodes_are_fine
kill -KILL "$(posternd_of node-b)"
start_node node-b
fact "a node that starts again believes it still" wait_until 10 vault_answers "$one"
postern policy delete bob.cedar >/dev/null
fact "and it can be taken back" wait_until 10 vault_is_silent "$one"
fact "the ledger answers one" ledger_answers "$one"

all_facts_hold
