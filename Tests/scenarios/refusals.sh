#!/bin/bash
# What an agent is told when its call is not let through, or nobody answers: an error, at once, and never a silence.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# told ERROR FAMILY TYPE ADDRESS PORT: an agent's call ends with the error within a tenth of a second, by its own clock.
told() {
    local error=$1
    shift
    run_agent one /usr/bin/python3 -I -S -c '
import errno, socket, sys, time
family, kind, address, port, patience = sys.argv[1:]
call = socket.socket(getattr(socket, family), getattr(socket, kind))
call.settimeout(3 * int(patience))
before = time.monotonic()
try:
    call.connect((address, int(port)))
    call.send(b"hello")
    if kind == "SOCK_DGRAM": call.recv(100)
    print("nothing")
except OSError as error:
    in_time = time.monotonic() - before < 0.1 * int(patience)
    print(errno.errorcode.get(error.errno, type(error).__name__), "" if in_time else "late")' "$@" "$patience"
    [[ "$(head -n 1 "$work/run.out")" =~ ^($error)\ $ ]] \
        || { echo "# it was told: $(head -n 1 "$work/run.out") $(tail -n 2 "$work/run.err" | tr '\n' ' ')"; return 1; }
}

build_programs
trap mesh_down EXIT
standard_mesh
b6=$(status node-b | jq -r '.address6 // empty')
postern service add closed --node node-b --port 8083 >/dev/null
echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"closed");' >"$work/c.cedar"
postern policy apply "$work/c.cedar" >/dev/null
wait_until 5 told ECONNREFUSED AF_INET SOCK_STREAM "$address_b" 8083 >/dev/null || true

fact "a service that no policy grants" told 'EPERM|EACCES' AF_INET SOCK_STREAM "$address_b" 8082
fact "a port that is no service" told 'EPERM|EACCES' AF_INET SOCK_STREAM "$address_b" 22
fact "an address of the mesh that nobody has" told 'EPERM|EACCES' AF_INET SOCK_STREAM "${address_b%.*}.250" 8081
fact "an address outside the mesh" told 'EPERM|EACCES|ENETUNREACH' AF_INET SOCK_STREAM "$(underlay_address node-b)" 8081
fact "the metadata service of a cloud" told 'EPERM|EACCES|ENETUNREACH' AF_INET SOCK_STREAM 169.254.169.254 80
fact "a datagram to what no policy grants" told 'EPERM|EACCES' AF_INET SOCK_DGRAM "$address_b" 8082
fact "a datagram out of the mesh" told 'EPERM|EACCES|ENETUNREACH' AF_INET SOCK_DGRAM "$(underlay_address node-b)" 53
if [[ -n "$b6" ]]; then
    fact "over IPv6 what no policy grants" told 'EPERM|EACCES' AF_INET6 SOCK_STREAM "$b6" 8082
    fact "an IPv6 address outside the mesh" told 'EPERM|EACCES|ENETUNREACH' AF_INET6 SOCK_STREAM 2001:db8::1 80
fi
fact "a granted service that does not run, by its own node" told ECONNREFUSED AF_INET SOCK_STREAM "$address_b" 8083
postern policy delete c.cedar >/dev/null
closed_to_one() { told 'EPERM|EACCES' AF_INET SOCK_STREAM "$address_b" 8083; }
fact "and a service whose grant was taken away" wait_until 5 closed_to_one

all_facts_hold
