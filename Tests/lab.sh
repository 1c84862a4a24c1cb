#!/bin/bash
# Tests of scripts/lab against the kernel: one line for each fact, and failure if one of them is not so. They work in labs
# of their own names, so that one that is up beside them stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# The number of this process, in letters that a lab's name may have: two runs do not meet.
printf -v tag '%x' $$
first=t${tag: -5} second=u${tag: -5}
export POSTERN_LAB=$first
prefix=postern-$first

failures=0
work=$(mktemp -d)
declare -a started=()

finish() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    scripts/lab down >/dev/null 2>&1 || true
    scripts/lab --name "$second" down >/dev/null 2>&1 || true
    rm -rf "$work"
}

fact() { # SENTENCE COMMAND...
    local sentence=$1
    shift
    if "$@" >"$work/words" 2>&1; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence"
        sed 's/^/# /' "$work/words"
        failures=$((failures + 1))
    fi
}

lab() { scripts/lab "$@"; }
not() { ! "$@"; }
exits() { # CODE COMMAND...
    local wanted=$1 code=0
    shift
    "$@" || code=$?
    [[ "$code" -eq "$wanted" ]] || { echo "it exited with $code, not $wanted" && false; }
}
says() { # TEXT COMMAND...
    local text=$1 words
    shift
    words=$("$@" 2>&1) || true
    grep -qF -- "$text" <<<"$words" || { echo "it said: $words" && false; }
}
eventually() {
    local step
    for ((step = 0; step < 100; step++)); do
        "$@" && return
        sleep 0.02
    done
    return 1
}
is_alive() { grep -qE '^State:\s+[^ZX]' "/proc/$1/status" 2>/dev/null; }
background() {
    "$@" </dev/null >/dev/null 2>&1 9>&- &
    started+=($!)
}

nothing_left() {
    [[ ! -e /run/$prefix ]] || { echo "/run/$prefix is there" && return 1; }
    not grep "/run/$prefix/" /proc/mounts || return 1
    not compgen -G "/run/netns/$prefix-*" || return 1
    not grep -E '^ *(lab-|to-)' /proc/net/dev || return 1
    not compgen -G "/var/run/wireguard/ptl$$*.sock"
}

# A port where nobody listens refuses at once, which only a host that was reached can do.
reaches() { says 'Connection refused' lab exec "$1" -- timeout 3 bash -c "exec 3<>/dev/tcp/$2/9"; }
hosts_reach_each_other() {
    local from to
    for from in coordinator node-a node-c; do
        for to in 192.0.2.1 192.0.2.10 192.0.2.12; do
            reaches "$from" "$to" || { echo "$from does not reach $to" && return 1; }
        done
    done
}
has_only_own_network() {
    local names
    names=$(lab exec node-b -- ip -brief link | awk '{ sub("@.*", "", $1); print $1 }' | grep -vE '^(ifb|tunl|sit|ip6)' \
        | sort | paste -sd ' ')
    [[ "$names" == 'lab-node-b lo' ]] || { echo "it has $names" && false; }
}
answers_of_bpf() { [[ "$(stat -f -c %T "/run/$prefix/$1/bpf")" == bpf* ]]; }
json_is() { # FILTER VALUE
    local got
    got=$(lab status --json | jq -r "$1")
    [[ "$got" == "$2" ]] || { echo "it is $got" && false; }
}
serves() { [[ -S "/var/run/wireguard/$1.sock" ]] && wg show "$1" >/dev/null 2>&1; }

up_and_down() {
    trap finish EXIT
    fact 'help explains itself' says '/run/postern-lab/HOST/bpf' lab --help
    fact 'nothing to remove is no failure' says 'nothing to remove' lab down
    fact 'no lab has no hosts' json_is '"\(.up) \(.hosts | length)"' 'false 0'
    fact 'a wrong number of nodes is refused' exits 2 lab up --nodes 27
    fact 'a command that is none is refused' exits 2 lab fly
    local before
    before=$(date +%s%N)
    fact 'a lab comes up' lab up --nodes 3
    fact 'in less than three seconds' test $(($(date +%s%N) - before)) -lt 3000000000
    fact 'a second one is refused' exits 1 lab up
    fact 'it has the hosts that were asked for' json_is '[.hosts[].name] | join(" ")' 'coordinator node-a node-b node-c'
    fact 'hosts have addresses of their own' json_is '[.hosts[].address] | join(" ")' \
        '192.0.2.1 192.0.2.10 192.0.2.11 192.0.2.12'
    fact 'hosts reach each other over the underlay' hosts_reach_each_other
    fact 'a host has nothing but its own network' has_only_own_network
    fact 'a host has a BPF file system that a command finds again' answers_of_bpf node-a
    fact 'its directories are for root alone' test "$(stat -c %a "/run/$prefix")" = 700
    fact 'exec passes the exit code on' exits 7 lab exec node-a -- bash -c 'exit 7'
    fact 'exec passes arguments on as they are' says 'a  b$' lab exec node-a -- printf '%s\n' "a  b\$"
    fact 'a host that is none is refused' exits 125 lab exec node-z -- true
    fact 'the underlay is no host' exits 125 lab exec underlay -- true
    fact 'a lab is not removed from inside' exits 1 lab exec node-a -- scripts/lab down
}

# What runs inside goes, what runs beside it stays.
processes() {
    local device=ptl$$ killed=ptl$$k
    background sleep 300
    local beside=${started[-1]}
    background unshare --net sleep 300
    local elsewhere=${started[-1]}
    background scripts/lab exec node-a -- sleep 300
    local inside=${started[-1]}
    background scripts/lab exec node-b -- bash -c 'trap "" TERM; while :; do sleep 1; done'
    local stubborn=${started[-1]}
    background scripts/lab exec node-a -- wireguard-go -f "$device"
    local tunnel=${started[-1]}
    background scripts/lab exec node-b -- wireguard-go -f "$killed"
    local dead=${started[-1]}
    background unshare --net sleep 300
    local session=${started[-1]}
    fact 'status names the processes of a host' eventually json_is \
        '[.hosts[] | select(.name == "node-a") | .processes[].command] | sort | join(" ")' 'sleep wireguard-go'

    eventually serves "$device" && eventually serves "$killed"
    eventually is_elsewhere "$session"
    ip -n "$prefix-node-a" link set "$device" netns "$session"
    echo "$dead $(awk '{ print $22 }' "/proc/$dead/stat")" >"/run/$prefix/node-b/state/$killed.pid"
    kill -KILL "$dead"
    kill -STOP "$inside"
    wait "$dead" 2>/dev/null || true

    fact 'the lab comes down' lab down
    fact 'what ran on a host has ended, even stopped' not is_alive "$inside"
    fact 'even what does not listen' not is_alive "$stubborn"
    fact 'WireGuard devices have ended' not is_alive "$tunnel"
    fact 'so has a session with a device that was moved into it' not is_alive "$session"
    fact 'a process of this machine runs on' is_alive "$beside"
    fact 'so does one in a namespace of somebody else' is_alive "$elsewhere"
    fact 'nothing is left' nothing_left
}
is_elsewhere() { [[ ! "/proc/$1/ns/net" -ef /proc/self/ns/net ]]; }

# A program `ip` that fails at the last host stands for whatever goes wrong in the middle.
half_made() {
    mkdir "$work/bin"
    printf '#!/bin/bash\n[[ "$*" != *lab-node-b* ]] || exit 1\nexec %q "$@"\n' "$(command -v ip)" >"$work/bin/ip"
    chmod +x "$work/bin/ip"
    fact 'a lab that cannot be made fails' exits 1 env PATH="$work/bin:$PATH" scripts/lab up
    fact 'and leaves nothing behind' nothing_left
    fact 'a half of one is removed' removes_half
    fact 'and nothing is left' nothing_left
}
removes_half() {
    ip netns add "$prefix-node-q"
    mkdir -p "/run/$prefix/node-q/bpf"
    mount -t bpf "$prefix-node-q" "/run/$prefix/node-q/bpf"
    lab down
}

# Two labs with the same hosts and addresses, and a process of a session that only its control group tells.
side_by_side() {
    fact 'a name with a hyphen is refused' exits 2 scripts/lab --name no-name up
    fact 'a backend that is none is refused' exits 2 lab up --backend tun
    fact 'a lab of another name comes up' lab up --backend kernel
    fact 'and one beside it' other up
    fact 'a lab remembers the backend it was asked for' json_is .backend kernel
    fact 'and none if it was not asked' says '"backend":null' other status --json
    fact 'devices of two labs have names of their own' test \
        "$(lab status --json | jq -r .hosts[1].device)" = "pt$first-a" -a \
        "$(other status --json | jq -r .hosts[1].device)" = "pt$second-a"
    background scripts/lab exec node-a -- sleep 300
    local mine=${started[-1]}
    background scripts/lab --name "$second" exec node-a -- sleep 300
    local others=${started[-1]}
    listen 192.0.2.11
    fact 'a host reaches what listens in its own lab' eventually reads lab 192.0.2.11
    fact 'not what listens in the other, at the same address' not reads other 192.0.2.11
    background unshare --net sleep 300
    local session=${started[-1]}
    eventually is_elsewhere "$session"
    join_group "pt$first-a/session" "$session"
    background unshare --net sleep 300
    local stranger=${started[-1]}
    eventually is_elsewhere "$stranger"
    join_group "pt$second-a/session" "$stranger"
    fact 'one lab comes down' lab down
    fact 'with its processes' not is_alive "$mine"
    fact 'and those in the control groups of its sessions' not is_alive "$session"
    fact 'nothing of it is left' nothing_left
    fact 'the processes of the other run on' is_alive "$others"
    fact 'also those in control groups' is_alive "$stranger"
    fact 'and its hosts reach each other' says 'Connection refused' other exec node-a -- \
        timeout 3 bash -c 'exec 3<>/dev/tcp/192.0.2.11/9'
    fact 'then the other comes down' other down
    fact 'with all that was its own' not is_alive "$stranger"
    leave_groups
}
reads() { "$1" exec node-a -- curl --silent --max-time 2 --output /dev/null "http://$2:7000/"; }
other() { scripts/lab --name "$second" "$@"; }
listen() { background scripts/lab exec node-b -- python3 -m http.server --bind "$1" 7000; }
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
join_group() { mkdir -p "$groups/postern/$1" && echo "$2" >"$groups/postern/$1/cgroup.procs"; }
leave_groups() {
    eventually rmdir "$groups/postern/pt$first-a/session" "$groups/postern/pt$second-a/session" 2>/dev/null || true
    rmdir "$groups/postern/pt$first-a" "$groups/postern/pt$second-a" "$groups/postern" 2>/dev/null || true
}

other_networks() {
    fact 'a lab with IPv6 alone comes up' lab up --ipv6-only
    fact 'its hosts have such addresses' json_is '[.hosts[].address] | join(" ")' '2001:db8::1 2001:db8::10 2001:db8::11'
    fact 'and reach each other by them at once' reaches node-a 2001:db8::11
    fact 'they have no other' says '0' lab exec node-a -- bash -c 'ip -4 -o address show scope global | wc -l'
    lab down >/dev/null
    fact 'a router for a host that is none is refused' exits 2 lab up --nat node-z
    fact 'a lab with a node behind a router comes up' lab up --nat node-a
    fact 'the node has an address of its own network' json_is '.hosts[] | select(.name == "node-a") | .address' 192.168.77.10
    background scripts/lab exec node-b -- python3 -c "
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('192.0.2.11', 7000)); s.listen()
while True:
    c, peer = s.accept(); c.sendall(peer[0].encode() + b'\\n'); c.close()"
    fact 'others see the address of the router' eventually says 192.0.2.2 lab exec node-a -- timeout 3 bash -c 'cat </dev/tcp/192.0.2.11/7000'
    fact 'the node is not reached from outside' not reaches node-b 192.168.77.10
    lab down >/dev/null
    fact 'and all of that goes' nothing_left
}

up_and_down
processes
half_made
side_by_side
other_networks
[[ $failures -eq 0 ]] || { echo "$failures failed" >&2 && exit 1; }
