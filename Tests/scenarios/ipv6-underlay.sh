#!/bin/bash
# A mesh of machines that have IPv6 addresses and no others: the coordinator is asked, and nodes reach each other, over IPv6.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

outer_packets() { count_packets "$work/underlay6.pcap" "$1"; }

has_no_ipv4() { # HOST: not counting the loopback, and what the mesh brings
    [[ -z "$(lab exec "$1" -- ip -4 -oneline address show dev "lab-$1")" ]]
}

build_programs
trap mesh_down EXIT
standard_mesh --ipv6-only
capture underlay "$work/underlay6.pcap" any 'ip or ip6'
underlay_capture=$pid
start_session one sleep 600
one=$session
fact "the hosts have no IPv4 address" has_no_ipv4 coordinator
fact "nor have the nodes" has_no_ipv4 node-a
fact "two nodes join" nodes_are_known
fact "by a coordinator at an IPv6 address" grep -qF "https://[2001:db8::1]:8443" "$work/coordinator.log"
fact "which they name" test "$(status node-a | jq -r .coordinatorURL)" = 'https://[2001:db8::1]:8443'
fact "and doctor reaches" grep -q '2001:db8::1.*answers' <(on_node node-a doctor)
fact "the ledger answers" ledger_answers "$one"
fact "the vault does not" vault_is_silent "$one"
fact "node-b sends to the IPv6 address" endpoint_is_at "$one" "$(underlay_address node-a)"
download_starts "$one"
fact "a download comes whole" download_is_whole
run_agent one curl --silent --show-error --max-time "$(patiently 5)" "http://ledger.$mesh:8081/"
fact "an agent calls the ledger by its name" grep -q 'this is ledger' "$work/run.out"
run_agent one curl --silent --show-error --max-time "$(patiently 5)" "http://$address_b:8082/"
fact "and is told why not the vault" denied one "$address_b:8082"
stop_process "$underlay_capture"
fact "all of WireGuard went by IPv6" test "$(outer_packets 'ip6 and udp port 51820')" -gt 10 -a "$(outer_packets 'ip and udp')" -eq 0
fact "and the answer's text was nowhere on the underlay" not grep -qaF 'this is ledger' "$work/underlay6.pcap"
fact "a session ends within a second" ends_within 1000 "$one"

all_facts_hold
