#!/bin/bash
# Several addresses for one thing: a coordinator behind a name, that moves, and a node that names a dead endpoint first.
set -euo pipefail
cd "$(dirname "$0")/../.."
# What resolves names for this test alone: a file over /etc/hosts, in a mount namespace that nobody else sees.
if [[ -z "${postern_hosts:-}" ]]; then
    postern_hosts=$(mktemp)
    export postern_hosts
    code=0
    unshare --mount --propagation slave "Tests/scenarios/$(basename "$0")" || code=$?
    rm -f "$postern_hosts"
    exit "$code"
fi
mount --bind "$postern_hosts" /etc/hosts
export RESOLV_MULTI=on
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# The coordinator's name means these addresses from here on.
name_means() { local address; for address in "$@"; do echo "$address coordinator.test"; done >/etc/hosts; }
prepare_hosts() {
    coordinator_host=coordinator.test
    name_means 192.0.2.99 "$(underlay_address coordinator)"
    wireguard_at[node-b]="192.0.2.98 192.0.2.11"
}
doctor_says() { on_node node-a doctor | grep -q "$1"; }
status_says() { status node-a | jq -e --arg text "$1" '.coordinatorError // "" | contains($text)' >/dev/null; }
has_version() { [[ $(status node-a | jq .mapVersion) -ge $1 ]]; }
# answers_within SECONDS SESSION
answers_within() {
    local from=$SECONDS
    get "$2" 8081 "$1" >"$work/answer" && echo "# after $((SECONDS - from)) s" && grep -q 'this is ledger' "$work/answer"
}
sends_to() { grep -qF "$2:" <(in_session "$1" wg show "${device_of[$1]}" endpoints); }

build_programs
trap mesh_down EXIT
standard_mesh

echo "# a name with two addresses, of which the first is nobody's"
fact "nodes join by it" nodes_are_known
fact "an admin reaches it" grep -q node-b <(postern get nodes)
fact "doctor names the address that does not answer" doctor_says '^warning *coordinator.*192\.0\.2\.99:8443'
fact "and the one that does" doctor_says '^ok *coordinator.*192\.0\.2\.1:8443'

echo "# a node with two endpoints, of which the first is nobody's"
start_session one sleep 600
one=$session
fact "a session finds the second" answers_within 20 "$one"
fact "and sends there" sends_to "$one" 192.0.2.11
finish_session "$one"
start_session one sleep 600
one=$session
fact "the next session need not look for it" answers_within 2 "$one"

echo "# the coordinator goes away, and the name with it"
name_means
lab exec coordinator -- ip address add 192.0.2.3/24 dev lab-coordinator
lab exec coordinator -- ip address del 192.0.2.1/24 dev lab-coordinator
fact "the node says that no address is known" wait_until 45 status_says 'no address is known for `coordinator.test`'
fact "sessions go on" ledger_answers "$one"

echo "# it is back at another address"
name_means 192.0.2.3
version=$(postern policy apply "$work/p.cedar" | grep -oE '[0-9]+$')
fact "an admin reaches it there" test "${version:-0}" -gt 0
fact "and the node hears of the change by itself" wait_until 30 has_version "${version:-999999}"
run_agent one true
fact "an agent is started" test "$run_code" -eq 0

all_facts_hold
