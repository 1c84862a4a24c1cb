# shellcheck shell=bash disable=SC2154
# From an admin's word to the last byte of a live download, by the receiver's clock: the time from the moment before
# `postern policy delete` starts to the last data that a program in an agent's network namespace reads, of a stream of a
# kilobyte each few milliseconds. First on one pair of nodes; then on twenty nodes in a ring, each with a session that
# downloads from the next one, where the last byte of all of them counts; their streams are thin, for all of these nodes
# share the cores of one machine, and carrying is not what is measured. Beside each the null: a command that changes
# nothing, and the streams go on. Sourced by scripts/bench.

bench_revoke() {
    local rounds=${1:-40} missed=0
    trap 'mesh_down 2>/dev/null' EXIT
    revoke_on 2 1 "$rounds" 1 100 || missed=1
    mesh_down 2>/dev/null
    revoke_on 20 20 "$(((rounds + 1) / 2))" 40 250 || missed=1
    [[ $missed -eq 0 ]]
}

# What is known of each session that downloads, in the order of their nodes.
declare -a callers=() called=()

# revoke_on NODES SESSIONS ROUNDS INTERVAL LIMIT: times in milliseconds.
revoke_on() {
    local number=$1 sessions=$2 rounds=$3 interval=$4 most=$5 round node next
    local -a times=() null=() names=()
    mesh_up --nodes "$number"
    mapfile -t names < <(nodes)
    wait_until 30 nodes_are_known
    write_stream
    # shellcheck disable=SC2046
    postern agent create one --owner test $(printf -- '--node %s ' "${names[@]:0:sessions}") >/dev/null
    for ((round = 0; round < sessions; round++)); do
        node=${names[$(((round + 1) % number))]}
        postern service add "stream-$node" --node "$node" --port 8090 --tag streams >/dev/null
        start "$work/$node-stream.log" nsenter --net="$(netns_of "$node")" \
            /usr/bin/python3 -I -S "$work/stream.py" serve "$interval"
    done
    echo 'permit (principal == Agent::"one", action == Action::"connect", resource in Tag::"streams");' >"$work/s.cedar"
    postern policy apply "$work/s.cedar" >/dev/null
    callers=() called=()
    for ((round = 0; round < sessions; round++)); do
        next=${names[$(((round + 1) % number))]}
        begin_session "${names[round]}"
        called+=("$(mesh_address "$next")")
    done
    for ((round = 0; round < rounds; round++)); do
        if ((round % 8 == 0)); then null+=("$(last_byte_after true)"); fi
        times+=("$(last_byte_after postern policy delete s.cedar)")
        postern policy apply "$work/s.cedar" >/dev/null
    done
    printf '%-40s %8s %8s %8s\n' "last byte, $number nodes, $rounds rounds, ms" median p99 'at most'
    figures 'nothing changes: streams go on' - "${null[@]}"
    figures 'the policy is deleted' "$most" "${times[@]}"
}

# begin_session NODE: of the agent, in the background; its process goes into `callers`.
begin_session() {
    local node=$1
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket "$node") exec nsenter --net="$(netns_of "$node")" \
        "$bin/postern" run --agent one --user nobody -- sleep 7200) </dev/null >/dev/null 2>&1 &
    started_pids+=("$!")
    runs() { status "$node" | jq -e 'any(.sessions[]; .processID != null)' >/dev/null; }
    wait_until 20 runs
    callers+=("$(status "$node" | jq -r '.sessions[0].processID')")
}

# last_byte_after COMMAND...: in milliseconds, of all streams, which have all begun. One that does not end is ended three
# seconds later.
last_byte_after() {
    local from index
    local -a readers=()
    rm -f "$work/go"
    for index in "${!callers[@]}"; do
        nsenter --net="/proc/${callers[$index]}/ns/net" \
            /usr/bin/python3 -I -S "$work/stream.py" read "${called[$index]}" "$work/go" >"$work/last-$index" &
        readers+=("$!")
    done
    all_have_begun() {
        for index in "${!callers[@]}"; do [[ -s "$work/last-$index" ]] || return 1; done
    }
    wait_until 20 all_have_begun
    touch "$work/go"
    from=$(date +%s%N)
    "$@" >/dev/null
    wait "${readers[@]}"
    awk -v from="$from" '$1 ~ /^[0-9]+$/ && $1 > last { last = $1 } END { printf "%.1f\n", (last - from) / 1e6 }' \
        "$work"/last-*
    rm "$work"/last-*
}

figures() { # LABEL LIMIT TIME...: fails if the last hundredth takes longer
    local label=$1 limit=$2
    shift 2
    printf '%s\n' "$@" | sort -n | awk -v label="$label" -v limit="$limit" '
        { at[NR] = $1 }
        END {
            p99 = at[int((NR * 99 + 99) / 100)]
            printf "%-40s %8.1f %8.1f %8s\n", label, at[int((NR + 1) / 2)], p99, limit
            exit limit != "-" && p99 > limit
        }'
}

write_stream() {
    cat >"$work/stream.py" <<'PY'
import os, socket, sys, threading, time

def send(call, interval):
    try:
        while True:
            call.sendall(b"x" * 1000)
            time.sleep(interval)
    except OSError:
        pass

if sys.argv[1] == "serve":
    door = socket.create_server(("0.0.0.0", 8090), backlog=64)
    while True:
        threading.Thread(target=send, args=(door.accept()[0], int(sys.argv[2]) / 1000), daemon=True).start()

def connect(address, deadline):
    while True:
        try:
            return socket.create_connection((address, 8090), 0.3)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)

call = connect(sys.argv[2], time.monotonic() + 15)
call.settimeout(0.5)
last, end = 0, None
try:
    while (end is None or time.monotonic() < end) and call.recv(65536):
        if not last:
            print("begun", flush=True)
        last = time.time_ns()
        if end is None and os.path.exists(sys.argv[3]):
            end = time.monotonic() + 3
except OSError:
    pass
print(last, flush=True)
PY
}
