#!/bin/bash
# The audit log of a mesh: what was allowed and what was denied is recorded once, though the coordinator was killed in
# between; what is exported verifies without a server, and one changed byte does not.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

records() { postern audit export | jq -c 'select(.record) | .record'; }
# count JQ-CONDITION: how many records are so.
count() { records | jq -s "[.[] | select($1)] | length"; }
has() { [[ $(count "$1") -ge 1 ]]; }
each_came_once() { records | jq -se 'group_by([.node, .spool, .sequence]) | all(length == 1)' >/dev/null; }
without_gaps() { records | jq -se 'group_by([.node, .spool]) | all(([.[].sequence] | max) == length)' >/dev/null; }
verify() { "$bin/postern" audit verify "$@" >/dev/null; }

build_programs
trap mesh_down EXIT
standard_mesh
run_agent one curl --silent --max-time 5 "http://$address_b:8081/"
fact "an allowed flow is recorded by the caller's node" wait_until 10 has \
    '.node == "node-a" and .kind == "flow-opened" and .agent == "one" and .service == "ledger" and .owner == "test"'
fact "with the policy that permits it" has '.kind == "flow-opened" and (.policies // [] | any(test("p.cedar:1:1")))'
fact "and by the service's node" wait_until 5 has '.node == "node-b" and .kind == "flow-opened" and .agent == "one"'
fact "the session's start and end are recorded, with the user" \
    wait_until 5 has '.kind == "session-ended" and .agent == "one" and .uid == 0'
fact "and its start" has '.kind == "session-started" and .agent == "one"'

echo "# the coordinator is killed"
kill -KILL "$coordinator_pid" && wait "$coordinator_pid" 2>/dev/null || true
on_node node-a run --agent nobody-knows --user nobody -- true 2>/dev/null || true
serve_coordinator
fact "what was refused meanwhile comes when it is back" wait_until 40 has '.kind == "launch-refused"'
wait_until 40 node_is_ready node-a
run_agent one curl --silent --max-time 5 "http://$address_b:8082/" || true
fact "a denied flow is recorded, with its reason" wait_until 20 has \
    '.kind == "flow-denied" and .agent == "one" and .port == 8082 and (.reason | length > 0)'
fact "each record came once" each_came_once
fact "and none is missing" without_gaps

ca=$work/coordinator/ca/ca.pem
postern audit export >"$work/audit.jsonl"
fact "what is exported verifies" verify --ca "$ca" "$work/audit.jsonl"
fact "so do the coordinator's own files" verify --ca "$ca" --state "$work/coordinator"
sed '0,/"ledger"/s//"lodger"/' "$work/audit.jsonl" >"$work/edited.jsonl"
fact "an edited file is refused" says 'was edited' verify --ca "$ca" "$work/edited.jsonl"
sed 3d "$work/audit.jsonl" >"$work/removed.jsonl"
fact "so is one without an entry" says 'missing' verify --ca "$ca" "$work/removed.jsonl"
head -n -1 "$work/audit.jsonl" >"$work/cut.jsonl"
fact "and one that was cut off" says 'cut off' verify --ca "$ca" "$work/cut.jsonl"
fact "tail shows what an agent did" grep -q 'flow-denied agent `one`' <(postern audit tail --agent one --lines 1000)
fact "OCSF names a denied flow" grep -q '"type_uid":400105' <(postern audit export --format ocsf)

all_facts_hold
