#!/bin/bash
# The clock of a machine is wrong: leases go on by the time since boot, what is permitted by the time of day is closed until
# the clock agrees again with the coordinator's, and what is forbidden stays forbidden.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# What a process reads from the clock on its machine's wall is so many seconds off.
make_clock() {
    cat >"$work/clock.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *time)
{
	int (*real)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int status = real(id, time);
	long seconds = 0;
	FILE *file;
	if (status || id != CLOCK_REALTIME || !(file = fopen(getenv("CLOCK_OFFSET"), "r")))
		return status;
	if (fscanf(file, "%ld", &seconds) == 1)
		time->tv_sec += seconds;
	fclose(file);
	return status;
}
C
    clang -shared -fPIC -o "$work/clock.so" "$work/clock.c" -ldl
}
set_clock() { # NODE SECONDS
    echo "$2" >"$work/$1.offset.new"
    mv "$work/$1.offset.new" "$work/$1.offset"
}
launch_node_by_its_clock() {
    node_environment=("LD_PRELOAD=$work/clock.so" "CLOCK_OFFSET=$work/$1.offset")
    launch_node "$1"
    node_environment=()
}
has_a_map() { status "$1" 2>/dev/null | jq -e '.mapVersion != null' >/dev/null; }
clinic_answers() { [[ "$(get "$1" 8083 1)" == 'this is clinic' ]]; }
clinic_is_silent() { not get "$1" 8083 1 >/dev/null; }
says_so() { grep -qF -- "$2" <(status "$1" | jq -r '.problems[]'); }
utc() { date --utc --date="$1" +%Y-%m-%dT%H:%M:%SZ; }

build_programs
trap mesh_down EXIT
standard_mesh
make_clock
start_service clinic 8083
postern service add clinic --node node-b --port 8083 >/dev/null
cat >"$work/time.cedar" <<END
permit (principal == Agent::"one", action == Action::"connect", resource == Service::"clinic")
when { context.now >= datetime("$(utc '-1 day')") && context.now < datetime("$(utc '+1 day')") };

permit (principal == Agent::"one", action == Action::"connect", resource == Service::"vault");

forbid (principal, action == Action::"connect", resource == Service::"vault")
when { context.now >= datetime("$(utc '-1 day')") };
END
postern policy apply "$work/time.cedar" >/dev/null
for node in node-a node-b; do
    set_clock "$node" 0
    pid=$(posternd_of "$node")
    kill "$pid"
    wait_until 10 test ! -e "/proc/$pid"
    launch_node_by_its_clock "$node"
    wait_until 15 node_is_ready "$node"
done
start_session one sleep 600
one=$session
fact "with clocks that agree the window is open" wait_until 10 clinic_answers "$one"
fact "what is always permitted is" ledger_answers "$one"
fact "and what is forbidden is not" vault_is_silent "$one"

for offset in 3600 -3600; do
    case $offset in -*) how=behind ;; *) how='ahead of' ;; esac
    echo "# the clock of the service's node is an hour $how the coordinator's"
    set_clock node-b "$offset"
    fact "what the time of day permits is closed" wait_until 15 clinic_is_silent "$one"
    fact "what is always permitted goes on" ledger_answers "$one"
    fact "what is forbidden stays so" vault_is_silent "$one"
    fact "the node says what is wrong" says_so node-b "this machine's clock is 3"
    set_clock node-b 0
    fact "when it is right again the window is open" wait_until 15 clinic_answers "$one"
done

echo "# the clock of the agent's node is an hour behind"
set_clock node-a -3600
fact "what the time of day permits is closed" wait_until 15 clinic_is_silent "$one"
run_agent two true
fact "no session starts, and the reason is told" grep -q "this machine's clock is 3" "$work/run.err"
fact "the one that runs goes on" ledger_answers "$one"
before=$(session_field "$one" expires)
fact "and its lease is what it was: it is counted since boot" test "$(($(session_field "$one" expires) - before))" -eq 0

echo "# a daemon that starts by a wrong clock, with the coordinator away"
kill "$coordinator_pid" && wait "$coordinator_pid" 2>/dev/null || true
set_clock node-b -3600
pid=$(posternd_of node-b)
kill -KILL "$pid"
wait_until 10 test ! -e "/proc/$pid"
launch_node_by_its_clock node-b
wait_until 10 has_a_map node-b
fact "opens nothing by the time of day" clinic_is_silent "$one"
fact "nor what is forbidden" vault_is_silent "$one"
fact "and lets go on what always may" wait_until 10 ledger_answers "$one"
set_clock node-a 0
set_clock node-b 0
fact "with right clocks the window is open, though the coordinator is away" wait_until 15 clinic_answers "$one"

echo "# a daemon with a boot time of its own"
pid=$(posternd_of node-b)
kill -KILL "$pid"
wait_until 10 test ! -e "/proc/$pid"
start "$work/node-b.log" scripts/lab exec node-b -- unshare --time --boottime 3600 "$bin/posternd" run \
    --state "$(node_state node-b)" --socket "$(node_socket node-b)" --bpffs "$(node_bpffs node-b)" \
    --device "$(node_device node-b)"
fact "does not begin, for its leases would be wrong" wait_until 10 grep -q 'in a time namespace' "$work/node-b.log"
fact "what was allowed goes on to the end of its lease" ledger_answers "$one"

all_facts_hold
