# shellcheck shell=bash
# A whole mesh in the lab, for the demo and the end-to-end tests: sourced, never run.
#
# Every function either does what its name says or returns non-zero. What was started is ended by mesh_down, by pid.

set -o pipefail

bin=$PWD/.build/debug
work=
lab_is_ours=
mesh=demo.internal
declare -a started_pids=()

lab() { scripts/lab "$@"; }
not() { ! "$@"; }

build_programs() {
    scripts/install-tools
    local program
    for program in postern posternd postern-session postern-coordinator; do
        if [[ -n "${POSTERN_BUILT:-}" ]]; then break; fi
        echo "building $program (the first time takes some minutes)" >&2
        swift build --product "$program" >&2
    done
}

# wait_until SECONDS COMMAND...
wait_until() {
    local deadline=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@"; do
        [[ $(date +%s%N) -lt $deadline ]] || return 1
        sleep 0.05
    done
}

# ---- the mesh ---------------------------------------------------------------------------------------------------------

# The lab's hosts share their mounts, so everything that belongs to one host has its own path.
node_state() { echo "$work/$1"; }
node_socket() { echo "$work/$1.sock"; }
node_bpffs() { echo "/run/postern-lab/$1/bpf/postern"; }
node_device() { echo "pt${1#node-}"; }
underlay_address() { lab status --json | jq -r --arg host "$1" '.hosts[] | select(.name == $host) | .address'; }

mesh_up() {
    work=$(mktemp -d /tmp/postern-mesh.XXXXXX)
    mkdir "$work/agent"
    chmod 755 "$work"
    chown nobody: "$work/agent"
    lab up --nodes 2 >"$work/lab.log"
    lab_is_ours=1
    start_coordinator
    local node
    for node in node-a node-b; do
        join_node "$node"
        start_node "$node"
    done
    address_b=$(mesh_address node-b)
}

mesh_down() {
    local pid
    for pid in "${started_pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${started_pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    started_pids=()
    [[ -z "$work" ]] || rm -rf "$work"
    [[ -n "$lab_is_ours" ]] || return 0
    lab down >/dev/null || true
    lab_is_ours=
    rmdir "$(cgroups)"/postern/pt? "$(cgroups)"/postern 2>/dev/null || true
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
    "$bin/postern-coordinator" init --state "$work/coordinator" --mesh "$mesh" --url "https://$address:8443" \
        >"$work/init.log"
    serve_coordinator
}

serve_coordinator() {
    start "$work/coordinator.log" scripts/lab exec coordinator -- \
        "$bin/postern-coordinator" serve --state "$work/coordinator" --listen "$(underlay_address coordinator):8443"
    coordinator_pid=$pid
    export POSTERN_ADMIN_FILE=$work/coordinator/admin.json
    wait_until 10 grep -q '^ready' "$work/coordinator.log"
}

# What an admin types, on the coordinator's host.
postern() { lab exec coordinator -- "$bin/postern" "$@"; }

join_node() {
    local node=$1
    postern join-token create --node "$node" --output "$work/$node.token" >/dev/null
    lab exec "$node" -- "$bin/posternd" join --token-file "$work/$node.token" --name "$node" \
        --endpoint "$(underlay_address "$node"):51820" --state "$(node_state "$node")" >"$work/$node.join.log"
}

start_node() {
    local node=$1
    start "$work/$node.log" scripts/lab exec "$node" -- "$bin/posternd" run --state "$(node_state "$node")" \
        --socket "$(node_socket "$node")" --bpffs "$(node_bpffs "$node")" --device "$(node_device "$node")"
    declare -g "${node/-/_}_pid=$pid"
    wait_until 15 node_is_ready "$node"
}

node_is_ready() { status "$1" 2>/dev/null | jq -e '.mapVersion != null and .problems == []' >/dev/null; }
nodes_are_known() { [[ $(postern get nodes --json | jq length) -eq 2 ]]; }

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

# An ordinary HTTP server on node-b that knows nothing of any mesh; /slow sends 6 MB, 20 kB every 20 ms.
start_service() {
    local name=$1 port=$2
    cat >"$work/service.py" <<'PY'
import http.server, sys, time

class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if self.path != "/slow":
            self.wfile.write(f"this is {sys.argv[1]}\n".encode())
            return
        for _ in range(300):
            self.wfile.write(b"x" * 20000)
            time.sleep(0.02)

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Service).serve_forever()
PY
    start "$work/$name.log" scripts/lab exec node-b -- python3 "$work/service.py" "$name" "$port"
    wait_until 5 lab exec node-b -- curl --silent --max-time 1 --output /dev/null "http://127.0.0.1:$port/"
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

in_node_a() { nsenter --net=/run/netns/postern-lab-node-a "$@"; }

# What is known of a session, by its id: asked once, because the daemon may be stopped later.
declare -A process_of=() address_of=() device_of=() key_of=() port_of=()

# start_session AGENT COMMAND...: in the background; leaves session and session_out.
start_session() {
    local agent=$1
    shift
    session_out=$work/session.out
    : >"$session_out"
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) exec nsenter --net=/run/netns/postern-lab-node-a \
        "$bin/postern" run --agent "$agent" --user nobody -- "$@") </dev/null >"$session_out" 2>"$work/session.err" &
    started_pids+=("$!")
    wait_until 10 session_runs "$agent"
    session=$(session_of "$agent")
    process_of[$session]=$(session_field "$session" processID)
    address_of[$session]=$(session_field "$session" address)
    device_of[$session]=$(session_field "$session" device)
    key_of[$session]=$(wg show "${device_of[$session]}" public-key)
    port_of[$session]=$(wg show "${device_of[$session]}" listen-port)
}

session_of() { status node-a | jq -r --arg agent "$1" '.sessions[] | select(.agent == $agent) | .id'; }
session_runs() {
    status node-a | jq -e --arg agent "$1" '.sessions[] | select(.agent == $agent and .processID != null)' >/dev/null
}
session_field() { status node-a | jq -r --arg id "$1" --arg field "$2" '.sessions[] | select(.id == $id) | .[$field]'; }
session_is_gone() {
    local said
    said=$(status node-a) && jq -e --arg id "$1" '[.sessions[] | select(.id == $id)] | length == 0' <<<"$said" >/dev/null
}
finish_session() { on_node node-a session end "$1" >/dev/null; }

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
    [[ $((($(date +%s%N) - from) / 1000000)) -lt $1 ]]
}

# ---- policy -----------------------------------------------------------------------------------------------------------

denied() {
    [[ $run_code -ne 0 && ! -s "$work/run.out" ]] \
        && grep -q "denied: agent \`$1\` may not connect to \`$2\`" "$work/run.err"
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
    lab exec node-b -- wg show ptb dump | awk -v key="${key_of[$1]}" \
        '$1 == key && $5 > 0 && $6 > 0 && $7 > 0 { found = 1 } END { exit !found }'
}
wg_does_not_know() { # SESSION
    local peers
    peers=$(lab exec node-b -- wg show ptb peers) && [[ -n "${key_of[$1]}" ]] && ! grep -qF "${key_of[$1]}" <<<"$peers"
}

# capture HOST FILE INTERFACE FILTER: leaves $pid once tcpdump listens.
capture() {
    start "$2.log" nsenter --net="/run/netns/postern-lab-$1" \
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
    capture node-b "$work/inner.pcap" ptb ip
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
    capture node-b "$work/tunnel.pcap" ptb ip
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
    in_session "$1" curl --silent --interface "$other" --max-time 1 --output /dev/null "http://$address_b:8081/" || true
}

# A daemon that is stopped cannot notice; without its pins, a TCX link is gone.
take_classifier_off() {
    kill -STOP "$(posternd_of node-a)"
    rm -f "$(node_bpffs node-a)/device-${device_of[$1]}"/*
}
put_classifier_back() { kill -CONT "$(posternd_of node-a)"; }
classifier_is_back() { wait_until 8 classifier_attached "${device_of[$1]}"; }
classifier_attached() {
    status node-a | jq -e --arg device "$1" '.devices[] | select(.name == $device) | .classifierAttached' >/dev/null \
        && [[ -e "$(node_bpffs node-a)/device-$1/egress" ]]
}
posternd_of() {
    local pid
    for pid in $(ip netns pids "postern-lab-$1"); do
        [[ "$(readlink "/proc/$pid/exe")" == "$(readlink -f "$bin/posternd")" ]] && echo "$pid" && return
    done
    return 1
}
wireguard_refused_source() {
    grep -q 'disallowed source address' "$(node_state node-b)"/wireguard/ptb.log
}

nothing_left() {
    local process
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/exe" 2>/dev/null)" in
            "$bin"/postern*) echo "# ${process#/proc/} still runs: $(tr '\0' ' ' <"$process/cmdline")"; return 1 ;;
            */wireguard-go) if grep -qaE 'pt[a-z0-9]+' "$process/cmdline"; then return 1; fi ;;
        esac
    done
    ! ip netns list | grep -q postern-lab \
        && ! ip -o link | grep -qE ': pt[a-z0-9]+:' \
        && ! grep -q postern-lab /proc/mounts \
        && ! compgen -G '/var/run/wireguard/pt*.sock' >/dev/null \
        && [[ ! -e /run/postern-lab && ! -e "$(cgroups)/postern" ]]
}

cgroups() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }
