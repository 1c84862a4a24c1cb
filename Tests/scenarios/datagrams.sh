#!/bin/bash
# What has no connections: services over UDP, and echo requests. Each is granted by itself, and what nobody asked for stays out.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# Sends one datagram and prints what comes back within two seconds.
cat >/tmp/postern-datagrams.$$ <<'PY'
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
six = family == socket.AF_INET6
if kind == "udp":
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.sendto(b"hello", place)
        print(s.recv(100).decode())
else:
    with socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP) as s:
        s.settimeout(2)
        s.sendto(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 1]) + b"hello", place)
        print("echo", s.recv(100)[8:].decode())
PY
send() { # AGENT KIND HOST PORT: as the agent, in a session of its own
    run_agent "$1" /usr/bin/python3 -I -S ./datagrams.py "$2" "$3" "$4"
}
gets() { # TEXT AGENT KIND HOST PORT
    send "${@:2}"
    grep -qxF "$1" "$work/run.out" || { sed 's/^/# /' "$work/run.err" && return 1; }
}
gets_nothing() { send "$@"; [[ $run_code -ne 0 && ! -s "$work/run.out" ]]; }
start_datagrams() { # NAME PORT: answers each datagram with its name
    start "$work/$1.log" scripts/lab exec node-b -- /usr/bin/python3 -I -S -u -c '
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", int(sys.argv[2])))
print("ready")
while True:
    _, place = s.recvfrom(100)
    s.sendto(sys.argv[1].encode(), place)' "$1" "$2"
    wait_until 5 grep -q ready "$work/$1.log"
}
permit() { # SERVICE...: agent one, and nobody else
    local service
    for service in "$@"; do
        echo "permit (principal == Agent::\"one\", action == Action::\"connect\", resource == Service::\"$service\");"
    done >"$work/p.cedar"
    postern policy apply "$work/p.cedar" >/dev/null
}

build_programs
trap 'mesh_down; rm -f "/tmp/postern-datagrams.$$"' EXIT
mesh_up
install -m 0644 "/tmp/postern-datagrams.$$" "$work/agent/datagrams.py"
start_datagrams clock 9001
start_datagrams secret 9002
{
    postern agent create one --owner test --node node-a
    postern agent create two --owner test --node node-a
    postern service add clock --node node-b --protocol udp --port 9001
    postern service add secret --node node-b --protocol udp --port 9002
    postern service add echo-b --node node-b --protocol icmp
} >/dev/null
permit clock echo-b
b6=$(status node-b | jq -r .address6)

echo "# UDP"
fact "a service over UDP answers by its name" gets clock one udp "clock.$mesh" 9001
fact "and over IPv6" gets clock one udp "$b6" 9001
fact "another is silent" gets_nothing one udp "$address_b" 9002
fact "the sender hears at once that it is denied" test "$run_milliseconds" -lt "$(patiently 1900)"
fact "and the agent why" denied one "$address_b:9002"
fact "an agent without a grant gets nothing" gets_nothing two udp "$address_b" 9001
fact "UDP is listed" grep -qE '^clock +node-b +udp +9001' <(postern get services)

echo "# echo"
fact "an echo comes back" gets "echo hello" one icmp "$address_b" 0
fact "also of IPv6" gets "echo hello" one icmp "$b6" 0
fact "not to an agent without a grant" gets_nothing two icmp "$address_b" 0
fact "and it hears why" grep -qF "denied: agent \`two\` may not connect to \`echo-b\`" "$work/run.err"
start_session one sleep 600
fact "ping asks by echo" grep -q '1 of 1 answered (echo, as agent `one`)' <(on_node node-a ping echo-b --count 1)
fact "and tells that UDP cannot be asked" says 'is spoken to over UDP' on_node node-a ping clock
permit clock
fact "without its grant the echo is silent" gets_nothing one icmp "$address_b" 0
fact "and UDP is answered as before" gets clock one udp "$address_b" 9001

echo "# what nobody asked for"
capture_in() { start "$work/in.log" nsenter --net="/proc/${process_of[$session]}/ns/net" /usr/bin/python3 -I -S -u -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 7777))
print("ready")
while True: print("heard", s.recvfrom(100)[0].decode())'; wait_until 5 grep -q ready "$work/in.log"; }
capture_in
before=$(packets node-a 'into a session' '')
lab exec node-b -- /usr/bin/python3 -I -S -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 0))
try: s.sendto(b"unasked", (sys.argv[1], 7777))
except OSError: pass' "${address_of[$session]}"
sleep 0.5
fact "a datagram of the far node gets into no session" not grep -q heard "$work/in.log"
fact "for it does not leave that node" test "$(packets node-a 'into a session' '')" -eq "$before"

all_facts_hold
