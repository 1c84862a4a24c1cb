#!/bin/bash
# A mesh whose nodes reach each other over IPv6 alone; only the coordinator is asked over IPv4.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

outer_packets() { count_packets "$work/underlay6.pcap" "$1"; }

prepare_hosts() {
    local node number=10
    for node in $(nodes); do
        wireguard_at[$node]=2001:db8::$number
        lab exec "$node" -- ip address add "2001:db8::$number/64" dev "lab-$node" nodad
        # WireGuard's packets over IPv4 go nowhere, so that none can help.
        lab exec "$node" -- nft add table ip no4
        lab exec "$node" -- nft add chain ip no4 out '{ type filter hook output priority 0; }'
        lab exec "$node" -- nft add rule ip no4 out udp dport 51820 drop
        number=$((number + 1))
    done
}

build_programs
trap mesh_down EXIT
standard_mesh
capture underlay "$work/underlay6.pcap" any 'ip or ip6'
underlay_capture=$pid
start_session one sleep 600
one=$session
fact "two nodes join" nodes_are_known
fact "the ledger answers" ledger_answers "$one"
fact "the vault does not" vault_is_silent "$one"
fact "node-b sends to the IPv6 address" endpoint_is_at "$one" "${wireguard_at[node-a]}"
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
