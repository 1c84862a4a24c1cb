#!/bin/bash
# Daemons, tunnels and the coordinator killed at moments of a seeded chance, while what is denied is tried a thousand
# times a second: nothing of it arrives, what is allowed goes on, and all is as planned again.
#
#   POSTERN_CRASH_SEED     which moments; the one of this run is printed
#   POSTERN_CRASH_ROUNDS   how often each is killed
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh

seed=${POSTERN_CRASH_SEED:-$RANDOM}
rounds=${POSTERN_CRASH_ROUNDS:-3}
RANDOM=$seed
echo "# seed $seed"

failures=0
fact() {
    local sentence=$1
    shift
    if "$@"; then echo "ok - $sentence"; else
        failures=$((failures + 1))
        echo "not ok - $sentence"
    fi
}

# A pause of up to that many milliseconds.
nap() { local ms=$((RANDOM % $1)) && sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"; }

ledger_answers() {
    [[ "$(in_session "$one" curl --silent --max-time "$(patiently 3)" "http://$address_b:8081/")" == 'this is ledger' ]]
}
is_alive() { awk '$1 == "State:" && $2 !~ /[ZX]/ { alive = 1 } END { exit !alive }' "/proc/$1/status" 2>/dev/null; }
kill_node() { # NODE: at once, as a crash would
    local pid
    pid=$(posternd_of "$1")
    kill -KILL "$pid"
    wait_until 5 not is_alive "$pid"
}
tunnel_of() { cut -d' ' -f1 "$(node_state "$1")/wireguard/$2.pid" 2>/dev/null; }
# within MILLISECONDS COMMAND...: how long it takes to hold is said.
within() {
    local limit=$1 from span
    shift
    from=$(date +%s%N)
    wait_until 10 "$@" || return 1
    span=$((($(date +%s%N) - from) / 1000000))
    echo "# after $span ms"
    [[ $span -lt $(patiently "$limit") ]]
}
has_another_tunnel() {
    local other
    other=$(tunnel_of node-a "${device_of[$one]}") && [[ "$other" != "$1" ]] && is_alive "$other"
}
has_address_b() { lab exec node-b -- ip -4 -o address show dev "$device_b" 2>/dev/null | grep -qF "$address_b"; }
knows_session() {
    status node-a 2>/dev/null | jq -e --arg id "$one" \
        '(.sessions | any(.id == $id)) and (.devices | any(.session == $id and .classifierAttached))' >/dev/null
}

# A thousand datagrams a second to a port that policy does not grant, and at it somebody who counts what comes.
start_flood() {
    echo 0 >"$work/arrived"
    echo 0 >"$work/sent"
    start "$work/count.log" scripts/lab exec node-b -- python3 -I -S Tests/e2e/flood.py count "$work/arrived"
    start "$work/flood.log" nsenter --net="/proc/${process_of[$one]}/ns/net" \
        python3 -I -S Tests/e2e/flood.py send "$address_b" "$work/sent"
    flood_pid=$pid
    wait_until 5 has_sent 100
}
has_sent() { [[ "$(cat "$work/sent")" -ge $1 ]]; }
has_arrived() { [[ "$(cat "$work/arrived")" -ge $1 ]]; }
nothing_arrived() {
    local arrived
    arrived=$(($(cat "$work/arrived") - 1))
    [[ "$arrived" -eq 0 ]] || { echo "# $arrived of $(cat "$work/sent") arrived" && false; }
}
# The counter can count: one that is sent beside the mesh arrives.
counter_counts() {
    in_node_a python3 -I -S -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"denied", (sys.argv[1], 9999))' "$(underlay_address node-b)"
    wait_until 5 has_arrived 1
}

# Something for the reconciler to do while it is killed: a grant that comes and goes, and sessions of another agent.
stir() {
    if ((RANDOM % 2)); then postern policy apply "$work/more.cedar"; else postern policy delete more.cedar; fi
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) timeout 5 nsenter --net="$(netns_of node-a)" \
        "$bin/postern" run --agent two --user nobody -- true) </dev/null || true
} >/dev/null 2>&1

build_programs
trap mesh_down EXIT
mesh_up
start_service ledger 8081
{
    postern agent create one --owner demo --node node-a
    postern agent create two --owner demo --node node-a
    postern service add ledger --node node-b --port 8081
    postern service add other --node node-b --port 8083
} >/dev/null
echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");' >"$work/p.cedar"
echo 'permit (principal == Agent::"two", action == Action::"connect", resource == Service::"other");' >"$work/more.cedar"
postern policy apply "$work/p.cedar" >/dev/null
start_session one sleep 900
one=$session
fact "the ledger answers" wait_until 10 ledger_answers
start_flood
fact "(what counts arrivals, counts)" counter_counts

echo "# the daemon of the agent's node"
in_session "$one" curl --silent --max-time 60 --output "$work/download" "http://$address_b:8081/slow" &
download=$!
for ((round = 1; round <= rounds; round++)); do
    stir &
    stirring=$!
    nap 1500
    kill_node node-a
    fact "with it killed (round $round) the ledger answers" ledger_answers
    start_node node-a
    wait "$stirring" || true
    fact "it takes the session over again" wait_until 10 knows_session
    fact "and the ledger answers" wait_until 10 ledger_answers
done
wait "$download" || true
fact "a download went on through all of that" test "$(stat -c %s "$work/download")" -eq 6000000
fact "nothing that is denied arrived" nothing_arrived

echo "# WireGuard under the agent's session"
for ((round = 1; round <= rounds; round++)); do
    tunnel=$(tunnel_of node-a "${device_of[$one]}") || break
    nap 500
    kill -KILL "$tunnel"
    fact "that it died is noticed at once (round $round)" within 1000 has_another_tunnel "$tunnel"
    fact "and it is built anew" within 5000 ledger_answers
done
fact "nothing that is denied arrived" nothing_arrived

echo "# a foreign hand at the far node's device"
device_b=$(node_device node-b)
is_up() { lab exec node-b -- ip -j link show "$device_b" 2>/dev/null | jq -e '.[0].flags | index("UP")' >/dev/null; }
lab exec node-b -- ip link set "$device_b" down
fact "a device that is taken down is up again at once" within 1000 is_up
fact "and the ledger answers" wait_until 20 ledger_answers
lab exec node-b -- ip address flush dev "$device_b"
fact "one without addresses has them again at once" within 1000 has_address_b
lab exec node-b -- ip link del "$device_b"
fact "one that is deleted is made again at once" within 2000 is_up
fact "and the ledger answers soon, for the node knows where its callers were" within 5000 ledger_answers
fact "nothing that is denied arrived" nothing_arrived

echo "# every nftables ruleset flushed, and its daemon started again in a mount namespace of its own"
# What a unit of systemd gets by almost any of its hardening options: mounts that come in and do not go out.
isolated() {
    nsenter --net="$(netns_of node-b)" -- unshare --mount --propagation slave -- sh -ec '
        mount -t tmpfs tmpfs /mnt && mount -o remount,bind,ro /usr 2>/dev/null || mount --bind /usr /usr
        exec "$@"' - "$bin/posternd" run --state "$(node_state node-b)" --socket "$(node_socket node-b)" \
        --bpffs "$(node_bpffs node-b)" --device "$device_b" ${POSTERN_TEST_BACKEND:+--wireguard "$POSTERN_TEST_BACKEND"}
}
flush() {
    local host
    for host in node-a node-b; do lab exec "$host" -- nft flush ruleset; done
    nsenter --net="/proc/${process_of[$one]}/ns/net" -- nft flush ruleset
}
kill_node node-b
flush
fact "with the rules flushed and the daemon dead the ledger answers" ledger_answers
for ((round = 1; round <= rounds; round++)); do
    start "$work/node-b.log" isolated
    fact "a daemon in a mount namespace of its own is ready (round $round)" wait_until 15 node_is_ready node-b
    fact "with its own mounts" not test "/proc/$(posternd_of node-b)/ns/mnt" -ef /proc/self/ns/mnt
    fact "and the ledger answers" wait_until 20 ledger_answers
    nap 700
    kill_node node-b
    flush
    fact "when it dies what it pinned stays: the ledger answers" ledger_answers
done
start_node node-b
fact "a daemon without such a namespace takes over" wait_until 20 ledger_answers
fact "nothing that is denied arrived" nothing_arrived

echo "# the far node, called by a node that judges nothing"
kill_node node-a
kill "$flood_pid" && wait "$flood_pid" 2>/dev/null || true
detach_pinned "$(node_bpffs node-a)/device-${device_of[$one]}"
start "$work/flood.log" nsenter --net="/proc/${process_of[$one]}/ns/net" \
    python3 -I -S Tests/e2e/flood.py send "$address_b" "$work/sent"
for ((round = 1; round <= rounds; round++)); do
    nap 1000
    kill_node node-b
    fact "with its daemon killed (round $round) the ledger answers" ledger_answers
    start_node node-b
    fact "and when it is back" wait_until 10 ledger_answers
    if tunnel=$(tunnel_of node-b "$(node_device node-b)") && [[ -n "$tunnel" ]]; then
        nap 500
        kill -KILL "$tunnel"
        fact "its WireGuard is built anew" wait_until 20 ledger_answers
    fi
done
fact "what is denied came to it, and nothing passed" nothing_arrived

echo "# the coordinator"
start_node node-a
kill -KILL "$coordinator_pid"
wait "$coordinator_pid" 2>/dev/null || true
nap 1000
fact "with it killed the ledger answers" ledger_answers
kill_node node-b
start_node node-b
fact "also after a restart of the far node" wait_until 10 ledger_answers
serve_coordinator
postern policy delete p.cedar >/dev/null
ledger_is_silent() { not ledger_answers; }
fact "when it is back it is followed again: the grant ends" wait_until 30 ledger_is_silent
fact "and nothing that is denied has arrived, of $(cat "$work/sent")" nothing_arrived

[[ $failures -eq 0 ]]
