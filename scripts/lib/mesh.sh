# shellcheck shell=bash
# A whole mesh in the lab, for the demo and the end-to-end tests: sourced, never run.
#
# Every function either does what its name says or returns non-zero. What was started is ended by mesh_down, by pid.
#
#   POSTERN_LAB             the name of the lab, `lab` unless said otherwise: meshes of two names run side by side
#   POSTERN_TEST_BACKEND    `kernel` or `userspace`: the WireGuard of the nodes; the daemon's own choice unless said
#   POSTERN_TEST_PATIENCE   what every time limit is multiplied by: 1, or more on a slow machine
#   POSTERN_BUILT           when set, the programs are taken as they are
#   POSTERN_PROGRAMS        the directory of the programs, .build/debug unless said otherwise

set -o pipefail

bin=${POSTERN_PROGRAMS:-$PWD/.build/debug}
work=
lab_is_ours=
mesh=demo.internal
declare -a started_pids=()

lab_name=${POSTERN_LAB:-lab}
export POSTERN_LAB=$lab_name
patience=${POSTERN_TEST_PATIENCE:-1}
pause=$(printf '%d.%02d' $((patience * 5 / 100)) $((patience * 5 % 100)))

# A host is entered as scripts/lab does it, which is too slow to start for what is asked again and again.
lab() {
    if [[ "$1" == exec && "$3" == -- ]]; then nsenter --net="$(netns_of "$2")" -- "${@:4}"; else scripts/lab "$@"; fi
}
not() { ! "$@"; }
patiently() { echo $(($1 * patience)); }

build_programs() {
    if [[ -n "${POSTERN_BUILT:-}${POSTERN_PROGRAMS:-}" ]]; then return; fi
    scripts/install-tools
    local program
    for program in postern posternd postern-session postern-coordinator; do
        echo "building $program (the first time takes some minutes)" >&2
        swift build --product "$program" >&2
    done
}

# wait_until SECONDS COMMAND...
wait_until() {
    local deadline=$(($(date +%s%N) + $(patiently "$1") * 1000000000))
    shift
    until "$@"; do
        [[ $(date +%s%N) -lt $deadline ]] || return 1
        sleep "$pause"
    done
}

# ---- the mesh ---------------------------------------------------------------------------------------------------------

# The lab's hosts share their mounts, so everything that belongs to one host has its own path.
node_state() { echo "$work/$1"; }
node_socket() { echo "$work/$1.sock"; }
node_bpffs() { echo "$(host_field "$1" bpf)/postern"; }
node_device() { host_field "$1" device; }
underlay_address() { host_field "$1" address; }
netns_of() { echo "/run/netns/postern-$lab_name-$1"; }

# What the lab says of a host, asked once.
declare -A fields_of=()
host_field() { echo "${fields_of[$1.$2]}"; }
learn_lab() {
    local key value
    fields_of=()
    while IFS=$'\t' read -r key value; do fields_of[$key]=$value; done < <(lab status --json \
        | jq -r '.hosts[] | .name as $host | to_entries[] | select(.value | type == "string") | "\($host).\(.key)\t\(.value)"')
}

# ADDRESS PORT, as one word.
endpoint() { if [[ "$1" == *:* ]]; then echo "[$1]:$2"; else echo "$1:$2"; fi; }

# mesh_up [OPTION OF scripts/lab up]...: a coordinator and nodes that have joined and run. A function prepare_hosts, where
# there is one, runs before; what it puts into wireguard_at is where WireGuard of a node is reached, at one address or at
# several, and coordinator_host is a name for the coordinator.
declare -A wireguard_at=()
coordinator_host=
mesh_up() {
    work=$(mktemp -d /tmp/postern-mesh.XXXXXX)
    mkdir "$work/agent"
    chmod 755 "$work"
    chown nobody: "$work/agent"
    lab up --backend "${POSTERN_TEST_BACKEND:-}" "$@" >"$work/lab.log"
    lab_is_ours=1
    learn_lab
    if declare -F prepare_hosts >/dev/null; then prepare_hosts; fi
    start_coordinator
    local node
    for node in $(nodes); do
        join_node "$node"
        start_node "$node"
    done
    address_b=$(mesh_address node-b)
}

# `postern run` keeps the first signal for a daemon that may come back, and goes at the second.
mesh_down() {
    local pid signal
    for signal in TERM TERM KILL; do
        for pid in "${started_pids[@]}"; do
            kill -s "$signal" "$pid" 2>/dev/null || true
        done
        wait_until 5 nothing_started || true
    done
    for pid in "${started_pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    started_pids=()
    [[ -z "$work" ]] || rm -rf "$work"
    [[ -n "$lab_is_ours" ]] || return 0
    lab down >/dev/null || true
    lab_is_ours=
    local node
    for node in $(nodes); do rmdir "$(cgroups)/postern/$(node_device "$node")" 2>/dev/null || true; done
    rmdir "$(cgroups)/postern" 2>/dev/null || true
}

nothing_started() {
    local pid
    for pid in "${started_pids[@]}"; do
        ! kill -s 0 "$pid" 2>/dev/null || return 1
    done
}

nodes() {
    local key
    for key in "${!fields_of[@]}"; do
        if [[ "$key" == node-*.name ]]; then echo "${fields_of[$key]}"; fi
    done | sort
}

# start LOG COMMAND...: in the background, ended by mesh_down; its pid is in $pid.
start() {
    local log=$1
    shift
    "$@" </dev/null >"$log" 2>&1 &
    pid=$!
    started_pids+=("$pid")
}

start_coordinator() {
    local address
    address=$(underlay_address coordinator)
    "$bin/postern-coordinator" init --state "$work/coordinator" --mesh "$mesh" --url "https://$(endpoint "${coordinator_host:-$address}" 8443)" \
        >"$work/init.log"
    serve_coordinator
}

# What is in coordinator_options goes to its command line.
declare -a coordinator_options=()
serve_coordinator() {
    local address
    address=$(underlay_address coordinator)
    # One that is found by a name may move.
    [[ -z "$coordinator_host" ]] || address=::
    start "$work/coordinator.log" scripts/lab exec coordinator -- \
        "$bin/postern-coordinator" serve --state "$work/coordinator" --listen "$(endpoint "$address" 8443)" \
        "${coordinator_options[@]}"
    coordinator_pid=$pid
    export POSTERN_ADMIN_FILE=$work/coordinator/admin.json
    wait_until 10 grep -q '^ready' "$work/coordinator.log"
}

# What an admin types, on the coordinator's host.
postern() { lab exec coordinator -- "$bin/postern" "$@"; }

join_node() {
    local node=$1 address
    local -a endpoints=()
    for address in ${wireguard_at[$node]:-$(underlay_address "$node")}; do
        endpoints+=(--endpoint "$(endpoint "$address" 51820)")
    done
    postern join-token create --node "$node" --output "$work/$node.token" >/dev/null
    lab exec "$node" -- "$bin/posternd" join --token-file "$work/$node.token" --name "$node" \
        "${endpoints[@]}" --state "$(node_state "$node")" >"$work/$node.join.log"
}

# start_node NODE: until it is ready; launch_node does not wait.
start_node() {
    launch_node "$1"
    wait_until 15 node_is_ready "$1"
}

# What is in node_environment, NAME=VALUE each, the daemon finds in its environment; node_options are options of its.
declare -a node_environment=() node_options=()
launch_node() {
    local node=$1 backend
    backend=$(lab status --json | jq -r '.backend // empty')
    start "$work/$node.log" scripts/lab exec "$node" -- env "${node_environment[@]}" "$bin/posternd" run --state "$(node_state "$node")" \
        --socket "$(node_socket "$node")" --bpffs "$(node_bpffs "$node")" --device "$(node_device "$node")" \
        ${backend:+--wireguard "$backend"} "${node_options[@]}"
    declare -g "${node/-/_}_pid=$pid"
}

node_is_ready() { status "$1" 2>/dev/null | jq -e '.mapVersion != null and .problems == []' >/dev/null; }
nodes_are_known() { [[ $(postern get nodes --json | jq length) -eq $(nodes | wc -l) ]]; }

coordinator_sees() { postern get nodes; }

# What a person asks of one node.
on_node() {
    local node=$1
    shift
    POSTERN_SOCKET=$(node_socket "$node") lab exec "$node" -- "$bin/postern" "$@"
}

status() { on_node "$1" status --json; }
pool() { status node-a | jq -r .pool; }
mesh_address() { status "$1" | jq -r .address; }

# ---- services ---------------------------------------------------------------------------------------------------------

# start_service NAME PORT [NODE]: an ordinary HTTP server on a node, node-b unless said, that knows nothing of any mesh.
# /slow sends 6 MB, 20 kB every 20 ms (times the patience), and /slow/N only N times as much.
start_service() {
    local name=$1 port=$2 node=${3:-node-b}
    cat >"$work/service.py" <<'PY'
import http.server, sys, time

class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if not self.path.startswith("/slow"):
            self.wfile.write(f"this is {sys.argv[1]}\n".encode())
            return
        for _ in range(int(self.path[6:] or 300)):
            self.wfile.write(b"x" * 20000)
            time.sleep(0.02 * int(sys.argv[3]))

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Service).serve_forever()
PY
    start "$work/$name.log" scripts/lab exec "$node" -- /usr/bin/python3 -I -S "$work/service.py" "$name" "$port" "$patience"
    wait_until 5 lab exec "$node" -- curl --silent --max-time "$(patiently 1)" --output /dev/null "http://127.0.0.1:$port/"
}

# ---- sessions ---------------------------------------------------------------------------------------------------------

# run_agent AGENT COMMAND...: on node-a; leaves run_code, run_milliseconds, $work/run.out and $work/run.err.
run_agent() {
    local agent=$1 from
    shift
    from=$(date +%s%N)
    run_code=0
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) in_node_a \
        "$bin/postern" run --agent "$agent" --user nobody -- "$@") >"$work/run.out" 2>"$work/run.err" || run_code=$?
    run_milliseconds=$((($(date +%s%N) - from) / 1000000))
}

in_node_a() { nsenter --net="$(netns_of node-a)" "$@"; }

# What is known of a session, by its id: asked once, because the daemon may be stopped later.
session_node=node-a
declare -A process_of=() address_of=() device_of=() key_of=() port_of=()

# start_session AGENT COMMAND...: in the background, on node-a or on session_node, with run_options; leaves session,
# session_out and run_pid.
declare -a run_options=()
start_session() {
    local agent=$1
    shift
    session_out=$work/session.out
    : >"$session_out"
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket "$session_node") exec nsenter --net="$(netns_of "$session_node")" \
        "$bin/postern" run --agent "$agent" --user nobody "${run_options[@]}" -- "$@") </dev/null >"$session_out" 2>"$work/session.err" &
    run_pid=$!
    started_pids+=("$run_pid")
    wait_until 10 session_runs "$agent"
    session=$(session_of "$agent")
    process_of[$session]=$(session_field "$session" processID)
    address_of[$session]=$(session_field "$session" address)
    device_of[$session]=$(session_field "$session" device)
    key_of[$session]=$(in_session "$session" wg show "${device_of[$session]}" public-key)
    port_of[$session]=$(in_session "$session" wg show "${device_of[$session]}" listen-port)
}

session_of() { status "$session_node" | jq -r --arg agent "$1" '.sessions[] | select(.agent == $agent) | .id'; }
session_runs() {
    status "$session_node" | jq -e --arg agent "$1" '.sessions[] | select(.agent == $agent and .processID != null)' >/dev/null
}
session_field() { status "$session_node" | jq -r --arg id "$1" --arg field "$2" '.sessions[] | select(.id == $id) | .[$field]'; }
session_is_gone() {
    local said
    said=$(status node-a) && jq -e --arg id "$1" '[.sessions[] | select(.id == $id)] | length == 0' <<<"$said" >/dev/null
}
finish_session() { on_node node-a session end "$1" >/dev/null && wait_until 5 session_is_gone "$1"; }

# in_session SESSION COMMAND...: as root in the session's network namespace alone, as a patched enclosure might.
in_session() {
    local id=$1
    shift
    nsenter --net="/proc/${process_of[$id]}/ns/net" "$@"
}

# ends_within MILLISECONDS SESSION
ends_within() {
    local from
    from=$(date +%s%N)
    on_node node-a session end "$2" >/dev/null || return 1
    wait_until 5 session_is_gone "$2" || return 1
    [[ $((($(date +%s%N) - from) / 1000000)) -lt $(patiently "$1") ]]
}

# ---- policy -----------------------------------------------------------------------------------------------------------

denied() {
    [[ $run_code -ne 0 && ! -s "$work/run.out" ]] \
        && grep -qF -e "denied: agent \`$1\` may not connect to \`$2\`" -e "denied: agent \`$1\` may not connect to $2:" \
            "$work/run.err"
}
why() { on_node node-a why --agent "$1" connect "$2" || true; }
why_code() {
    local code=0
    on_node node-a why --agent "$1" connect "$2" >/dev/null || code=$?
    echo "$code"
}
names_the_policy() {
    local text
    text=$(on_node node-a why --agent one connect ledger) && grep -q 'one-reads-the-ledger.*demo.cedar:1:1' <<<"$text"
}
refuses_bad_policy() {
    echo 'permit (principal == Agent::"one", action, resourc);' >"$work/bad.cedar"
    local before after error
    before=$(postern get policies --json)
    error=$(postern policy apply "$work/bad.cedar" 2>&1) && return 1
    after=$(postern get policies --json)
    [[ "$before" == "$after" ]] && grep -q 'bad.cedar:1:44' <<<"$error"
}

# ---- what the wire and the kernel say ---------------------------------------------------------------------------------

# packets NODE PLACE REASON: how many left by that way.
packets() {
    status "$1" | jq --arg place "$2" --arg reason "$3" \
        '[.packets[] | select(.direction == $place and (.reason | contains($reason))) | .packets] | add // 0'
}
# more_packets BEFORE NODE PLACE REASON
more_packets() {
    local before=$1
    shift
    [[ $(packets "$@") -gt $before ]]
}

# wg's own words on node-b, about the key that the session's own device has.
wg_knows() { # SESSION: with a handshake and bytes both ways
    lab exec node-b -- wg show "$(node_device node-b)" dump | awk -v key="${key_of[$1]}" \
        '$1 == key && $5 > 0 && $6 > 0 && $7 > 0 { found = 1 } END { exit !found }'
}
wg_does_not_know() { # SESSION
    local peers
    peers=$(lab exec node-b -- wg show "$(node_device node-b)" peers) && [[ -n "${key_of[$1]}" ]] && ! grep -qF "${key_of[$1]}" <<<"$peers"
}

# capture HOST FILE INTERFACE FILTER: leaves $pid once tcpdump listens.
capture() {
    start "$2.log" nsenter --net="$(netns_of "$1")" \
        tcpdump --immediate-mode --packet-buffered -n -i "$3" -w "$2" "$4"
    local tcpdump=$pid file=$2
    wait_until 5 grep -q 'listening on' "$file.log" || return 1
    pid=$tcpdump
}
stop_process() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
# count_packets FILE [FILTER]: -1 when the capture cannot be read, which is no number of packets.
count_packets() {
    local lines
    if lines=$(tcpdump -tt -n -r "$1" "${2:-}" 2>/dev/null); then grep -c . <<<"$lines" || true; else echo -1; fi
}

# All that crosses the underlay, seen from its bridge.
capture_start() {
    capture underlay "$work/underlay.pcap" any ip
    underlay_capture=$pid
}
capture_stop() { stop_process "$underlay_capture"; }
captured_packets() {
    count_packets "$work/underlay.pcap" "udp and host $(underlay_address node-a) and host $(underlay_address node-b)"
}
nowhere_in_capture() { [[ -s "$work/underlay.pcap" ]] && ! grep -qaF "$1" "$work/underlay.pcap"; }

# What comes out of node-b's tunnel, and what the session's device sends into it: data of WireGuard (type 4) that is
# longer than a keepalive.
forgery_capture_start() { # SESSION
    capture node-b "$work/inner.pcap" "$(node_device node-b)" ip
    inner_capture=$pid
    capture underlay "$work/outer.pcap" any "udp src port ${port_of[$1]} and udp[8] == 4 and udp[4:2] > 40"
    outer_capture=$pid
}
forgery_capture_stop() {
    sleep 0.2
    stop_process "$inner_capture"
    stop_process "$outer_capture"
}
left_sealed() { [[ $(count_packets "$work/outer.pcap") -gt 0 ]]; }
came_from() { [[ $(count_packets "$work/inner.pcap" "src host $1") -gt 0 ]]; }
nothing_from() { [[ $(count_packets "$work/inner.pcap" "src host $1") -eq 0 ]]; }

tunnel_capture_start() {
    capture node-b "$work/tunnel.pcap" "$(node_device node-b)" ip
    tunnel_capture=$pid
}
# came_until MOMENT ADDRESS: packets of the address came in at node-b before the moment (seconds since 1970), none after.
came_until() {
    stop_process "$tunnel_capture"
    tcpdump -tt -n -r "$work/tunnel.pcap" "src host $2" 2>/dev/null \
        | awk -v end="$1" '$1 > end { late++ } $1 <= end { early++ } END { exit !(early > 0 && late == 0) }'
}

# stands_still FILE SECONDS: the file does not grow.
stands_still() {
    local before
    before=$(stat --format=%s "$1")
    sleep "$2"
    [[ $(stat --format=%s "$1") -eq $before ]]
}

# ---- hostile hands ----------------------------------------------------------------------------------------------------

# forge SESSION OTHER: calls the ledger from the session's namespace with the other session's address.
forge() {
    local other=${address_of[$2]}
    in_session "$1" ip address add "$other/32" dev lo 2>/dev/null || true
    in_session "$1" curl --silent --interface "$other" --max-time "$(patiently 1)" --output /dev/null "http://$address_b:8081/" || true
}

# A daemon that is stopped cannot notice. Its session holds the links, so they are detached; what hangs on clsact goes with that.
take_classifier_off() {
    kill -STOP "$(posternd_of node-a)"
    detach_pinned "$(node_bpffs node-a)/device-${device_of[$1]}"
    in_session "$1" tc qdisc del dev "${device_of[$1]}" clsact 2>/dev/null || true
}
detach_pinned() { # DIRECTORY: where its pins are links
    local pin
    for pin in "$1"/*; do bpftool link detach pinned "$pin" 2>/dev/null || true; done
    rm -f "$1"/*
}
put_classifier_back() { kill -CONT "$(posternd_of node-a)"; }
classifier_is_back() { wait_until 8 classifier_attached "${device_of[$1]}"; }
classifier_attached() {
    status node-a | jq -e --arg device "$1" '.devices[] | select(.name == $device) | .classifierAttached' >/dev/null \
        && [[ -e "$(node_bpffs node-a)/device-$1/egress" ]]
}
posternd_of() {
    local pid
    for pid in $(ip netns pids "postern-$lab_name-$1"); do
        [[ "$(readlink "/proc/$pid/exe")" == "$(readlink -f "$bin/posternd")" ]] && echo "$pid" && return
    done
    return 1
}
# wireguard-go writes it down; the kernel counts it as a broken frame.
wireguard_refused_source() {
    local device
    device=$(node_device node-b)
    if [[ "$(device_kind node-b)" == wireguard ]]; then
        lab exec node-b -- ip -s -s -j link show "$device" | jq -e '.[0].stats64.rx.frame_errors > 0' >/dev/null
    else
        grep -q 'disallowed source address' "$(node_state node-b)/wireguard/$device.log"
    fi
}
# What the kernel says a device is: `wireguard`, or `tun` with wireguard-go behind it.
device_kind() { lab exec "$1" -- ip -d -j link show "$(node_device "$1")" | jq -r '.[0].linkinfo.info_kind'; }
session_kind() { in_session "$1" ip -d -j link show "${device_of[$1]}" | jq -r '.[0].linkinfo.info_kind'; }
# The backend that was asked for, or any.
is_as_asked() { # KIND
    case "${POSTERN_TEST_BACKEND:-}" in
        kernel) [[ "$1" == wireguard ]] ;;
        userspace) [[ "$1" == tun ]] ;;
        *) [[ "$1" == wireguard || "$1" == tun ]] ;;
    esac
}
devices_are_as_asked() { # SESSION
    is_as_asked "$(device_kind node-a)" && is_as_asked "$(device_kind node-b)" && is_as_asked "$(session_kind "$1")"
}

# Of this lab: another may be up.
nothing_left() {
    local process node devices
    devices=$(for node in $(nodes); do node_device "$node"; done | paste -sd '|')
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/exe" 2>/dev/null)" in
            */postern* | */wireguard-go)
                if { tr '\0' '\n' <"$process/cmdline"; cat "$process/cgroup"; } 2>/dev/null \
                    | grep -qE "^($devices)\$|^$work(/|\$)|/postern/($devices)(/|\$)"; then
                    echo "# ${process#/proc/} still runs: $(tr '\0' ' ' <"$process/cmdline")"
                    return 1
                fi ;;
        esac
    done
    ! ip netns list | grep -q "^postern-$lab_name-" \
        && ! ip -o link | grep -qE ": ($devices):" \
        && ! grep -q "/run/postern-$lab_name/" /proc/mounts \
        && ! find /var/run/wireguard -name '*.sock' 2>/dev/null | grep -qE "/($devices)\.sock\$" \
        && [[ ! -e "/run/postern-$lab_name" ]] \
        && ! find "$(cgroups)/postern" -mindepth 1 -maxdepth 1 2>/dev/null | grep -qE "/($devices)\$"
}

cgroups() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }
