#!/bin/bash
# Sessions that run for a person: he proves himself by a login, and nobody else can.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

# as PERSON COMMAND...: with a configuration of his own.
as() {
    local person=$1
    shift
    (cd "$work/agent" && POSTERN_SOCKET=$(node_socket node-a) XDG_CONFIG_HOME=$work/config-$person in_node_a "$bin/postern" "$@")
}
runs_for() { # PERSON COMMAND...
    local person=$1
    shift
    as "$person" run --agent one --user nobody --for me -- "$@" </dev/null
}
file_of() { echo "$work/config-$1/postern/login.json"; }
records() { postern audit export | jq -c 'select(.record) | .record'; }
is_recorded() { records | jq -se "any(.[]; $1)" >/dev/null; }
sessions_of() { status node-a | jq -r --arg person "$1" '.sessions[] | select(.person == $person) | .id'; }
has_session() { [[ -n "$(sessions_of "$1")" ]]; }
tell_of() { on_node node-a session list; }

build_programs
trap mesh_down EXIT
standard_mesh
ann=$POSTERN_ADMIN_FILE
postern admin add bob --output "$work/bob.json" >/dev/null

echo "# who has no login"
fact "runs nothing for himself, and hears what to do" says 'postern login' runs_for ann true
fact "what the login is, is not there to show either" says 'you have no login' as ann login show
fact "another than oneself cannot be named" says 'me' as ann run --agent one --user nobody --for bob -- true

echo "# a login"
says_who() { as ann login --admin-file "$ann" | grep -q "you are \`admin\` in mesh"; }
fact "is made by the person's own key, and says whose it is" says_who
fact "nobody else can read it" test "$(stat -c %a "$(file_of ann)")" = 600
fact "it holds another key than the person's" not grep -qF "$(jq -r .key "$ann" | sed -n 2p)" "$(file_of ann)"
fact "it is shown in JSON, without the key" \
    test "$(as ann login show --json | jq -r '[.person, (.notAfter != null), (has("key"))] | @csv')" = '"admin",true,false'
fact "no longer than a day" says 'from 1m to 24h' as ann login --admin-file "$ann" --valid 25h
as bob login --admin-file "$work/bob.json" --valid 1h >/dev/null

echo "# sessions that run for somebody"
wait_until 10 runs_for ann true
fact "run as others do" test "$(runs_for ann curl --silent --max-time "$(patiently 5)" http://ledger:8081/)" = 'this is ledger'
start "$work/ann.log" env "XDG_CONFIG_HOME=$work/config-ann" "POSTERN_SOCKET=$(node_socket node-a)" nsenter --net="$(netns_of node-a)" \
    sh -c "cd $work/agent && exec $bin/postern run --agent one --user nobody --for me -- sleep 600"
start "$work/bob.log" env "XDG_CONFIG_HOME=$work/config-bob" "POSTERN_SOCKET=$(node_socket node-a)" nsenter --net="$(netns_of node-a)" \
    sh -c "cd $work/agent && exec $bin/postern run --agent one --user nobody --for me -- sleep 600"
fact "the node says for whom" wait_until 10 has_session admin
fact "each for his own" wait_until 10 has_session bob
fact "so does the coordinator" \
    test "$(postern get sessions --json | jq -r '[.[].person] | sort | join(" ")')" = 'admin bob'
fact "and the list" grep -q ' one  *bob  *root ' <(tell_of)
fact "the audit log has the person at the session's start" \
    wait_until 10 is_recorded '.kind == "session-started" and .person == "bob"'
fact "and at a call, on both sides" wait_until 10 is_recorded '.kind == "flow-opened" and .person == "admin" and .node == "node-b"'
run_agent one curl --silent --max-time "$(patiently 5)" "http://$address_b:8081/"
fact "a session that nobody stands behind has none" \
    wait_until 10 is_recorded '.kind == "session-ended" and .agent == "one" and .person == null and .reason != null'

echo "# who may launch, by policy"
cat >"$work/launch.cedar" <<'CEDAR'
@id("bob-does-not") forbid (principal == User::"bob", action == Action::"agent:launch", resource == Agent::"one");
CEDAR
postern policy apply "$work/launch.cedar" >/dev/null
fact "whom a policy forbids it hears which" wait_until 10 says 'a policy forbids `bob` to launch agent `one` here now: policy `bob-does-not`' runs_for bob true
fact "another may" runs_for ann true
sed 's/"bob"/"bobb"/' "$work/launch.cedar" >"$work/misspelt.cedar"
fact "a policy about nobody is refused" says 'nobody is known as `User::"bobb"`' postern policy apply "$work/misspelt.cedar"
postern policy delete launch.cedar >/dev/null
fact "without it he may again" wait_until 10 runs_for bob true

echo "# what is no proof"
install -d -m 700 "$work/config-eve/postern"
eve=$(file_of eve)
jq --arg key "$(jq -r .key "$(file_of ann)")" '.key = $key' "$(file_of bob)" >"$eve" && chmod 600 "$eve"
fact "another's login with one's own key" says 'cannot use' runs_for eve true
jq '.login.document |= sub("bob"; "admin")' "$(file_of bob)" >"$eve"
fact "a login with another's name in it" says 'not to be believed' runs_for eve true
jq '.login.document |= sub("bob"; "eve")' "$(file_of bob)" >"$eve"
fact "that of somebody whom the mesh does not know" says 'knows nobody `eve`' runs_for eve true
jq '.login = {document: ("[" * 5000), signatures: .login.signatures}' "$(file_of bob)" >"$eve"
fact "anything else" says 'cannot use' runs_for eve true
cp "$(file_of bob)" "$eve" && chmod 644 "$eve"
fact "a file that others can read" says 'others can read it' runs_for eve true
chmod 600 "$eve" && chown nobody "$eve"
fact "a file of another user's" says 'belongs to another user' runs_for eve true
fact "each was refused before anything ran" test "$(tell_of | grep -c ' one ')" -eq 2

echo "# a hostile caller, who speaks with posternd himself"
cat >"$work/agent/replay.py" <<'PY'
import array, json, os, socket, struct, sys
login = json.load(open(sys.argv[2]))
def talk(answer):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(sys.argv[1])
    def send(message, descriptors=()):
        body = json.dumps(message).encode()
        s.sendmsg([struct.pack(">I", len(body)) + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else [])
    buffer = b""
    def receive():
        nonlocal buffer
        while len(buffer) < 4 or len(buffer) < 4 + struct.unpack(">I", buffer[:4])[0]:
            more = s.recv(65536)
            if not more: return None
            buffer += more
        length = struct.unpack(">I", buffer[:4])[0]
        message, buffer = json.loads(buffer[4:4 + length]), buffer[4 + length:]
        return message
    send({"run": {"_0": {"agent": "one", "command": ["true"], "environment": {}, "directory": os.getcwd(), "user": 65534,
                         "asRoot": False, "kill": True, "login": login["login"]}}}, (0, 1, 2))
    question = receive()
    assert "identify" in question, question
    send(answer(question["identify"]["_0"]))
    return receive()
# No signature at all, one of the login's own kind, and no answer but another request.
nothing = {"document": "{}", "signatures": []}
for name, answer in (("nothing", lambda _: {"present": {"_0": nothing}}), ("the login itself", lambda _: {"present": {"_0": login["login"]}}),
                     ("another request", lambda _: {"status": {}})):
    said = talk(answer)
    good = said is not None and "failed" in said
    print(("ok" if good else "not ok") + f" - in the place of a proof, {name}: refused" + ("" if good else f" {said}"), flush=True)
PY
(cd "$work/agent" && in_node_a /usr/bin/python3 -I replay.py "$(node_socket node-a)" "$(file_of bob)") </dev/null >"$work/replay.out" 2>&1 || true
cat "$work/replay.out"
fact "all of it was tried" test "$(grep -c '^ok - ' "$work/replay.out")" -eq 3

echo "# who counts no more"
bobs=$(sessions_of bob)
postern admin remove bob >/dev/null
gone() { ! has_session bob && grep -q 'its network is cut, its command killed' "$work/bob.log"; }
fact "his session ends" wait_until 10 gone
fact "with all that it started" wait_until 5 test ! -e "$(cgroups)/postern/$(node_device node-a)/$bobs"
fact "the others' go on" has_session admin
fact "he starts no other" says 'knows nobody `bob`' runs_for bob true
fact "a login is taken off the machine" as bob login forget
fact "and then there is none" says 'you have no login' as bob login show

all_facts_hold
