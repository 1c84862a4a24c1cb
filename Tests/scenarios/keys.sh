#!/bin/bash
# An inner address belongs to one key. When it is given to another, by a hand that is not ours, packets of the first are
# dropped though they are authentic; and the node puts it right.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

on_b() { lab exec node-b -- wg "$1" "$(node_device node-b)" "${@:2}"; }
belongs_to() { [[ "$(keys_at "${address_of[$1]}")" == "${key_of[$2]}" ]]; }
sends_from_port() { [[ "$(endpoint_of "$1")" == *:"$2" ]]; }

build_programs
trap mesh_down EXIT
standard_mesh
echo 'permit (principal == Agent::"two", action == Action::"connect", resource == Service::"vault");' >"$work/two.cedar"
postern policy apply "$work/two.cedar" >/dev/null
start_session two sleep 600
two=$session
start_session one sleep 600
one=$session
fact "the devices of the nodes and of the session are as asked for: $(session_kind "$one")" devices_are_as_asked "$one"
fact "the ledger answers one" wait_until 5 ledger_answers "$one"
fact "the vault answers two" test "$(get "$two" 8082)" = 'this is vault'
fact "each address has its own key" belongs_to "$one" "$one"
fact "and the other its own" belongs_to "$two" "$two"

kill -STOP "$(posternd_of node-b)"
on_b set peer "${key_of[$two]}" allowed-ips "${address_of[$two]}/32,${address_of[$one]}/32"
fact "now one's address belongs to two's key" belongs_to "$one" "$two"
fact "the ledger does not answer one any more" ledger_is_silent "$one"
fact "for WireGuard refuses its source" wireguard_refused_source
in_session "$one" wg set "${device_of[$one]}" listen-port 40404
ledger_is_silent "$one" || true
fact "though its packets are authentic: node-b follows them to another port" wait_until 5 sends_from_port "$one" 40404
fact "and two reaches no more than before" not get "$two" 8081 1
kill -CONT "$(posternd_of node-b)"
fact "the node gives the address back to its key" wait_until 40 belongs_to "$one" "$one"
fact "and the ledger answers one" wait_until 20 ledger_answers "$one"
fact "and the vault two" test "$(get "$two" 8082)" = 'this is vault'

all_facts_hold
