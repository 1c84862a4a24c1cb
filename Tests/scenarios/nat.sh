#!/bin/bash
# A node behind a router that changes addresses, and forgets a silent flow after two seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

router() { lab exec nat -- "$@"; }
# The router takes ports from this range for flows that are new to it.
ports() {
    router nft -f - <<END
flush ruleset
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname "lab-nat" meta l4proto { tcp, udp } masquerade to :$1
    }
}
END
}
comes_from_ports() { # SESSION FIRST LAST
    local port
    port=$(endpoint_of "$1") && port=${port##*:}
    [[ $port -ge $2 && $port -le $3 ]]
}

keepalive_of() { in_session "$1" wg show "${device_of[$1]}" persistent-keepalive | cut -f 2; }

build_programs
trap mesh_down EXIT
standard_mesh --nat node-a
fact "a node behind a router joins, and runs" nodes_are_known
router sysctl --quiet --write net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2
ports 20000-20999
start_session one sleep 600
one=$session
fact "its session reaches the ledger" wait_until 5 ledger_answers "$one"
fact "and not the vault" vault_is_silent "$one"
fact "node-b knows the router's address alone" endpoint_is_at "$one" "$(underlay_address nat)"
fact "and the port that it gave" comes_from_ports "$one" 20000 20999
fact "the session speaks after 25 s of silence at the latest, so that routers remember it" test "$(keepalive_of "$one")" = 25
download_starts "$one"
fact "a download comes whole" download_is_whole

echo "# the router forgets"
ports 30000-30999
sleep 3
fact "after a silence the ledger answers again" ledger_answers "$one"
fact "for node-b follows to the new port" comes_from_ports "$one" 30000 30999
fact "the address is still that of one key" test "$(keys_at "${address_of[$one]}")" = "${key_of[$one]}"
fact "and what was denied still is" vault_is_silent "$one"

all_facts_hold
