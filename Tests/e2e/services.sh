#!/bin/bash
# What the node does for the people of its machine: up, down, whois, ping, doctor, names.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh

# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

exits() { # CODE COMMAND...
    local expected=$1 code=0
    shift
    "$@" >"$work/exits.out" 2>&1 || code=$?
    [[ $code -eq $expected ]] || { echo "# it exited with $code: $(head -c 600 "$work/exits.out")"; return 1; }
}
tells() { # CODE TEXT COMMAND...: and these words
    local text=$2
    exits "$1" "${@:3}" && grep -qF -- "$text" "$work/exits.out" || { head -c 600 "$work/exits.out" | sed 's/^/# /'; return 1; }
}
finds() { # NODE CHECK LEVEL: what doctor says
    on_node "$1" doctor --json >"$work/doctor.json" 2>/dev/null || true
    jq -e --arg check "$2" --arg level "$3" '.findings | any(.check == $check and .level == $level)' "$work/doctor.json" \
        >/dev/null || { jq -c '.findings[] | select(.level != "ok")' "$work/doctor.json" | sed 's/^/# /'; return 1; }
}
# resolve NODE NAME: by the resolver of the C library, which is told to ask the node's daemon.
resolve() {
    lab exec "$1" -- unshare --mount bash -c 'mount --bind "$0" /etc/resolv.conf && exec timeout 5 getent ahosts "$1"' \
        "$work/resolv.conf" "$2"
}
resolves() { # NODE NAME ADDRESS
    resolve "$1" "$2" >"$work/resolve.out" && grep -q "^$3 " "$work/resolve.out" || { sed 's/^/# /' "$work/resolve.out"; return 1; }
}
mesh_address6() { status "$1" | jq -r .address6; }
asked_at() { lab exec "$1" -- ss --no-header --udp --listening --numeric 'sport = :53' | awk '{ print $4 }'; }
mtu_of() { lab exec "$1" -- ip -json link show "$2" | jq '.[0].mtu'; }
mtu_is() { [[ $(mtu_of "$1" "$2") -eq $3 ]]; }
reached_at() { postern get nodes --json | jq -e --arg node "$1" --arg place "$2" '.[] | select(.name == $node) | tostring | contains($place)' >/dev/null; }
wireguard_key() { lab exec "$1" -- wg show "$(node_device "$1")" public-key; }
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
fact "who is nobody is not found" tells 1 'nobody that node `node-a` deals with' on_node node-a whois nobody-knows

echo "# does it answer"
fact "a granted service is reached by ping" tells 0 '2 of 2 answered (TCP port 8081, as agent `one`)' \
    on_node node-a ping ledger --count 2
fact "and the tunnel's handshake is told" grep -q 'last handshake [0-9]' "$work/exits.out"
fact "a service that nobody here is granted is not tried, and that is said" \
    tells 2 'no session of this node is granted service `ledger`' on_node node-b ping ledger
fact "an admin sees who may reach a service" test "$(postern who-can connect ledger --json | jq -r '.[] | select(.allowed) | .agent')" = one
fact "and what an agent may reach" test "$(postern what-can one --json | jq -r '.[].service')" = ledger
echo 'permit (principal == Agent::"two", action == Action::"connect", resource == Service::"ledger");' >"$work/q.cedar"
fact "before a policy is applied one sees who would gain" test \
    "$(postern policy apply "$work/q.cedar" --dry-run --json | jq -r '.[] | "\(.agent) \(.before) \(.after)"')" = 'two never now'
fact "or lose" test "$(postern policy delete p.cedar --dry-run --json | jq -r '.[] | "\(.agent) \(.before) \(.after)"')" = 'one now never'
fact "and which lines of the policies change" grep -q "^+permit (principal == Agent::\"two\"" <(postern policy apply "$work/q.cedar" --dry-run)
fact "and nothing is changed" test "$(postern get policies --json | jq -r '.[].name')" = p.cedar
fact "what is not there is not pinged" tells 1 'no node or service' on_node node-a ping nobody-knows

echo "# policies of before"
logged() { postern policy log --json | jq -r "$1"; }
before=$(logged '.[0].version')
fact "the log tells what was applied and by whom" test "$(logged '.[0] | "\(.policy) \(.by | length)"')" = 'p.cedar 1'
postern policy apply "$work/q.cedar" >/dev/null
postern policy delete p.cedar >/dev/null
fact "the newest change comes first" test "$(logged '.[0] | "\(.policy) \(.text)"')" = 'p.cedar null'
fact "a removed policy's grant is gone" wait_until 5 ledger_is_silent "$one"
fact "before a rollback one sees who would gain and lose" test \
    "$(postern policy rollback "$before" --dry-run --json | jq -r '.[] | "\(.agent) \(.before) \(.after)"' | paste -sd,)" \
    = 'one never now,two now never'
fact "a rollback brings back what was" tells 0 '`p.cedar` is restored, `q.cedar` is removed' postern policy rollback "$before"
fact "and nothing else" test "$(postern get policies --json | jq -r '.[].name')" = p.cedar
fact "the grant is there again" wait_until 10 ledger_answers "$one"
fact "what is so already is not changed" tells 0 'nothing is changed' postern policy rollback "$before"
fact "a version that never was is refused" tells 1 'there is no version 9999' postern policy rollback 9999

echo "# who may launch"
as_nobody() { POSTERN_SOCKET=$(node_socket node-a) in_node_a setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/postern" "$@"; }
in_group() { POSTERN_SOCKET=$(node_socket node-a) in_node_a setpriv --reuid 65534 --regid 65534 --groups "$1" "$bin/postern" "${@:2}"; }
group_launches() { (cd "$work/agent" && in_group "$1" run --agent "$2" -- true) >"$work/launch.out" 2>&1; }
nobody_launches() { (cd "$work/agent" && as_nobody run --agent "$1" -- true) >"$work/launch.out" 2>&1; }
root_may_not_launch() { run_agent "$1" true && grep -qF "a policy forbids the user with the id 0 to launch agent \`$1\` here now: policy \`freeze\`" "$work/run.err"; }
fact "a user whom nobody named may not launch an agent" not nobody_launches two
fact "and is told who says who may" grep -q 'may not launch agent `two`: an admin says who may with' "$work/launch.out"
cat >"$work/launch.cedar" <<'EOF'
permit (principal == Node::"node-a", action == Action::"agent:launch", resource == Agent::"two")
when { context.selectors.hasTag("unix:uid") && context.selectors.getTag("unix:uid") == "65534" };
EOF
postern policy apply "$work/launch.cedar" >/dev/null
fact "a policy lets him" wait_until 5 nobody_launches two
fact "launch that agent alone" not nobody_launches one
echo 'permit (principal, action == Action::"agent:launch", resource == Agent::"one") when { context.selectors.hasTag("unix:group:daemon") };' \
    >"$work/group.cedar"
postern policy apply "$work/group.cedar" >/dev/null
fact "a policy lets a group, by its name" wait_until 5 group_launches 1 one
fact "and no other" not group_launches 2 one
echo '@id("freeze") forbid (principal, action == Action::"agent:launch", resource);' >"$work/freeze.cedar"
postern policy apply "$work/freeze.cedar" >/dev/null
fact "a forbid stands above root" wait_until 5 root_may_not_launch one
fact "and above a permit" not nobody_launches two
fact "what runs already goes on" ledger_answers "$one"
postern policy delete freeze.cedar >/dev/null
fact "then he may again" wait_until 5 nobody_launches two

echo "# an admin ends sessions of any machine"
admin_ends() { postern session end --admin-file "$POSTERN_ADMIN_FILE" "$@"; }
start_session two sleep 600
two=$session
fact "of one agent" tells 0 "session $two has ended" admin_ends --agent two
fact "and of that one alone" test "$(postern get sessions --json | jq -r '.[].id')" = "$one"
fact "their machine follows" wait_until 5 session_is_gone "$two"
fact "where none is meant, that is said" tells 0 'no session of the mesh is meant' admin_ends --agent two
start_session two sleep 600
fact "one by its id" tells 0 "session $session has ended" admin_ends "$session"
fact "one that is not there is an error" tells 1 'there is no session' admin_ends "$session"
fact "with an admin file that cannot be read, nothing" tells 1 'nowhere.json' postern session end --all --admin-file nowhere.json

echo "# names"
echo 'nameserver 127.47.47.53' >"$work/resolv.conf"
fact "a program of the node finds a service by its name" resolves node-a "ledger.$mesh" "$address_b"
fact "also by IPv6" resolves node-a "ledger.$mesh" "$(mesh_address6 node-b)"
fact "and a node" resolves node-a "node-b.node.$mesh" "$address_b"
fact "a name that is none is unknown, at once" exits 2 resolve node-a "nobody.$mesh"
fact "nobody but this machine can ask" test "$(asked_at node-a)" == 127.47.47.53:53

echo "# another key"
old_key=$(wireguard_key node-b)
fact "root exchanges a node's key" tells 0 "this node's WireGuard key is now" on_node node-b node rotate
has_another_key() { [[ "$(wireguard_key node-b)" != "$old_key" ]]; }
fact "the device has it" wait_until 5 has_another_key
fact "and a session reaches the service as before" wait_until 10 ledger_answers "$one"

echo "# doctor"
fact "node-a is without a problem" exits 0 on_node node-a doctor
fact "on node-b the ledger listens past the mesh, and doctor says so" finds node-b service warning
fact "the coordinator's address is tried" finds node-b coordinator ok
fact "a node without its daemon has a problem" tells 1 'does not answer' \
    env POSTERN_SOCKET=/nowhere.sock scripts/lab exec node-a -- "$bin/postern" doctor

echo "# down and up"
fact "only root takes the mesh down" tells 1 'only root may take the mesh down' as_nobody down
fact "root does" tells 0 'the mesh is down here' on_node node-a down
fact "the device is gone" not device_exists node-a
fact "and the session with it" wait_until 5 test ! -e "/proc/${process_of[$one]}"
run_agent one true
fact "no new one begins" grep -q 'the mesh is down here: `postern up` brings it up' "$work/run.err"
fact "the wall stays" test -e "$(node_bpffs node-a)/wall/wall4"
# shellcheck disable=SC2154  # start_node sets it
kill "$node_a_pid"
wait_until 10 test ! -e "/proc/$node_a_pid" || true
start "$work/node-a.log" scripts/lab exec node-a -- "$bin/posternd" run --state "$(node_state node-a)" \
    --socket "$(node_socket node-a)" --bpffs "$(node_bpffs node-a)" --device "$(node_device node-a)"
is_down() { status node-a 2>/dev/null | jq -e '.isDown' >/dev/null; }
fact "a restart remembers it" wait_until 10 is_down
fact "and makes no device" not device_exists node-a
fact "doctor says that it is down" finds node-a mesh warning
fact "up brings it back" tells 0 'is up:' on_node node-a up
fact "with its device" device_exists node-a
run_agent one curl --silent --max-time "$(patiently 5)" "http://ledger.$mesh:8081/"
fact "and agents reach what they may" grep -q 'this is ledger' "$work/run.out"
fact "up without anything to do is done" exits 0 on_node node-a up
fact "a token on a machine that has joined is refused" tells 1 'already node' \
    on_node node-a up --token-file "$work/node-a.token" --name node-a

echo "# a machine that joins by its daemon"
postern join-token create --node node-c --output "$work/node-c.token" >/dev/null
start "$work/node-c.log" scripts/lab exec coordinator -- "$bin/posternd" run --state "$work/node-c" \
    --socket "$work/node-c.sock" --bpffs "$(node_bpffs coordinator)" --device ptc
on_c() { POSTERN_SOCKET=$work/node-c.sock lab exec coordinator -- "$bin/postern" "$@"; }
fact "its daemon waits for a token" wait_until 10 tells 1 'has not joined a mesh' on_c status
fact "a token lets it join, and it is up" tells 0 'is up:' on_c up --token-file "$work/node-c.token"
fact "under the name in the token" test "$(on_c status --json | jq -r .node)" == node-c
fact "the coordinator knows where it is reached" \
    grep -q "$(underlay_address coordinator):51820" <(postern get nodes)
fact "its packets fit into the underlay's" mtu_is coordinator ptc 1420
lab exec coordinator -- ip link set lab-coordinator mtu 1400
fact "also when the underlay changes" wait_until 10 mtu_is coordinator ptc 1328
lab exec coordinator -- ip link set lab-coordinator mtu 1500
lab exec coordinator -- ip address add 198.51.100.7/24 dev lab-coordinator
fact "and a new address is told to the coordinator" wait_until 10 reached_at node-c 198.51.100.7:51820
kill "$pid"

echo "# packets"
fact "packets are told in words, with what they rise by" tells 0 'PER SECOND' on_node node-a status --packets
fact "wrong usage of the daemons is an error like any other" exits 1 "$bin/posternd" run --no-such-option
fact "of all of them" exits 1 "$bin/postern-coordinator" serve --no-such-option

all_facts_hold
