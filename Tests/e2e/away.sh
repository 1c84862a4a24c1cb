#!/bin/bash
# The coordinator is away for longer than a session's lease: nodes renew their sessions through the mesh and flows go on,
# what nobody renews lapses, windows of time open and close, and a map past its own lease opens nothing. Then it is back.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

session_lease=$(patiently 10)
map_lease=$(patiently 45)
coordinator_options=(--session-lease "${session_lease}s" --map-lease "${map_lease}s")

wait_for_moment() { # SECONDS since 1970
    while [[ $(date +%s) -lt $1 ]]; do sleep "$pause"; done
}
after() { date --utc --date="@$((away + $1 * patience))" +%Y-%m-%dT%H:%M:%SZ; }
at() { wait_for_moment $((away + $1 * patience)); }

expires() { session_field "$one" expires; }
letters_came() { # the renewals of node-a, as node-b saw them
    [[ $(count_packets "$work/letters.pcap" "src host $(mesh_address node-a) and dst port 4747") -gt 0 ]]
}
has_ended() { ! awk '$1 == "State:" && $2 !~ /[ZX]/ { alive = 1 } END { exit !alive }' "/proc/$1/status" 2>/dev/null; }
has_no_device() { not lab exec "$1" -- ip link show "$(node_device "$1")" 2>/dev/null; }
window_is_open() { [[ "$(get "$1" 8083 1)" == 'this is clinic' ]]; }
window_is_closed() { not get "$1" 8083 1 >/dev/null; }
knows_only() { [[ "$(postern get sessions --json | jq -r '.[].id')" == "$1" ]]; }
# What is in the way, where something is, is said.
follows() { wait_until 40 node_is_ready "$1" || { status "$1" | jq -c '.problems[]' | sed 's/^/# /'; return 1; }; }
comes_to_know() { wait_until 15 knows_only "$1" || { postern get sessions | sed 's/^/# /'; return 1; }; }
download_grows() {
    local before
    before=$(stat --format=%s "$work/long")
    wait_until 3 is_longer_than "$before"
}
is_longer_than() { [[ $(stat --format=%s "$work/long") -gt $1 ]]; }
# Its process goes with its lease; its network namespace is held, so that there is somebody to ask from.
hold_network() {
    start "$work/hold.log" nsenter --net="/proc/${process_of[$1]}/ns/net" sleep 300
    process_of[$1]=$pid
}

build_programs
trap mesh_down EXIT
standard_mesh --nodes 3
start_service clinic 8083
{
    postern service add clinic --node node-b --port 8083
    postern agent create three --owner test --node node-c
} >/dev/null
echo 'permit (principal == Agent::"three", action == Action::"connect", resource == Service::"ledger");' >"$work/three.cedar"
postern policy apply "$work/three.cedar" >/dev/null
fact "a lease that is too short is refused" says 'is from 10s to 15m' "$bin/postern-coordinator" serve \
    --state "$work/coordinator" --listen 127.0.0.1:1 --session-lease 9s
start_session one sleep 600
one=$session
first_process=${process_of[$one]}
session_node=node-c start_session three sleep 600
three=$session
third_process=${process_of[$three]}
hold_network "$three"
fact "the ledger answers one" wait_until 5 ledger_answers "$one"
fact "and three, on another node" wait_until 5 ledger_answers "$three"
capture node-b "$work/letters.pcap" "$(node_device node-b)" 'udp port 4747'
letters=$pid

away=$(date +%s)
cat >"$work/window.cedar" <<END
permit (principal == Agent::"one", action == Action::"connect", resource == Service::"clinic")
when { context.now >= datetime("$(after 15)") && context.now < datetime("$(after 24)") };
END
postern policy apply "$work/window.cedar" >/dev/null
start "$work/long.log" nsenter --net="/proc/${process_of[$one]}/ns/net" \
    curl --silent --no-buffer --max-time 300 --output "$work/long" "http://$address_b:8081/slow/3000"
wait_until 5 test -s "$work/long"

echo "# the coordinator is away, and so is the daemon of three's node"
kill "$coordinator_pid" && wait "$coordinator_pid" 2>/dev/null || true
kill -KILL "$(posternd_of node-c)"
at 5
before=$(expires)
fact "before the window opens, what it permits is closed" window_is_closed "$one"
at 14
fact "a session whose own node is dead has lapsed after $session_lease s" ledger_is_silent "$three"
fact "and its process has ended by itself" wait_until 2 has_ended "$third_process"
fact "one is renewed without the coordinator" test "$(expires)" -gt "$before"
fact "through the mesh" letters_came
fact "and the ledger answers one" ledger_answers "$one"
at 15
fact "the window opens on time" wait_until 3 window_is_open "$one"
at 25
fact "and closes on time" window_is_closed "$one"
at 28
fact "after more than two leases the ledger answers one" ledger_answers "$one"
fact "and the download that began before goes on" download_grows
fact "its process runs" not has_ended "$first_process"
hold_network "$one"

echo "# the map has come to the end of its own lease"
at $((map_lease / patience + 3))
fact "nothing passes any more" ledger_is_silent "$one"
fact "the download stands still" stands_still "$work/long" 1
fact "the session has ended with the map" has_ended "$first_process"
fact "node-b has no mesh device left" wait_until 5 has_no_device node-b
kill -KILL "$(posternd_of node-b)"
launch_node node-b
wait_until 10 status node-b >/dev/null 2>&1
fact "a daemon that starts from that map opens nothing" has_no_device node-b
fact "and says why" grep -q 'the last one has run out' <(status node-b | jq -r '.problems[]')

echo "# it is back"
serve_coordinator
for node in node-a node-b; do fact "$node follows it again" follows "$node"; done
start_node node-c
start_session one sleep 600
one=$session
fact "a new session reaches what it may" wait_until 10 ledger_answers "$one"
fact "and nothing else" vault_is_silent "$one"
fact "the coordinator knows this session and no other" comes_to_know "$one"
stop_process "$letters"

all_facts_hold
