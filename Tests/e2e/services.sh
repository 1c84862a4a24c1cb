#!/bin/bash
# What the node does for the people of its machine: up, down, whois, ping, doctor, names.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh

failures=0
fact() {
    local sentence=$1
    shift
    if "$@"; then echo "ok - $sentence"; else
        failures=$((failures + 1))
        echo "not ok - $sentence"
    fi
}
exits() { # CODE COMMAND...
    local expected=$1 code=0
    shift
    "$@" >"$work/exits.out" 2>&1 || code=$?
    [[ $code -eq $expected ]] || { echo "# it exited with $code: $(head -c 600 "$work/exits.out")"; return 1; }
}
says() { # CODE TEXT COMMAND...: and these words
    local text=$2
    exits "$1" "${@:3}" && grep -qF -- "$text" "$work/exits.out" || { head -c 600 "$work/exits.out" | sed 's/^/# /'; return 1; }
}
finds() { # NODE CHECK LEVEL: what doctor says
    on_node "$1" doctor --json >"$work/doctor.json" 2>/dev/null || true
    jq -e --arg check "$2" --arg level "$3" '.findings | any(.check == $check and .level == $level)' "$work/doctor.json" \
        >/dev/null || { jq -c '.findings[] | select(.level != "ok")' "$work/doctor.json" | sed 's/^/# /'; return 1; }
}
device_exists() { lab exec "$1" -- ip link show "$(node_device "$1")" >/dev/null 2>&1; }
whose() { on_node "$1" whois "$2" --json | jq -r "$3"; }

build_programs
trap mesh_down EXIT
mesh_up
start_service ledger 8081
{
    postern agent create one --owner ana --node node-a
    postern agent create two --owner ana --node node-a
    postern service add ledger --node node-b --port 8081
} >/dev/null
echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");' >"$work/p.cedar"
postern policy apply "$work/p.cedar" >/dev/null
start_session one sleep 600
one=$session

echo "# who is who"
fact "the session's address is the agent's" test "$(whose node-a "${address_of[$one]}" '.[0].agent')" == one
fact "the far node knows it, too" test "$(whose node-b "${address_of[$one]}" '.[0].session')" == "$one"
fact "with its owner" test "$(whose node-b "${address_of[$one]}" '.[0].owner')" == ana
fact "a service's name means its node" test "$(whose node-a "ledger.$mesh" '.[0].node')" == node-b
fact "who is nobody is not found" says 1 'nobody that node `node-a` deals with' on_node node-a whois nobody-knows

echo "# does it answer"
fact "a granted service is reached by ping" says 0 '2 of 2 answered (TCP port 8081, as agent `one`)' \
    on_node node-a ping ledger --count 2
fact "and the tunnel's handshake is told" grep -q 'last handshake [0-9]' "$work/exits.out"
fact "a service that nobody here is granted is not tried, and that is said" \
    says 2 'no session of this node is granted service `ledger`' on_node node-b ping ledger
fact "what is not there is not pinged" says 1 'no node or service' on_node node-a ping nobody-knows

echo "# doctor"
fact "node-a is without a problem" exits 0 on_node node-a doctor
fact "on node-b the ledger listens past the mesh, and doctor says so" finds node-b service warning
fact "the coordinator's address is tried" finds node-b coordinator ok
fact "a node without its daemon has a problem" says 1 'does not answer' \
    env POSTERN_SOCKET=/nowhere.sock scripts/lab exec node-a -- "$bin/postern" doctor

echo "# down and up"
as_nobody() { POSTERN_SOCKET=$(node_socket node-a) in_node_a setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/postern" "$@"; }
fact "only root takes the mesh down" says 1 'only root may take the mesh down' as_nobody down
fact "root does" says 0 'the mesh is down here' on_node node-a down
fact "the device is gone" not device_exists node-a
fact "and the session with it" wait_until 5 test ! -e "/proc/${process_of[$one]}"
run_agent one true
fact "no new one begins" grep -q 'the mesh is down here: `postern up` brings it up' "$work/run.err"
fact "the wall stays" test -e "$(node_bpffs node-a)/wall/wall4"
kill "$node_a_pid"
wait_until 10 test ! -e "/proc/$node_a_pid" || true
start "$work/node-a.log" scripts/lab exec node-a -- "$bin/posternd" run --state "$(node_state node-a)" \
    --socket "$(node_socket node-a)" --bpffs "$(node_bpffs node-a)" --device "$(node_device node-a)"
is_down() { status node-a 2>/dev/null | jq -e '.isDown' >/dev/null; }
fact "a restart remembers it" wait_until 10 is_down
fact "and makes no device" not device_exists node-a
fact "doctor says that it is down" finds node-a mesh warning
fact "up brings it back" says 0 'is up:' on_node node-a up
fact "with its device" device_exists node-a
run_agent one curl --silent --max-time "$(patiently 5)" "http://ledger.$mesh:8081/"
fact "and agents reach what they may" grep -q 'this is ledger' "$work/run.out"
fact "up without anything to do is done" exits 0 on_node node-a up
fact "a token on a machine that has joined is refused" says 1 'already node' \
    on_node node-a up --token-file "$work/node-a.token" --name node-a

echo "# a machine that joins by its daemon"
postern join-token create --node node-c --output "$work/node-c.token" >/dev/null
start "$work/node-c.log" scripts/lab exec coordinator -- "$bin/posternd" run --state "$work/node-c" \
    --socket "$work/node-c.sock" --bpffs "$(node_bpffs coordinator)" --device ptc
on_c() { POSTERN_SOCKET=$work/node-c.sock lab exec coordinator -- "$bin/postern" "$@"; }
fact "its daemon waits for a token" wait_until 10 says 1 'has not joined a mesh' on_c status
fact "a token lets it join, and it is up" says 0 'is up:' on_c up --token-file "$work/node-c.token"
fact "under the name in the token" test "$(on_c status --json | jq -r .node)" == node-c
fact "the coordinator knows where it is reached" \
    grep -q "$(underlay_address coordinator):51820" <(postern get nodes)
kill "$pid"

echo "# packets"
fact "packets are told in words, with what they rise by" says 0 'PER SECOND' on_node node-a status --packets
fact "wrong usage of the daemons is an error like any other" exits 1 "$bin/posternd" run --no-such-option
fact "of all of them" exits 1 "$bin/postern-coordinator" serve --no-such-option

[[ $failures -eq 0 ]]
