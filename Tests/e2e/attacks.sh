#!/bin/bash
# Hostile hands at the level of packets: a neighbour on the LAN, a machine that forwards, a service's node, and a peer that
# holds a valid key and runs a WireGuard of its own with nothing of ours around it. Each attack's packets are counted by
# nftables behind our classifier, where nothing of them may arrive, and by our classifier's own reasons.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

raw() { /usr/bin/python3 -I -S Tests/e2e/raw.py "$@"; }
raw_on() { # HOST ARGUMENT...
    local host=$1
    shift
    lab exec "$host" -- /usr/bin/python3 -I -S Tests/e2e/raw.py "$@"
}

# watch COMMAND-PREFIX... : counts, in the namespace that the prefix enters, all that comes from outside to the IP layer.
watch() {
    "$@" nft -f - <<'END'
table inet watch {
    counter seen { }
    chain in {
        type filter hook prerouting priority -400
        iifname != "lo" ip saddr != 192.0.2.0/24 counter name seen
        iifname != "lo" ip6 saddr fc00::/7 counter name seen
    }
}
END
}
seen_by() { "$@" nft -j list counter inet watch seen | jq '[.nftables[].counter.packets // 0] | add'; }
on_b() { nsenter --net="$(netns_of node-b)" "$@"; }

# stopped REASON SENDER ARGUMENT...: three packets of the intruder's leave its device, none gets behind the classifier of
# node-b, and the reason's counter has risen by three; `wireguard` stands for WireGuard, which drops before us.
stopped() {
    local reason=$1 before behind
    shift
    behind=$(seen_by on_b)
    before=$(packets node-b 'into the node' "$reason")
    "$@" || return 1
    if [[ "$reason" == wireguard ]]; then
        control || { echo "# not even an honest packet comes through"; return 1; }
        behind=$((behind + 1))
    else
        wait_until 5 test_packets "$((before + 3))" "$reason" \
            || { echo "# \`$reason\` rose from $before to $(packets node-b 'into the node' "$reason")"; return 1; }
    fi
    [[ $(seen_by on_b) -eq $behind ]] || { echo "# $(($(seen_by on_b) - behind)) packets came through"; return 1; }
}
test_packets() { [[ $(packets node-b 'into the node' "$2") -ge $1 ]]; }
# One honest packet, after which all that was sent before it has been decided.
control() {
    local behind
    behind=$(seen_by on_b)
    raw_on coordinator "$mine" "$address_b" tcp 4000 8081 ack --count 1
    wait_until 5 came_behind "$behind"
}
came_behind() { [[ $(seen_by on_b) -gt $1 ]]; }

# A WireGuard device on the coordinator's host, with the session's key and no scruples.
intrude() { # SESSION
    local key
    intruder=$(node_device node-a)x
    (umask 077 && in_session "$1" wg show "${device_of[$1]}" private-key >"$work/intruder.key")
    key=$(lab exec node-b -- wg show "$(node_device node-b)" public-key)
    if [[ "$(device_kind node-b)" == wireguard ]]; then
        lab exec coordinator -- ip link add "$intruder" type wireguard
    else
        start "$work/intruder.log" scripts/lab exec coordinator -- wireguard-go -f "$intruder"
        wait_until 5 test -S "/var/run/wireguard/$intruder.sock"
    fi
    lab exec coordinator -- wg set "$intruder" private-key "$work/intruder.key" peer "$key" \
        endpoint "$(endpoint "$(underlay_address node-b)" 51820)" allowed-ips 0.0.0.0/0,::/0
    lab exec coordinator -- ip link set "$intruder" up mtu 1420
    lab exec coordinator -- ip route add "$(pool)" dev "$intruder"
    lab exec coordinator -- ip -6 route add fd00::/8 dev "$intruder"
    lab exec coordinator -- ip route add 198.51.100.0/24 dev "$intruder"
    lab exec coordinator -- ip route add 224.0.0.0/4 dev "$intruder"
}

build_programs
trap mesh_down EXIT
standard_mesh
echo 'permit (principal == Agent::"two", action == Action::"connect", resource == Service::"vault");' >"$work/two.cedar"
postern policy apply "$work/two.cedar" >/dev/null
start_session two sleep 900
two=$session
start_session one sleep 900
one=$session
mine=${address_of[$one]}
others=${address_of[$two]}
address6_of() { in_session "$1" ip -6 -j address show dev "${device_of[$1]}" scope global | jq -r '.[0].addr_info[0].local'; }
mine6=$(address6_of "$one")
others6=$(address6_of "$two")
b6=$(status node-b | jq -r .address6)
address_a=$(mesh_address node-a)
fact "the ledger answers" wait_until 5 ledger_answers "$one"

echo "# a session that keeps every processor busy: the daemon does not wait behind it"
turn_of() { chrt --pid "$1" | sed -n 's/.*policy: //p'; }
daemon_precedes() {
    local pid
    [[ "$(turn_of "$(posternd_of node-a)")" == SCHED_RR ]] || return 1
    for pid in "${process_of[$one]}" $(pgrep --full "^[^ ]*wireguard-go -f ${device_of[$one]}\$" || true); do
        [[ "$(turn_of "$pid")" == SCHED_OTHER ]] || return 1
    done
}
fact "posternd precedes what it polices, session and tunnel alike" daemon_precedes

watch on_b

echo "# a session whose own device lets all out (attack 7: AF_PACKET passes what hangs on the queues)"
bypass() { # SESSION SOURCE PORT
    in_session "$1" /usr/bin/python3 -I -S Tests/e2e/raw.py "$2" "$address_b" tcp 4001 "$3" --bypass "${device_of[$1]}"
}
settled() { # COMMAND-PREFIX...: late packets of what went before have come
    local was
    was=$(seen_by "$@")
    sleep 0.3
    [[ $(seen_by "$@") -eq $was ]]
}
wait_until 5 settled on_b
behind=$(seen_by on_b)
refused=$(packets node-b 'into the node' 'no grant')
bypass "$one" "$mine" 8082
fact "the far node drops the call to what is not granted" wait_until 5 test_packets "$((refused + 3))" 'no grant'
fact "before its kernel sees it" test "$(seen_by on_b)" -eq "$behind"
bypass "$one" "$others" 8081
fact "and its WireGuard drops another's address" wait_until 5 wireguard_refused_source
fact "of which its kernel sees nothing" test "$(seen_by on_b)" -eq "$behind"

echo "# the far node calls back (attack 4)"
watch in_session "$one"
# Its own classifier out of the way, as a patched node would have it.
kill -STOP "$(posternd_of node-b)"
rm -f "$(node_bpffs node-b)/device-$(node_device node-b)"/*
if lab exec node-b -- tc qdisc show dev "$(node_device node-b)" | grep -q clsact; then
    lab exec node-b -- tc qdisc del dev "$(node_device node-b)" clsact
fi
in_one() { in_session "$one" "$@"; }
listens() { in_session "$one" ss -Hltn 'sport = :4444' | grep -q .; }
start "$work/listener.log" nsenter --net="/proc/${process_of[$one]}/ns/net" \
    /usr/bin/python3 -I -S -m http.server --bind 0.0.0.0 4444
wait_until 5 listens
wait_until 5 settled in_one
behind=$(seen_by in_one)
for port in 40000 8081; do
    raw_on node-b "$address_b" "$mine" tcp "$port" 4444 syn
    raw_on node-b "$address_b" "$mine" udp "$port" 4444
done
raw_on node-b "$address_b" "$mine" icmp 5 1
raw_on node-b "$address_b" "$mine" icmp 8 0
fact "no connection is opened to an agent, from the service's port or another" not lab exec node-b -- \
    curl --silent --max-time "$(patiently 1)" --output /dev/null "http://$mine:4444/"
fact "and nothing of it gets behind the session's classifier, TCP, UDP or ICMP" test "$(seen_by in_one)" -eq "$behind"
kill -CONT "$(posternd_of node-b)"
classifier_of_b_is_back() { status node-b | jq -e 'all(.devices[]; .classifierAttached)' >/dev/null; }
fact "the node puts its classifier back" wait_until 15 classifier_of_b_is_back

echo "# a peer with a valid key"
intrude "$one"
# A node that forwards is what every host with containers is.
lab exec node-b -- sysctl --quiet --write net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
fact "its honest packets come through, so that the rest says something" control
fact "another session's address as its source: WireGuard drops it" \
    stopped wireguard raw_on coordinator "$others" "$address_b" tcp 4000 8081 ack
fact "a node's address" stopped wireguard raw_on coordinator "$address_a" "$address_b" tcp 4000 8081 ack
fact "the far node's own address" stopped wireguard raw_on coordinator "$address_b" "$address_b" tcp 4000 8081 ack
fact "a loopback address" stopped wireguard raw_on coordinator 198.51.100.7 "$address_b" tcp 4000 8081 ack
fact "a service that no policy grants" stopped 'no grant' raw_on coordinator "$mine" "$address_b" tcp 4000 8082
fact "a port that is no service" stopped 'nobody here is granted' raw_on coordinator "$mine" "$address_b" tcp 4000 22
# Attack 2: the destination is part of the verdict.
capture coordinator "$work/lan.pcap" lab-coordinator "src host $mine"
lan=$pid
fact "a machine on the far node's LAN" \
    stopped "its own end is not" raw_on coordinator "$mine" 198.51.100.1 tcp 4000 8081
fact "another node by way of this one" stopped "its own end is not" raw_on coordinator "$mine" "$address_a" tcp 4000 8081
fact "another agent by way of this node" stopped "its own end is not" raw_on coordinator "$mine" "$others" tcp 4000 8081
fact "everybody" stopped "its own end is not" raw_on coordinator "$mine" 224.0.0.1 tcp 4000 8081
stop_process "$lan"
fact "none of it was forwarded" test "$(count_packets "$work/lan.pcap")" -eq 0
fact "a first fragment" stopped fragment raw_on coordinator "$mine" "$address_b" tcp 4000 8081 ack --more
fact "a later one, which has no ports" stopped fragment raw_on coordinator "$mine" "$address_b" 6 --fragment 100
fact "IPv4 options" stopped options raw_on coordinator "$mine" "$address_b" tcp 4000 8081 ack --option
# Attack 4: nothing but answers and granted calls, whatever they are dressed as.
fact "UDP to the service's port" stopped '' raw_on coordinator "$mine" "$address_b" udp 4000 8081
fact "UDP that says it is an answer" stopped '' raw_on coordinator "$mine" "$address_b" udp 8081 4000
fact "an ICMP redirect" stopped '' raw_on coordinator "$mine" "$address_b" icmp 5 1
fact "an ICMP error about a flow that is none" stopped '' raw_on coordinator "$mine" "$address_b" icmp 3 4
fact "a protocol that has no ports" stopped '' raw_on coordinator "$mine" "$address_b" 132
fact "another session's IPv6 address" stopped wireguard raw_on coordinator "$others6" "$b6" tcp 4000 8081 ack
fact "an IPv6 router advertisement" stopped '' raw_on coordinator "$mine6" "$b6" icmp 134 0
fact "an IPv6 redirect" stopped '' raw_on coordinator "$mine6" "$b6" icmp 137 0
fact "an IPv6 fragment" stopped fragment raw_on coordinator "$mine6" "$b6" tcp 4000 8081 ack --more
fact "a routing header" stopped 'names its own route' raw_on coordinator "$mine6" "$b6" tcp 4000 8081 ack --extension 43

echo "# beside the tunnel (attack 1: an address answers on every interface)"
lab exec coordinator -- ip route replace "$(pool)" via "$(underlay_address node-b)"
start "$work/udp.log" scripts/lab exec node-b -- /usr/bin/python3 -I -S -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 9999)); print("ready", flush=True)
while True: print(s.recvfrom(100)[1][0], flush=True)'
wait_until 5 grep -q ready "$work/udp.log"
heard() { grep -q "$1" "$work/udp.log"; }
raw_on coordinator 192.0.2.1 192.0.2.11 udp 9999 9999 --count 1
fact "the node hears datagrams of the LAN" wait_until 5 heard 192.0.2.1
for check in 0 1 2; do
    lab exec node-b -- sysctl --quiet --write "net.ipv4.conf.all.rp_filter=$check" "net.ipv4.conf.lab-node-b.rp_filter=$check"
    before=$(packets node-b 'at the wall' 'beside the tunnel')
    fact "with rp_filter=$check a neighbour does not reach the mesh address" not lab exec coordinator -- \
        curl --silent --max-time 1 --output /dev/null "http://$address_b:8081/"
    raw_on coordinator "$mine" "$address_b" udp 9999 9999
    raw_on coordinator "$mine" 192.0.2.11 udp 9999 9999
    raw_on coordinator "$address_b" 192.0.2.11 udp 9999 9999
    fact "nor does it speak as an agent, to the one address or the other" \
        wait_until 5 more_packets "$((before + 6))" node-b 'at the wall' 'beside the tunnel'
done
raw_on coordinator 192.0.2.1 192.0.2.11 udp 9999 9999 --count 1
fact "the service heard the LAN, and no forged voice" test -z "$(grep -vE '^(ready|192\.0\.2\.1)$' "$work/udp.log")"

echo "# a container behind a node (attack 3: what is forwarded and masqueraded speaks as the node)"
container=postern-$lab_name-box
ip netns add "$container"
lab exec node-a -- ip link add box type veth peer name eth0 netns "$container"
lab exec node-a -- ip address add 198.18.1.1/24 dev box
lab exec node-a -- ip link set box up
ip -n "$container" address add 198.18.1.2/24 dev eth0
ip -n "$container" link set eth0 up
ip -n "$container" route add default via 198.18.1.1
lab exec node-a -- sysctl --quiet --write net.ipv4.ip_forward=1
lab exec node-a -- nft -f - <<'END'
table ip box {
    chain out {
        type nat hook postrouting priority srcnat
        ip saddr 198.18.1.0/24 masquerade
    }
}
END
fact "it reaches what is not of the mesh" nsenter --net="/run/netns/$container" \
    curl --silent --max-time "$(patiently 3)" --output /dev/null "http://192.0.2.11:8081/"
before=$(packets node-a 'at the wall' 'beside the tunnel')
fact "and no service of the mesh" not nsenter --net="/run/netns/$container" \
    curl --silent --max-time 1 --output /dev/null "http://$address_b:8081/"
fact "for the wall drops what comes from elsewhere, before it is masqueraded" \
    more_packets "$before" node-a 'at the wall' 'beside the tunnel'

echo "# a key whose session has ended"
lab exec coordinator -- ip route replace "$(pool)" dev "$intruder"
fact "the intruder's honest packets come through before" control
finish_session "$one"
fact "the session ends" wait_until 5 session_is_gone "$one"
behind=$(seen_by on_b)
fact "and not one of them after" not control
fact "nor does WireGuard on node-b know the key" wg_does_not_know "$one"

all_facts_hold
