#!/bin/bash
# shellcheck disable=SC2016
# Ordinary programs, as they come, that must not notice that they run in a session: interpreters and their packages,
# and what takes a whole screen. Prints `ok - …` or `not ok - …`, one line a fact. With POSTERN_TEST_DEEP also a
# browser, whose packages are larger than all the others' together.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# ---- from outside ------------------------------------------------------------------------------------------------------

# A session has no Internet: packages come in by its working directory.
numpy=2.2.6
fetch_wheels() {
    if ! { /usr/bin/python3 -m venv "$work/tools" && "$work/tools/bin/pip" download --quiet --disable-pip-version-check \
        --no-deps --only-binary :all: --dest "$work/agent/wheels" "numpy==$numpy"; } >"$work/pip.log" 2>&1; then
        sed 's/^/# /' "$work/pip.log"
        return 1
    fi
}

# ordinary SENTENCE EXPECTED SCRIPT: what the shell script prints last in a session.
agent=one
ordinary() {
    run_agent "$agent" bash -ec "$3"
    fact "$1" prints_last "$2"
}
prints_last() {
    [[ $run_code -eq 0 && "$(tail -n 1 "$work/run.out")" == "$1" ]] \
        || { echo "# exit $run_code; it printed:"; tail -n 5 "$work/run.out" "$work/run.err" | sed 's/^/# /'; return 1; }
}

# ---- a screen ----------------------------------------------------------------------------------------------------------

# A terminal of 100 columns and 30 lines, which tmux plays, with a shell of a session in it.
screen() { tmux -L "postern-$$" -f /dev/null "$@"; }
screen_up() {
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) screen new-session -d -x 100 -y 30 \
        nsenter --net="$(netns_of node-a)" "$bin/postern" run --agent one --user nobody -- bash --norc -i)
    wait_until 15 shows 'bash-[0-9.]*[$]' && type_line "PS1='rea''dy> '" && wait_until 5 shows '^ready>'
}
screen_down() { screen kill-server 2>/dev/null || true; }
shows() { screen capture-pane -p | grep -q -- "$1"; }
lacks() { ! shows "$1"; }
type_line() { screen send-keys -l -- "$1" && screen send-keys Enter; }
# typed KEY... : by their names, as `q` or `Escape`.
typed() { screen send-keys "$@"; }
last_line_shows() { screen capture-pane -p | tail -n 1 | grep -q -- "$1"; }
# comes PATTERN: within some seconds; else what stands there is said.
comes() { wait_until 10 shows "$1" || { screen capture-pane -p | grep . | sed 's/^/# /'; return 1; }; }
back_at_shell() { type_line "clear" && wait_until 5 lacks 'clear' && comes '^ready>'; }
file_says() { [[ "$(cat "$work/agent/$1")" == "$2" ]]; }

pager() {
    type_line "seq 1000 | less" && comes '^30$\|^29$' && typed G && comes '^1000$' && typed g && comes '^1$' \
        && typed / 5 5 5 Enter && comes '^555$' && typed q && back_at_shell
}
editor() {
    type_line "vi -u NONE note" && comes '^~' && typed i && screen send-keys -l 'typed in a session' && typed Escape \
        && type_line ':wq' && wait_until 10 file_says note 'typed in a session' && back_at_shell
}
# Nobody's processes but the session's own: its first one, the shell, and itself.
monitor() {
    type_line "top" && comes 'Tasks: *3 total' && typed q && back_at_shell
}
resized() {
    type_line "vi -u NONE -c 'set number ruler' note" && comes '^ *1 typed' && screen resize-window -x 72 -y 20 \
        && wait_until 10 last_line_shows '1,1' && type_line ':!stty size' && comes '20 72' && typed Enter && type_line ':q!' \
        && back_at_shell
}
# Asked again: a new size arrives some time after the window has it.
has_size() { type_line 'clear; stty size' && wait_until 2 shows "$1"; }
multiplexer() {
    type_line "tmux -f /dev/null" && wait_until 10 last_line_shows '^\[0\]' && type_line 'echo in$((40+2))side' && comes 'in42side' \
        && typed C-b '"' && wait_until 5 shows '───' && type_line 'stty size' && comes '^9 72\|^10 72' \
        && screen resize-window -x 90 -y 40 && wait_until 10 has_size '^[12][0-9] 90' \
        && type_line 'tmux kill-server' && back_at_shell
}

# ---- the facts ---------------------------------------------------------------------------------------------------------

finish_all() {
    screen_down
    mesh_down
}
build_programs
trap finish_all EXIT
standard_mesh

echo "# interpreters, with what belongs to them"
fact "a wheel was fetched" fetch_wheels
ordinary "pip installs NumPy into a virtual environment, and processes share its work" '285.0 [4.0, 3.0]' '/usr/bin/python3 -m venv venv
    venv/bin/pip install --quiet --no-index --disable-pip-version-check --find-links wheels numpy
    cat >work.py <<"PY"
import multiprocessing, numpy
def square(n): return float(numpy.square(n))
if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool: total = sum(pool.map(square, range(10)))
    print(total, numpy.sqrt(numpy.linalg.eigvalsh(numpy.diag([16.0, 9.0])))[::-1].tolist())
PY
    venv/bin/python work.py'
ordinary "Node with workers, children, files and its own server" 'worker 42, child ok, file x, http 200' 'cat >main.mjs <<"JS"
import { Worker } from "node:worker_threads"; import { execFileSync } from "node:child_process"
import fs from "node:fs"; import http from "node:http"
const worker = await new Promise(done => new Worker("require(\"worker_threads\").parentPort.postMessage(42)", { eval: true }).once("message", done))
const child = execFileSync("echo", ["ok"]).toString().trim()
fs.writeFileSync("f", "x"); const file = await fs.promises.readFile("f", "utf8")
const server = http.createServer((_, answer) => answer.end()).listen(0, "127.0.0.1")
await new Promise(done => server.once("listening", done))
const status = (await fetch(`http://127.0.0.1:${server.address().port}`)).status
console.log(`worker ${worker}, child ${child}, file ${file}, http ${status}`); server.close(); process.exit(0)
JS
    node main.mjs'
ordinary "Node calls the service that is granted, by its name" 'this is ledger' 'node -e "fetch(\"http://ledger:8081/\").then(r => r.text()).then(t => process.stdout.write(t))"'
ordinary "Java compiles, and runs threads, a collector and a client" '499500 ok this is ledger' 'cat >Main.java <<"JAVA"
import java.net.URI; import java.net.http.*; import java.nio.file.*; import java.util.concurrent.*; import java.util.stream.*;
public class Main {
    public static void main(String[] a) throws Exception {
        var pool = Executors.newFixedThreadPool(8);
        long sum = 0;
        for (var f : pool.invokeAll(IntStream.range(0, 1000).mapToObj(n -> (Callable<Integer>) () -> n).toList())) sum += f.get();
        pool.shutdown();
        System.gc();
        Files.writeString(Path.of("j"), "ok");
        var text = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://ledger:8081/")).build(), HttpResponse.BodyHandlers.ofString()).body();
        System.out.println(sum + " " + Files.readString(Path.of("j")) + " " + text.strip());
    }
}
JAVA
    javac -d . Main.java; java -cp . Main'
ordinary "the shell of SQLite, two writers at once" '2000' 'sqlite3 base.db "pragma journal_mode=wal; create table t(n)" >/dev/null
    for i in 1 2; do (for n in $(seq 10); do seq 100 | sed "s/.*/insert into t values(&);/" | sed "1i pragma busy_timeout=20000; begin immediate;" | sed "\$a commit;" | sqlite3 base.db >/dev/null; done) & done; wait
    sqlite3 base.db "select count(*) from t"'
ordinary "git over a long history, packed and looked through" '50 clean' 'git init --quiet h; cd h; git config user.email a@b; git config user.name a
    for i in $(seq 50); do echo $i >>f; git add f; git commit --quiet -m $i; done; git gc --quiet; git fsck >/dev/null 2>&1
    echo $(git log --oneline | wc -l) $(git diff --quiet HEAD && echo clean)'
ordinary "a compiler for many files, four at once" '5050' 'mkdir c; cd c; for i in $(seq 100); do echo "int f$i(void) { return $i; }" >f$i.c; done
    { seq 100 | sed "s/.*/int f&(void);/"; echo "#include <stdio.h>"; echo "int main(void) { int n = 0;"; seq 100 | sed "s/.*/n += f&();/"; echo "printf(\"%d\\n\", n); }"; } >m.c
    ls *.c | xargs -P 4 -n 10 gcc -c; gcc -o m *.o; ./m'

echo "# programs that take the whole screen"
fact "a shell in a session stands on the screen" screen_up
fact "a pager shows the first and the last page, and finds" pager
fact "an editor takes what is typed, and writes it" editor
fact "a monitor shows the session's three processes" monitor
fact "an editor follows when the window becomes smaller" resized
fact "a terminal multiplexer, split in two, follows too" multiplexer

if [[ -n "${POSTERN_TEST_DEEP:-}" ]]; then
    echo "# a browser, which makes enclosures of its own"
    fact "Chromium is installed" scripts/install-tools --browser
    agent=browser
    postern agent create browser --owner test --node node-a --allow-userns >/dev/null
    browser_starts() { run_agent browser true && [[ $run_code -eq 0 ]]; }
    wait_until 10 browser_starts
    ordinary "Chromium shows a page, with its own enclosure" '<p id="said">1764</p>' \
        'echo "<p id=said></p><script>said.textContent = 42 * 42</script>" >page.html
        chromium --headless --disable-gpu --user-data-dir=$HOME/profile --dump-dom file://$PWD/page.html 2>/dev/null | grep -o "<p id=\"said\">.*</p>"'
fi
all_facts_hold
