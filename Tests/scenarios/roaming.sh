#!/bin/bash
# Nodes whose addresses on the underlay change, while what runs over the mesh goes on: who somebody is never changes.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

renumber() { # HOST NEW OLD
    lab exec "$1" -- ip address add "$2/24" dev "lab-$1"
    lab exec "$1" -- ip address del "$3/24" dev "lab-$1"
}
has_one_key() { [[ "$(keys_at "$1")" == "$2" ]]; }
# send_to SESSION ENDPOINT: what the session's device sends goes there from here on.
send_to() {
    in_session "$1" wg set "${device_of[$1]}" peer "$(lab exec node-b -- wg show "$(node_device node-b)" public-key)" \
        endpoint "$2"
}
answers_came_from() { [[ $(count_packets "$work/answers.pcap" "src host $1") -gt 0 ]]; }
no_answer_came_from() { [[ $(count_packets "$work/answers.pcap" "src host $1") -eq 0 ]]; }

build_programs
trap mesh_down EXIT
standard_mesh
start_session one sleep 600
one=$session

fact "the devices of the nodes and of the session are as asked for: $(session_kind "$one")" devices_are_as_asked "$one"

echo "# the agent's node gets another address"
fact "the ledger answers" ledger_answers "$one"
fact "node-b sends to the first address" endpoint_is_at "$one" 192.0.2.10
download_starts "$one"
renumber node-a 192.0.2.110 192.0.2.10
fact "a running download goes on to its end" download_is_whole
fact "node-b sends to the second address" endpoint_is_at "$one" 192.0.2.110
fact "the session's address is that of one key, the same" has_one_key "${address_of[$one]}" "${key_of[$one]}"
fact "what was denied still is" vault_is_silent "$one"

echo "# the service's node gets another address"
download_starts "$one"
renumber node-b 192.0.2.111 192.0.2.11
fact "a running download goes on to its end" download_is_whole
fact "the session sends to the second address" grep -q '192\.0\.2\.111:' \
    <(in_session "$one" wg show "${device_of[$one]}" endpoints)
fact "the ledger answers at once" ledger_answers "$one"
fact "what was denied still is" vault_is_silent "$one"

echo "# from IPv4 to IPv6 and back"
lab exec node-a -- ip address add 2001:db8::10/64 dev lab-node-a nodad
lab exec node-b -- ip address add 2001:db8::11/64 dev lab-node-b nodad
port=$(lab exec node-b -- wg show "$(node_device node-b)" listen-port)
kill -STOP "$(posternd_of node-a)"
# While data are on their way back, both ends take the other's last address for its place: so the tunnel is quiet first.
send_to "$one" "[2001:db8::11]:$port"
fact "the ledger answers over IPv6" ledger_answers "$one"
fact "node-b sends to the IPv6 address" endpoint_is_at "$one" 2001:db8::10
download_starts "$one"
fact "a download comes whole" download_is_whole
fact "the session's address is still that of the same key" has_one_key "${address_of[$one]}" "${key_of[$one]}"
send_to "$one" "192.0.2.111:$port"
fact "the ledger answers over IPv4 again" ledger_answers "$one"
fact "and node-b sends there" endpoint_is_at "$one" 192.0.2.110

echo "# an answer leaves from the address that was asked"
lab exec node-b -- ip address add 192.0.2.211/24 dev lab-node-b
lab exec node-b -- ip address add 2001:db8::211/64 dev lab-node-b nodad
for asked in 192.0.2.211 192.0.2.111 2001:db8::211 2001:db8::11; do
    capture node-b "$work/answers.pcap" lab-node-b "udp src port $port"
    send_to "$one" "$(endpoint "$asked" "$port")"
    fact "the ledger answers at $asked" ledger_answers "$one"
    stop_process "$pid"
    fact "from there" answers_came_from "$asked"
    fact "and from nowhere else" not [ "$(count_packets "$work/answers.pcap" "not src host $asked")" -gt 0 ]
done

echo "# the address that was asked goes away"
send_to "$one" "192.0.2.211:$port"
fact "the ledger answers" ledger_answers "$one"
download_starts "$one"
lab exec node-b -- ip address del 192.0.2.211/24 dev lab-node-b
fact "a running download goes on from the other address" download_is_whole
fact "to which the session sends" grep -q '192\.0\.2\.111:' <(in_session "$one" wg show "${device_of[$one]}" endpoints)
fact "what was denied still is" vault_is_silent "$one"

# wireguard-go answers by the interface that it was asked on, whatever becomes of the routes.
if [[ "$(device_kind node-a)" == wireguard ]]; then
    echo "# a better route takes a running flow over"
    lab exec node-a -- ip link add second type veth peer name second netns "$(basename "$(netns_of node-b)")"
    lab exec node-a -- ip address add 198.18.0.1/24 dev second
    lab exec node-b -- ip address add 198.18.0.2/24 dev second
    lab exec node-a -- ip link set second up
    lab exec node-b -- ip link set second up
    capture node-a "$work/second.pcap" second "udp port $port"
    second=$pid
    download_starts "$one"
    lab exec node-a -- ip route add 192.0.2.111/32 via 198.18.0.2 dev second
    fact "the download goes on to its end" download_is_whole
    stop_process "$second"
    fact "by the better route" test "$(count_packets "$work/second.pcap")" -gt 10
    fact "what was denied still is" vault_is_silent "$one"
fi
kill -CONT "$(posternd_of node-a)"

all_facts_hold
