# shellcheck shell=bash disable=SC2154
# What the end-to-end tests share beside the mesh: facts, one line each, and the mesh that most of them look at.
# Sourced after scripts/lib/mesh.sh.

failures=0

# fact SENTENCE COMMAND...: the sentence is true if the command succeeds.
fact() {
    local sentence=$1
    shift
    if "$@"; then echo "ok - $sentence"; else
        failures=$((failures + 1))
        echo "not ok - $sentence"
    fi
}

all_facts_hold() { [[ $failures -eq 0 ]]; }

# says TEXT COMMAND...: the command fails, and its words hold the text.
says() {
    local text=$1 words
    shift
    words=$("$@" 2>&1) && return 1
    grep -qF -- "$text" <<<"$words" || { echo "# it said: $words"; return 1; }
}

# A process has ended when the last of its threads has, and with it its sockets.
is_alive() { { cat /proc/"$1"/task/*/status 2>/dev/null || true; } | awk '$1 == "State:" && $2 !~ /[ZX]/ { alive = 1 } END { exit !alive }'; }
# node-a's, as the kernel does when memory runs out.
kill_daemon() {
    local pid
    pid=$(posternd_of node-a)
    kill -KILL "$pid"
    wait_until 5 not is_alive "$pid"
}

# An agent `one` that may call the ledger and not the vault, and an agent `two` that may call neither.
# standard_mesh [OPTION OF scripts/lab up]...
standard_mesh() {
    mesh_up "$@"
    start_service ledger 8081
    start_service vault 8082
    {
        postern agent create one --owner test --node node-a
        postern agent create two --owner test --node node-a
        postern service add ledger --node node-b --port 8081
        postern service add vault --node node-b --port 8082
    } >/dev/null
    echo 'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");' >"$work/p.cedar"
    postern policy apply "$work/p.cedar" >/dev/null
}

# get SESSION PORT [SECONDS]: from node-b, by whatever stands in the session's network namespace.
get() {
    in_session "$1" curl --silent --max-time "$(patiently "${3:-3}")" "http://$(in_url "$address_b"):$2/"
}
in_url() { if [[ "$1" == *:* ]]; then echo "[$1]"; else echo "$1"; fi; }
ledger_answers() { [[ "$(get "$1" 8081)" == 'this is ledger' ]]; }
vault_is_silent() { not get "$1" 8082 1 >/dev/null; }
ledger_is_silent() { not get "$1" 8081 1 >/dev/null; }

# A download of 2 MB that takes 2 s, so that something can happen to it on its way.
download_starts() { # SESSION
    : >"$work/download"
    in_session "$1" curl --silent --no-buffer --max-time "$(patiently 40)" \
        "http://$(in_url "$address_b"):8081/slow/100" >"$work/download" &
    download=$!
    started_pids+=("$download")
    wait_until 5 test -s "$work/download"
}
download_is_whole() {
    wait "$download" || true
    [[ $(stat --format=%s "$work/download") -eq 2000000 ]] || { echo "# $(stat --format=%s "$work/download") bytes came" && false; }
}

# The endpoint that WireGuard on node-b has for the session's key, as `wg` says.
endpoint_of() { # SESSION
    lab exec node-b -- wg show "$(node_device node-b)" endpoints | awk -v key="${key_of[$1]}" '$1 == key { print $2 }'
}
endpoint_is_at() { # SESSION ADDRESS
    local seen
    seen=$(endpoint_of "$1")
    [[ "${seen%:*}" == "$2" || "${seen%:*}" == "[$2]" ]]
}
# The keys that WireGuard on node-b has for an inner address.
keys_at() { # ADDRESS
    lab exec node-b -- wg show "$(node_device node-b)" allowed-ips | awk -v address="$1/32" '
        { for (i = 2; i <= NF; i++) if ($i == address) print $1 }'
}
