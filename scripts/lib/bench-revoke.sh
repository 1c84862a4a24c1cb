# shellcheck shell=bash disable=SC2154
# From an admin's word to the last byte of a live download, by the receiver's clock: the time from the moment before
# `postern policy delete` starts to the last data that a program in the agent's network namespace reads, of a stream of a
# kilobyte each millisecond. Beside it the null: the same with a command that changes nothing. Sourced by scripts/bench.

bench_revoke() {
    local rounds=${1:-40} most=100 round
    local -a times=() null=()
    trap mesh_down EXIT
    standard_mesh
    write_stream
    postern service add stream --node node-b --port 8090 >/dev/null
    echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"stream");' >"$work/s.cedar"
    postern policy apply "$work/s.cedar" >/dev/null
    start "$work/stream.log" scripts/lab exec node-b -- /usr/bin/python3 -I -S "$work/stream.py" serve
    start_session one sleep 7200
    streams() { [[ -n "$(in_session "$session" timeout 0.5 bash -c "head -c 1 </dev/tcp/$address_b/8090" 2>/dev/null)" ]]; }
    for ((round = 0; round < rounds; round++)); do
        wait_until 10 streams
        null+=("$(last_byte_after true)")
        times+=("$(last_byte_after postern policy delete s.cedar)")
        postern policy apply "$work/s.cedar" >/dev/null
    done
    printf '%-28s %8s %8s %8s\n' "$rounds rounds, ms" median p99 'at most'
    figures 'nothing changes' 1e9 "${null[@]}"
    figures 'the policy is deleted' "$most" "${times[@]}"
}

# last_byte_after COMMAND...: in milliseconds. A stream that does not end is ended after a second.
last_byte_after() {
    local from reader
    in_session "$session" /usr/bin/python3 -I -S "$work/stream.py" read "$address_b" >"$work/last" &
    reader=$!
    wait_until 5 test -s "$work/last"
    from=$(date +%s%N)
    "$@" >/dev/null
    wait "$reader"
    awk -v from="$from" 'END { printf "%.1f\n", ($1 - from) / 1e6 }' "$work/last"
}

figures() { # LABEL LIMIT TIME...
    local label=$1 limit=$2
    shift 2
    printf '%s\n' "$@" | sort -n | awk -v label="$label" -v limit="$limit" '
        { at[NR] = $1 }
        END {
            p99 = at[int((NR * 99 + 99) / 100)]
            printf "%-28s %8.1f %8.1f %8s\n", label, at[int((NR + 1) / 2)], p99, limit < 1e9 ? limit : "-"
            exit p99 > limit
        }'
}

write_stream() {
    cat >"$work/stream.py" <<'PY'
import socket, sys, threading, time

def send(call):
    try:
        while True:
            call.sendall(b"x" * 1000)
            time.sleep(0.001)
    except OSError:
        pass

if sys.argv[1] == "serve":
    door = socket.create_server(("0.0.0.0", 8090))
    while True:
        threading.Thread(target=send, args=(door.accept()[0],), daemon=True).start()

call = socket.create_connection((sys.argv[2], 8090))
call.settimeout(0.5)
begun = time.monotonic()
last = 0
try:
    while time.monotonic() - begun < 1.5 and call.recv(65536):
        if not last:
            print("begun", flush=True)
        last = time.time_ns()
except OSError:
    pass
print(last, flush=True)
PY
}
