#!/bin/bash
# An inner address belongs to one key. When it is given to another, by a hand that is not ours, packets of the first are
# dropped though they are authentic; and the node puts it right. When a session's key is exchanged, its connections go on.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

on_b() { lab exec node-b -- wg "$1" "$(node_device node-b)" "${@:2}"; }
session_is_up() {
    status node-a | jq -e --arg id "$1" '.devices | any(.session == $id and .classifierAttached)' >/dev/null
}
belongs_to() { [[ "$(keys_at "${address_of[$1]}")" == "${key_of[$2]}" ]]; }
sends_from_port() { [[ "$(endpoint_of "$1")" == *:"$2" ]]; }

# Reads what comes, slowly made, and says how many bytes came and how long it stood still at most, in milliseconds.
download_with_gaps() { # SESSION PIECES
    cat >"$work/gaps.py" <<'PY'
import socket, sys, time
out = socket.create_connection((sys.argv[1], 8081), timeout=60)
out.sendall(f"GET /slow/{sys.argv[2]} HTTP/1.0\r\n\r\n".encode())
total, gap, last = 0, 0, time.monotonic()
while data := out.recv(65536):
    now = time.monotonic()
    total, gap, last = total + len(data), max(gap, now - last), now
print(total, int(gap * 1000))
PY
    : >"$work/gaps"
    start "$work/gaps" nsenter --net="/proc/${process_of[$1]}/ns/net" \
        python3 -I -S "$work/gaps.py" "$(in_url "$address_b")" "$2"
    download=$pid
}
download_went_on() { # PIECES MILLISECONDS
    local total gap
    wait "$download" || true
    read -r total gap <"$work/gaps" || { echo "# it broke off: $(cat "$work/gaps")"; return 1; }
    echo "# $total bytes came; it stood still for $gap ms at most"
    [[ $total -gt $(($1 * 20000)) && $gap -lt $(patiently "$2") ]]
}
rotate() { # SESSION: and learns the new key
    local said
    said=$(on_node node-a session rotate "$1") || return 1
    old_key=${key_of[$1]}
    key_of[$1]=$(in_session "$1" wg show "${device_of[$1]}" public-key)
    [[ "$said" == *"${key_of[$1]}" && "${key_of[$1]}" != "$old_key" ]]
}
has_another_key() { # SESSION: two stand on the disk, of which one counts
    jq -e ".nextKey != null" "$(node_state node-a)/sessions/$1.json" >/dev/null
}
has_other_key_than() { [[ "$(in_session "$2" wg show "${device_of[$2]}" public-key)" != "$1" ]]; }
is_forgotten() { # KEY
    local peers
    peers=$(on_b show peers) && not grep -qF "$1" <<<"$peers"
}

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
# The session's own node would put the port right.
kill -STOP "$(posternd_of node-a)"
in_session "$one" wg set "${device_of[$one]}" listen-port 40404
ledger_is_silent "$one" || true
fact "though its packets are authentic: node-b follows them to another port" wait_until 5 sends_from_port "$one" 40404
fact "and two reaches no more than before" not get "$two" 8081 1
kill -CONT "$(posternd_of node-a)" "$(posternd_of node-b)"
fact "the node gives the address back to its key" wait_until 40 belongs_to "$one" "$one"
fact "and the ledger answers one" wait_until 20 ledger_answers "$one"
fact "and the vault two" test "$(get "$two" 8082)" = 'this is vault'

echo "# another key for a session that runs"
download_with_gaps "$one" 250
sleep 0.5
fact "a session's key is exchanged" rotate "$one"
fact "its address is the new key's" wait_until 5 belongs_to "$one" "$one"
fact "and the old key is nobody's" wait_until 5 is_forgotten "$old_key"
fact "and once more" rotate "$one"
fact "a download from before went on, with at most 6 s of silence" download_went_on 250 6000
fact "the ledger answers one" ledger_answers "$one"
fact "and nothing more does" vault_is_silent "$one"
fact "two's key is what it was" belongs_to "$two" "$two"
kill -KILL "$(posternd_of node-a)"
start_node node-a
fact "a daemon that starts finds the session by its new key" wait_until 5 session_is_up "$one"
fact "and lets it be" test "$(in_session "$one" wg show "${device_of[$one]}" public-key)" = "${key_of[$one]}"

echo "# a daemon that ends while it exchanges a key, and one that exchanges by itself"
kill -STOP "$coordinator_pid"
(on_node node-a session rotate "$one" >/dev/null 2>&1 || true) &
rotation=$!
fact "the new key is on the disk before anybody is told of it" wait_until 5 has_another_key "$one"
kill -KILL "$(posternd_of node-a)"
kill -CONT "$coordinator_pid"
wait "$rotation"
start_node node-a
fact "a daemon that starts after that goes on with the session" wait_until 5 session_is_up "$one"
fact "the ledger answers one, by whichever key the map shows" wait_until 10 ledger_answers "$one"
fact "and the exchange can be made" rotate "$one"
fact "the ledger answers one by the new key" wait_until 10 ledger_answers "$one"
kill -KILL "$(posternd_of node-a)"
old_key=${key_of[$one]}
node_options=(--session-key-life 10s)
start_node node-a
node_options=()
download_with_gaps "$one" 250
fact "a key that has grown old is exchanged by itself" wait_until 30 has_other_key_than "$old_key" "$one"
kill -KILL "$(posternd_of node-a)"
start_node node-a
fact "and a download from before went on" download_went_on 250 6000
fact "the ledger answers one" wait_until 10 ledger_answers "$one"
fact "a session that is none has no key" says 'there is no session' on_node node-a session rotate "$(printf '%032d' 0)"

all_facts_hold
