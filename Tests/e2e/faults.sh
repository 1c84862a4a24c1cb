#!/bin/bash
# What may go wrong, and what hostile hands may do: each leaves access as it was or takes it away.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

join_as() { # TOKEN-FILE NAME
    lab exec node-b -- "$bin/posternd" join --token-file "$1" --name "$2" --endpoint 192.0.2.99:51820 \
        --state "$work/joining"
}
api() { # PATH CURL-ARGUMENT...: from node-a's host
    local path=$1
    shift
    lab exec node-a -- curl --silent --show-error --max-time "$(patiently 5)" --cacert "$work/coordinator/ca/ca.pem" "$@" \
        "$coordinator_url$path"
}
answers() { # STATUS PATH CURL-ARGUMENT...
    local status=$1 got
    shift
    got=$(api "$@" --output "$work/answer" --write-out '%{http_code}') || true
    [[ "$got" == "$status" ]] && jq -e '.code and .message' "$work/answer" >/dev/null \
        || { echo "# $got $(head -c 300 "$work/answer" 2>/dev/null)"; return 1; }
}
node_certificate() {
    jq -r .certificate "$(node_state node-a)/membership.json" >"$work/node-a.pem"
    echo --cert "$work/node-a.pem" --key "$(node_state node-a)/tls.key"
}
stop_node() { # NODE SIGNAL
    local pid
    pid=$(posternd_of "$1")
    kill "-$2" "$pid"
    [[ "$2" == STOP ]] || wait_until 10 test ! -e "/proc/$pid"
}
# A process whose parent died waits for init to reap it; it runs no more all the same.
has_ended() { ! awk '$1 == "State:" && $2 !~ /[ZX]/ { alive = 1 } END { exit !alive }' "/proc/$1/status" 2>/dev/null; }
knows_session() { # SESSION: node-a's daemon has it, and its device
    status node-a | jq -e --arg id "$1" \
        '(.sessions | any(.id == $id)) and (.devices | any(.session == $id and .classifierAttached))' >/dev/null
}
registry_version() {
    local kind
    for kind in agents services policies; do postern get "$kind" --json; done | md5sum
}

build_programs
trap mesh_down EXIT
standard_mesh
coordinator_url=https://$(underlay_address coordinator):8443
{
    postern agent create elsewhere --owner demo --node node-b
    postern agent create elsewhere-too --owner demo --node node-a --node node-b --uid 65534
} >/dev/null

echo "# a session and what surrounds it"
run_agent one sh -c 'id -u; grep CapEff /proc/self/status; ls /run /root; ps ax 2>/dev/null | wc -l'
fact "an agent is not root and has no capability" \
    grep -qE '^65534$' <(head -n 1 "$work/run.out")
fact "its capabilities are none" grep -q 'CapEff:.*0000000000000000' "$work/run.out"
run_agent one sh -c 'test -S /run/postern/posternd.sock || ls /run/postern-'$lab_name' /var/run/wireguard'
fact "an agent finds neither the daemon's socket nor WireGuard's" test "$run_code" -ne 0
run_agent one curl --silent --show-error --max-time "$(patiently 2)" "http://$(underlay_address node-b):8081/"
fact "an agent does not reach the underlay, where the ledger answers too" test "$run_code" -ne 0 -a ! -s "$work/run.out"
fact "and is told that it is outside the mesh" grep -q 'outside the mesh' "$work/run.err"
run_agent one sh -c 'exit 7'
fact "the exit code is passed on" test "$run_code" -eq 7
run_agent one /does/not/exist
fact "a command that does not exist is 127, as in a shell" test "$run_code" -eq 127
run_agent elsewhere true
fact "an agent that may run elsewhere only is refused here" \
    grep -q 'there is no agent `elsewhere` that may be launched on node `node-a`' "$work/run.err"
run_agent nobody-knows true
fact "an unknown agent is refused" grep -q 'there is no agent `nobody-knows`' "$work/run.err"
as_nobody() {
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a \
        setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/postern" run --agent "$1" -- true)
}
fact "a user whom the agent does not name may not launch it" says 'may not launch agent `one`' as_nobody one
fact "a user whom it names may" as_nobody elsewhere-too
fact "root is refused without another user" says 'may not run as root' on_node node-a run --agent one -- true
fact "a caller from another network namespace is refused" says 'in its own network namespace' \
    env POSTERN_SOCKET="$(node_socket node-a)" scripts/lab exec node-b -- "$bin/postern" run --agent one --user nobody -- true
fact "garbage on the socket is answered with a sentence" grep -q 'failed' \
    <(printf '\xff\xff\xff\xffgarbage' | timeout 5 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read()); print(s.recv(4096))' \
        "$(node_socket node-a)")
fact "and the daemon serves on" status node-a >/dev/null

fact "a second daemon on the same state does not start" says 'another posternd runs on' \
    lab exec node-a -- "$bin/posternd" run --state "$(node_state node-a)" --socket "$work/other.sock" \
    --bpffs "$(node_bpffs node-a)" --device "$(node_device node-a)"

echo "# many sessions"
sessions_at_once() { # COUNT: every one of them reaches the ledger
    local number runs=()
    for ((number = 0; number < $1; number++)); do
        (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a "$bin/postern" run --agent one --user nobody \
            -- curl --silent --max-time "$(patiently 5)" "http://ledger.$mesh:8081/") >"$work/run.$number" 2>&1 &
        runs+=("$!")
    done
    wait "${runs[@]}"
    [[ $(grep -l 'this is ledger' "$work"/run.[0-9]* | wc -l) -eq $1 ]] || { tail -n 3 "$work"/run.[0-9]* | sed 's/^/# /'; false; }
}
descriptors() { find "/proc/$(posternd_of node-a)/fd" -mindepth 1 | wc -l; }
has_descriptors_at_most() { [[ $(descriptors) -le $1 ]]; }
has_one_child() { [[ $(ps --no-headers --ppid "$(posternd_of node-a)" | wc -l) -eq 1 ]]; }
has_no_cgroup() { [[ -z $(find "$(cgroups)/postern/$(node_device node-a)" -mindepth 1 -maxdepth 1 -type d) ]]; }
fact "12 sessions at once reach the ledger" sessions_at_once 12
before=$(descriptors)
fact "and 12 again" sessions_at_once 12
fact "they leave no descriptor behind (there were $before)" wait_until 10 has_descriptors_at_most "$((before + 2))"
fact "and no process: WireGuard of the node is the one child" wait_until 10 has_one_child
fact "and no cgroup" wait_until 10 has_no_cgroup

echo "# joining"
postern join-token create --node node-c --output "$work/c.token" >/dev/null
cp "$work/c.token" "$work/open.token" && chmod 644 "$work/open.token"
fact "a token that others can read is refused" says 'others can read it' join_as "$work/open.token" node-c
fact "a token for one name is refused for another" says 'is for node `node-c`' join_as "$work/c.token" node-d
jq '.ca = "sha256:" + ("0" * 64)' "$work/c.token" >"$work/ca.token" && chmod 600 "$work/ca.token"
fact "a coordinator with another CA than the token's is not believed" says 'not the one in the join token' \
    join_as "$work/ca.token" node-c
head -c 100 "$work/c.token" >"$work/cut.token" && chmod 600 "$work/cut.token"
fact "half a token is refused" says 'no join token' join_as "$work/cut.token" node-c
fact "a used token is refused" says 'was used already' join_as "$work/node-a.token" node-a
jq '.secret = (if .secret[:1] == "A" then "B" else "A" end) + .secret[1:]' "$work/c.token" >"$work/forged.token" && chmod 600 "$work/forged.token"
fact "a forged secret is refused" says 'not known here' join_as "$work/forged.token" node-c
fact "no refused join made a node" test "$(postern get nodes --json | jq length)" -eq 2

echo "# the coordinator's API"
# shellcheck disable=SC2046
{
    before=$(registry_version)
    fact "without a certificate nothing is told" answers 401 /v1/registry
    fact "a node is no admin" answers 403 /v1/registry $(node_certificate)
    fact "a node cannot change the registry" answers 403 /v1/changes $(node_certificate) --data '{"documents":[]}'
    fact "garbage is refused" answers 400 /v1/join --data 'garbage'
    fact "deep nesting is refused" answers 400 /v1/join --data "$(printf '[%.0s' {1..2000})"
    head -c 9000000 /dev/zero >"$work/zeros"
    fact "too much is refused" answers 413 /v1/join --data-binary "@$work/zeros"
    fact "an unknown path is answered" answers 404 /v1/nothing $(node_certificate)
    fact "a session that is not signed is refused" answers 400 /v1/sessions $(node_certificate) \
        --data '{"statement":{"document":"{}","signatures":[]}}'
    fact "none of it changed anything" test "$before" == "$(registry_version)"
}
fact "a policy that names an agent that is not there is refused" says 'p2.cedar:1:1' \
    bash -c 'echo "permit (principal == Agent::\"oen\", action, resource);" >"$1/p2.cedar"; shift; "$@"' - "$work" \
    scripts/lab exec coordinator -- "$bin/postern" policy apply "$work/p2.cedar"

echo "# daemons that die"
start_session one sleep 600
one=$session
fact "the ledger answers" ledger_answers "$one"
fact "the vault does not" vault_is_silent "$one"
stop_node node-b STOP
run_agent one true
fact "a node that does not confirm a session is named" grep -q 'node `node-b` has not confirmed' "$work/run.err"
fact "after 2 s, and then the command runs" test "$run_code" -eq 0 -a "$run_milliseconds" -gt 1900 -a "$run_milliseconds" -lt "$(patiently 4000)"
kill -CONT "$(posternd_of node-b)"
kill "$coordinator_pid" && wait "$coordinator_pid" 2>/dev/null || true
fact "with the coordinator away the ledger answers" ledger_answers "$one"
fact "and the vault still does not" vault_is_silent "$one"
run_agent one true
sed 's/^/# /' "$work/run.err"
fact "a new session is refused, with the reason" grep -q 'cannot reach the coordinator' "$work/run.err"
stop_node node-b KILL
fact "with node-b's daemon killed the ledger answers" ledger_answers "$one"
fact "and the vault still does not" vault_is_silent "$one"
start_node node-b
fact "node-b comes back from its saved map, without the coordinator" ledger_answers "$one"
fact "and denies as before" vault_is_silent "$one"
stop_node node-b KILL
cp "$(node_state node-b)/map.journal" "$work/map.journal"
sed 's/Service::\\\\\\"ledger/Service::\\\\\\"vault/' "$work/map.journal" >"$(node_state node-b)/map.journal"
fact "(the saved map was tampered with)" not cmp -s "$work/map.journal" "$(node_state node-b)/map.journal"
start "$work/node-b.log" scripts/lab exec node-b -- "$bin/posternd" run --state "$(node_state node-b)" \
    --socket "$(node_socket node-b)" --bpffs "$(node_bpffs node-b)" --device "$(node_device node-b)"
wait_until 10 grep -q 'saved map is not used' "$work/node-b.log" || true
fact "a saved map with a changed policy is not believed" grep -q 'saved map is not used' "$work/node-b.log"
fact "and nothing is allowed by it" vault_is_silent "$one"
serve_coordinator
fact "with the coordinator back the ledger answers again" wait_until 30 ledger_answers "$one"
fact "and the vault does not" vault_is_silent "$one"

echo "# a device that is down"
before=$(packets node-b 'at the wall' 'leave beside the tunnel')
lab exec node-b -- ip route add default via "$(underlay_address coordinator)"
in_session "$one" curl --silent --max-time "$(patiently 8)" --output /dev/null "http://$address_b:8081/slow" &
started_pids+=("$!")
wait_until 5 more_packets "$(packets node-b 'out of the node' 'answers')" node-b 'out of the node' 'answers'
capture underlay "$work/clear.pcap" any "src host $address_b or dst host $address_b"
clear_capture=$pid
node_b=$(posternd_of node-b)
kill -STOP "$node_b"
lab exec node-b -- ip link set "$(node_device node-b)" down
sleep 2
stop_process "$clear_capture"
kill -CONT "$node_b"
fact "its service's answers do not leave in the clear by the default route" \
    test "$(count_packets "$work/clear.pcap")" -eq 0
fact "for the wall has dropped them" more_packets "$before" node-b 'at the wall' 'leave beside the tunnel'
lab exec node-b -- ip route del default
fact "the node brings its device up again" wait_until 20 ledger_answers "$one"

echo "# policy that narrows"
postern policy delete p.cedar >/dev/null
fact "removing the policy closes the ledger to the running session" wait_until 5 ledger_is_silent "$one"
postern policy apply "$work/p.cedar" >/dev/null
fact "applying it again opens it" wait_until 15 ledger_answers "$one"
kill -9 "$(cut -d' ' -f1 "$(node_state node-b)/wireguard/$(node_device node-b).pid")"
fact "when WireGuard dies on node-b it is built anew" wait_until 20 ledger_answers "$one"
fact "and nothing more is allowed" vault_is_silent "$one"
stop_node node-a KILL
fact "with node-a's daemon killed the ledger answers" ledger_answers "$one"
fact "and the vault stays closed" vault_is_silent "$one"
start_node node-a
fact "a daemon that starts takes over the sessions of the one before" wait_until 5 knows_session "$one"
fact "they run on" not has_ended "${process_of[$one]}"
fact "and reach what they may" ledger_answers "$one"
fact "and nothing else" vault_is_silent "$one"
run_agent one curl --silent --max-time 5 "http://ledger.$mesh:8081/"
fact "it runs new ones" grep -q 'this is ledger' "$work/run.out"
on_node node-a session end "$one" >/dev/null
fact "and a session that it took over can be ended" wait_until 2 has_ended "${process_of[$one]}"
start_session one sh -c 'sleep 4; exit 7'
runner=${started_pids[-1]}
stop_node node-a KILL
start_node node-a
exits_with() { # CODE PID: that this shell started
    local code=0
    wait "$2" || code=$?
    [[ $code -eq $1 ]] || { echo "# it exited with $code" && false; }
}
fact "who ran a command that ends then hears its exit code" exits_with 7 "$runner"
start_session one sleep 600
stop_node node-a KILL
kill -9 "${process_of[$session]}"
start_node node-a
fact "a session that ended meanwhile is not taken over" not knows_session "$session"
fact "its record is gone" test -z "$(ls "$(node_state node-a)/sessions")"
fact "and so is its cgroup" wait_until 10 has_no_cgroup
start_session one sleep 600
stop_node node-a TERM
fact "a daemon that is asked to stop leaves its sessions running" not has_ended "${process_of[$session]}"
fact "and they reach what they may" ledger_answers "$session"
lab exec node-a -- ip route add "${address_b%.*}.0/24" via "$(underlay_address coordinator)"
fact "a route that overlaps with the mesh is named, and the daemon does not start" \
    says "overlap with this machine's route to ${address_b%.*}.0/24" \
    lab exec node-a -- "$bin/posternd" run --state "$(node_state node-a)" --socket "$work/other.sock" \
    --bpffs "$(node_bpffs node-a)" --device "$(node_device node-a)"
lab exec node-a -- ip route del "${address_b%.*}.0/24"
start_node node-a
fact "the next daemon takes it over" wait_until 5 knows_session "$session"
postern agent delete one >/dev/null
fact "removing the agent ends its session" wait_until 10 has_ended "${process_of[$session]}"

all_facts_hold
