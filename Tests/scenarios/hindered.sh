#!/bin/bash
# A machine that does not let posternd work: nothing passes that nobody judges, people are told why, and when the machine
# lets it, the daemon goes on by itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

stop_node() {
    local pid
    pid=$(posternd_of "$1")
    kill -KILL "$pid"
    wait_until 5 test ! -e "/proc/$pid"
}
doctor() { on_node node-a doctor || true; }
doctor_names() { grep -qF -- "$1" <<<"$(doctor)"; }
session_is_up() {
    status node-a | jq -e --arg id "$one" '.devices | any(.session == $id and .classifierAttached)' >/dev/null
}
only_has() { # SESSION: one cgroup, and one device beside the node's
    [[ "$(find "$(cgroups)/postern/$(node_device node-a)" -mindepth 1 -maxdepth 1 -type d -printf '%f')" == "$1" ]] \
        && [[ $(status node-a | jq '.devices | length') -eq 2 ]]
}
has_no_mesh_device() { # of the node, nor of the session
    not lab exec node-a -- ip link show "$(node_device node-a)" 2>/dev/null \
        && not in_session "$one" ip link show "${device_of[$one]}" 2>/dev/null
}

holds_both_links() { # SESSION: in both directions of a device that is there
    local seen
    seen=$(cat /proc/"${process_of[$1]}"/fdinfo/* 2>/dev/null | awk '/^ifindex:/ && $2 > 0 { count++ } END { print count + 0 }')
    [[ "$seen" -eq 2 ]]
}

build_programs
trap mesh_down EXIT
standard_mesh
start_session one sleep 600
one=$session
fact "the ledger answers one" wait_until 5 ledger_answers "$one"
fact "and the vault does not" vault_is_silent "$one"
bpf=$(host_field node-a bpf)

echo "# no BPF file system when it starts"
stop_node node-a
umount -l "$bpf"
chmod 000 "$bpf"
fact "with the daemon dead and its pins gone the session holds its classifier itself" holds_both_links "$one"
fact "and reaches what it may" ledger_answers "$one"
fact "and nothing else" vault_is_silent "$one"
launch_node node-a
fact "doctor says that posternd cannot begin, and why" wait_until 10 doctor_names 'posternd cannot begin'
fact "and what is wrong with the place of the pins" doctor_names 'is not on a BPF file system'
fact "other questions are answered with the reason" says 'posternd cannot begin, and tries again' on_node node-a status
fact "devices whose classifier is gone are gone" wait_until 5 has_no_mesh_device
fact "so nothing passes" ledger_is_silent "$one"
fact "and nothing that is denied" vault_is_silent "$one"
chmod 700 "$bpf"
mount -t bpf -o mode=700 bpf "$bpf"
fact "with the file system back it begins by itself" wait_until 20 node_is_ready node-a
fact "and takes the session over" wait_until 5 session_is_up
fact "which reaches what it may" wait_until 20 ledger_answers "$one"
fact "and nothing else" vault_is_silent "$one"

echo "# a BPF file system that is taken away while it runs"
umount -l "$bpf"
chmod 000 "$bpf"
fact "the devices are taken down, for nothing can be attached to them" wait_until 15 ledger_is_silent "$one"
fact "nothing else passes" vault_is_silent "$one"
fact "doctor names the place of the pins" doctor_names 'is not on a BPF file system'
chmod 700 "$bpf"
mount -t bpf -o mode=700 bpf "$bpf"
fact "with the file system back all is as it was" wait_until 20 ledger_answers "$one"
fact "and the session holds the classifier that came" wait_until 5 holds_both_links "$one"
fact "and nothing more" vault_is_silent "$one"

echo "# a disk that is full"
sessions=$(node_state node-a)/sessions
mount -t tmpfs -o size=16k,mode=700 tmpfs "$sessions"
head -c 65536 /dev/zero >"$sessions/filling" 2>/dev/null || true
run_agent two true
fact "a session that cannot be kept does not begin, and the reason is told" \
    grep -q 'No space left on device' "$work/run.err"
fact "nothing of it is left" only_has "$one"
fact "the coordinator knows nothing of it" test "$(postern get sessions --json | jq -r '.[].id')" = "$one"
umount "$sessions"
run_agent one curl --silent --max-time "$(patiently 5)" "http://$address_b:8081/"
fact "with room again one begins" grep -q 'this is ledger' "$work/run.out"
fact "the one that runs goes on" ledger_answers "$one"

echo "# a state directory that takes no more"
stop_node node-a
mount --bind "$(node_state node-a)" "$(node_state node-a)"
mount -o remount,bind,ro "$(node_state node-a)"
fact "the session goes on without a daemon" ledger_answers "$one"
launch_node node-a
fact "the daemon says what it cannot write" wait_until 5 grep -q 'Read-only file system' "$work/node-a.log"
fact "the session goes on, and no further" ledger_answers "$one"
fact "what is denied is denied" vault_is_silent "$one"
umount "$(node_state node-a)"

all_facts_hold
