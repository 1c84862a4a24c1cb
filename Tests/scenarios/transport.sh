#!/bin/bash
# Much traffic and large packets through a tunnel with policy in place: nothing is lost, nothing passes uncounted, and what
# is denied stays denied beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# bulk SESSION ARGUMENT...: with iperf3 for two seconds; its report is in $work/bulk.json.
bulk() {
    local id=$1
    shift
    in_session "$id" timeout "$(patiently 20)" iperf3 --client "$address_b" --time 2 --json "$@" >"$work/bulk.json" \
        || { jq -r '.error // "no error"' "$work/bulk.json" | sed 's/^/# /' && return 1; }
}
# All that was sent arrived: iperf3 counts both ends.
carried() { # STREAMS
    jq -e --argjson streams "$1" '.end.streams | length == $streams and all(.[]; .receiver.bytes > 0)' "$work/bulk.json" \
        >/dev/null || return 1
    echo "# $(jq '.end.sum_received.bits_per_second / 1000000 | round' "$work/bulk.json") Mbit/s in $1 streams"
}
# What the device of node-b took in, by its classifier's own counters, for whatever reason.
counted() { packets node-b 'into the node' ''; }
# A late segment of TCP may still be on its way.
settled() { local was; was=$(counted) && sleep 0.5 && [[ "$(counted)" -eq "$was" ]]; }
longest() { tcpdump -n -r "$1" 2>/dev/null | sed -nE 's/.*length ([0-9]+).*/\1/p' | sort -n | tail -n 1; }
vault_stays_silent_beside() { # COMMAND...: all the while the command runs, and the command succeeds
    "$@" &
    local running=$! tries=0 code=0
    while kill -0 "$running" 2>/dev/null; do
        vault_is_silent "$one" || { wait "$running" || true; return 1; }
        tries=$((tries + 1))
    done
    wait "$running" || code=$?
    echo "# the vault was called $tries times"
    [[ $code -eq 0 && $tries -gt 0 ]]
}

build_programs
trap mesh_down EXIT
standard_mesh
postern service add bulk --node node-b --port 5201 >/dev/null
echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"bulk");' >"$work/bulk.cedar"
postern policy apply "$work/bulk.cedar" >/dev/null
start "$work/iperf3.log" scripts/lab exec node-b -- iperf3 --server
start_session one sleep 600
one=$session
fact "the devices of the nodes and of the session are as asked for: $(session_kind "$one")" devices_are_as_asked "$one"
fact "the ledger answers" wait_until 5 ledger_answers "$one"

echo "# every packet is counted"
wait_until 5 settled
capture node-b "$work/in.pcap" "$(node_device node-b)" "dst host $address_b"
inner=$pid
before=$(counted)
for _ in {1..30}; do get "$one" 8081 >/dev/null || true; done
for _ in {1..5}; do get "$one" 8082 1 >/dev/null || true; done
wait_until 5 settled
sleep 0.2
stop_process "$inner"
after=$(counted)
fact "node-b counts the $((after - before)) packets that tcpdump sees come out of the tunnel" \
    test "$((after - before))" -eq "$(count_packets "$work/in.pcap")"

echo "# much of it"
for streams in 1 5 50; do
    fact "$streams streams of TCP go to the service at once" bulk "$one" --parallel "$streams"
    fact "and each arrives" carried "$streams"
done
fact "and come from it" bulk "$one" --parallel 5 --reverse
fact "and arrive" carried 5
fact "beside 50 streams, what is denied stays denied" vault_stays_silent_beside bulk "$one" --parallel 50
agent_two() { run_agent two curl --silent --max-time 1 "http://$address_b:5201/"; [[ $run_code -ne 0 ]]; }
fact "another agent reaches none of it" agent_two

echo "# no packet is too large for the underlay"
capture underlay "$work/outer.pcap" any "udp port 51820 or ip[6:2] & 0x3fff != 0"
outer=$pid
bulk "$one" || true
stop_process "$outer"
fact "no fragment was on the underlay" test "$(count_packets "$work/outer.pcap" 'ip[6:2] & 0x3fff != 0')" -eq 0
fact "and the longest datagram fits it: $(longest "$work/outer.pcap") bytes" test "$(longest "$work/outer.pcap")" -le 1472

echo "# large packets, where the underlay takes them"
for node in node-a node-b; do lab exec "$node" -- ip link set "lab-$node" mtu 9000; done
ip -n "$(basename "$(netns_of underlay)")" link set to-node-a mtu 9000
ip -n "$(basename "$(netns_of underlay)")" link set to-node-b mtu 9000
in_session "$one" ip link set "${device_of[$one]}" mtu 8900
lab exec node-b -- ip link set "$(node_device node-b)" mtu 8900
capture underlay "$work/large.pcap" any "udp port 51820"
large=$pid
fact "5 streams go" bulk "$one" --parallel 5
fact "and each arrives" carried 5
stop_process "$large"
fact "in datagrams of $(longest "$work/large.pcap") bytes" test "$(longest "$work/large.pcap")" -gt 8000
fact "the ledger answers" ledger_answers "$one"
fact "what was denied still is" vault_is_silent "$one"

all_facts_hold
