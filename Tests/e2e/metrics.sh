#!/bin/bash
# What both daemons tell Prometheus: it reads well for `promtool`, rises with what happens, and names nobody.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# Prints where Prometheus's own checker is. Its package is unpacked and not installed, for that would start a server.
promtool() {
    local place=.build/prometheus
    if [[ ! -x $place/usr/bin/promtool ]]; then
        mkdir -p "$place"
        (cd "$place" && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb) >&2
    fi
    echo "$place/usr/bin/promtool"
}

figures_of() { lab exec "$1" -- curl -fsS --max-time 5 "http://127.0.0.1:9464/metrics" >"$work/$1.metrics"; }
# of NAME[{LABELS}] FILE: its value.
of() { awk -v name="$1" '{ at = $0; sub(/ [^ ]*$/, "", at) } at == name { print $NF }' "$2"; }
is() { [[ "$(of "$1" "$2")" == "$3" ]]; }
is_over() { awk -v value="$(of "$1" "$2")" -v least="$3" 'BEGIN { exit !(value != "" && value > least) }'; }
names_nobody() { [[ -s $1 ]] && not grep -E 'ledger|vault|"one"|node-[ab]|[^0-9]10\.[0-9]+\.' "$1"; }
reads_well() { [[ -s $1 ]] && "$tool" check metrics <"$1"; }

coordinator_options=(--metrics 127.0.0.1:9464)
node_options=(--metrics 127.0.0.1:9464)
passes() { run_agent one curl -fsS --max-time 10 "http://$address_b:$1/" && [[ $run_code -eq 0 ]]; }

build_programs
trap 'mesh_down; all_facts_hold' EXIT
tool=$(realpath "$(promtool)")
# shellcheck disable=SC2119
standard_mesh

fact "the coordinator tells its figures" figures_of coordinator
figures=$work/coordinator.metrics
fact "which read well" reads_well "$figures"
fact "it has two nodes" is postern_coordinator_nodes "$figures" 2
fact "which listen" is postern_coordinator_nodes_listening "$figures" 2
fact "two agents" is postern_coordinator_agents "$figures" 2
fact "two services" is postern_coordinator_services "$figures" 2
fact "a policy" is postern_coordinator_policies "$figures" 1
fact "what was asked is counted" is 'postern_coordinator_requests_total{route="join",status="200"}' "$figures" 2
fact "and nobody is named" names_nobody "$figures"

fact "a session reaches its service" passes 8081
fact "and not another one" not passes 8082
fact "a node tells its figures" figures_of node-a
figures=$work/node-a.metrics
fact "which read well" reads_well "$figures"
fact "the coordinator answers the node" is postern_coordinator_up "$figures" 1
fact "what passed is counted" \
    is_over 'postern_packets_total{place="session_egress",reason="allowed",verdict="pass"}' "$figures" 3
fact "with its bytes" \
    is_over 'postern_packet_bytes_total{place="session_egress",reason="allowed",verdict="pass"}' "$figures" 200
fact "what was refused too" is_over 'postern_packets_total{place="connect",reason="no_service",verdict="drop"}' "$figures" 0
fact "and that records were made of it" is_over postern_audit_records_total "$figures" 2
fact "the map's end lies ahead" is_over postern_map_expiry_timestamp_seconds "$figures" "$(date +%s)"
fact "the certificate's too" is_over postern_certificate_expiry_timestamp_seconds "$figures" "$(date +%s)"
fact "and nobody is named" names_nobody "$figures"

fact "another path is not found" not lab exec node-a -- curl -fsS http://127.0.0.1:9464/ 2>/dev/null
run_agent one curl -fsS --max-time 5 http://127.0.0.1:9464/metrics
fact "an agent does not reach the node's figures" test "$run_code" -ne 0
lab exec coordinator -- "$bin/postern-coordinator" init --state "$work/other" --mesh other.internal --url https://192.0.2.1:8444 >/dev/null
fact "a place that is taken is said" says "cannot serve metrics at \`127.0.0.1\`, port 9464: address already in use" \
    lab exec coordinator -- timeout 10 "$bin/postern-coordinator" serve --state "$work/other" --listen '[::1]:8444' --metrics 127.0.0.1:9464
all_facts_hold
