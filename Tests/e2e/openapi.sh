#!/bin/bash
# The coordinator answers as docs/openapi.yaml says, whoever asks and whatever he asks.
# Prints `ok - …` or `not ok - …`, one line a fact.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh
# shellcheck source=scripts/lib/schemathesis.sh
source scripts/lib/schemathesis.sh

st=$(schemathesis)
build_programs
trap mesh_down EXIT
standard_mesh
start_session one sleep 600
admin=$work/coordinator/admin.json
url=$(jq -r .url "$admin")
jq -r .ca "$admin" >"$work/ca.pem"
jq -r .certificate "$admin" >"$work/admin.pem"
jq -r .key "$admin" >"$work/admin.key"
jq -r .certificate "$(node_state node-b)/membership.json" >"$work/node.pem"

# asks CALLER SEED OPTION...: what is asked of the coordinator, and how it came out. What is signed cannot be made up, so
# that a body has the right form does not mean that it is taken; records come in lines and not in JSON.
asks() {
    timeout "$(patiently 240)" scripts/lab exec coordinator -- "$st" run docs/openapi.yaml --url "$url" --tls-verify "$work/ca.pem" \
        --phases coverage,fuzzing --mode all --max-examples "$examples" --seed "$2" --request-timeout 20 --suppress-health-check all \
        --exclude-checks positive_data_acceptance --exclude-operation-id sendRecords --no-color "${@:3}" >"$work/$1.out" 2>&1 \
        || { grep -E '^- |^    |^\[|curl' "$work/$1.out" | head -n 60 | sed 's/^/# /'; return 1; }
}
# tried CALLER COUNT: nothing was left out for another reason.
tried() {
    local cases
    cases=$(sed -nE 's/^ *([0-9]+) generated.*/\1/p' "$work/$1.out")
    echo "# $1: ${cases:-no} requests"
    [[ "${cases:-0}" -ge "$2" ]]
}
examples=10
[[ -z "${POSTERN_TEST_DEEP:-}" ]] || examples=200

fact "who has no certificate is answered as is written" asks anybody 1
fact "to hundreds of requests" tried anybody 200
fact "and so is an admin" asks admin 2 --request-cert "$work/admin.pem" --request-cert-key "$work/admin.key"
fact "to hundreds of requests" tried admin 200
# The map does not end.
fact "and a node" asks node 3 --request-cert "$work/node.pem" --request-cert-key "$(node_state node-b)/tls.key" --exclude-operation-id map
fact "to hundreds of requests" tried node 200
# listens QUERY: the first line of what a node is told that listens; the node itself ends that when it listens again.
listens() {
    lab exec coordinator -- curl --silent --max-time 2 --cacert "$work/ca.pem" --cert "$work/node.pem" \
        --key "$(node_state node-b)/tls.key" "$url/v1/map?$1" >"$work/map.out" || true
    head -n 1 "$work/map.out" | jq -e .version >/dev/null
}
for query in '' 'epoch=18446744073709551615&version=18446744073709551615' 'epoch=0&version=0'; do
    fact "a map is told whatever the node says it has: ${query:-nothing}" listens "$query"
done
fact "the coordinator had no error of its own" not grep -q ' error ' "$work/coordinator.log"
# The end of a session stands by itself.
routes=$(sed -n '/private static func route/,/^    }/p' Sources/PosternCoordinator/Route.swift | grep -c 'case \[')
fact "all that it can be asked is written down" test "$(grep -c '^  /v1/' docs/openapi.yaml)" -eq $((routes + 1))
postern get nodes --json >/dev/null
fact "and it serves on" ledger_answers "$session"

all_facts_hold
