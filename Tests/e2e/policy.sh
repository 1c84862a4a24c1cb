#!/bin/bash
# The commands on policies in files, as a script meets them: output, errors and exit codes of the real program.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

build_programs
postern=$bin/postern
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
policy() { "$postern" policy "$@"; }
exits() { # CODE COMMAND...
    local expected=$1 code=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [[ $code -eq $expected ]] || { echo "# it exited with $code: $(head -c 400 "$work/out" "$work/err")"; return 1; }
}
prints() { # CODE TEXT COMMAND...: exactly this
    exits "$1" "${@:3}" && [[ "$(cat "$work/out")" == "$2" ]] || { sed 's/^/# /' "$work/out"; return 1; }
}
complains() { # TEXT COMMAND...: with exit code 1, on standard error alone
    exits 1 "${@:2}" && grep -qF -- "$1" "$work/err" && [[ ! -s "$work/out" ]] || { sed 's/^/# /' "$work/err"; return 1; }
}
from() { "${@:2}" <"$work/$1" >"$work/out"; }

cat >"$work/p.cedar" <<'CEDAR'
@id("staff-view")
permit (principal in Group::"staff", action == Action::"view", resource) when { context.level < 3 };
@id("no-secrets")
forbid (principal, action, resource) when { resource.secret };
CEDAR
cat >"$work/s.cedarschema" <<'CEDAR'
entity Group; entity User in [Group]; entity Doc { secret: Bool };
action view appliesTo { principal: User, resource: Doc, context: { level: Long } };
CEDAR
cat >"$work/e.json" <<'JSON'
[{"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
 {"uid": {"type": "Doc", "id": "open"}, "attrs": {"secret": false}, "parents": []},
 {"uid": {"type": "Doc", "id": "shut"}, "attrs": {"secret": true}, "parents": []}]
JSON
echo '{"level": 2}' >"$work/c.json"
echo '@id("t") permit (principal == ?principal, action, resource);' >"$work/t.cedar"
files=(--policies "$work/p.cedar" --entities "$work/e.json" --schema "$work/s.cedarschema")
ask=("${files[@]}" --principal 'User::"ann"' --action 'Action::"view"' --context "$work/c.json")

echo "# decisions"
fact "a permitted request is allowed with exit code 0" prints 0 $'\nALLOW' policy authorize "${ask[@]}" --resource 'Doc::"open"'
fact "a forbidden one is denied with exit code 2" prints 2 $'\nDENY' policy authorize "${ask[@]}" --resource 'Doc::"shut"'
fact "policies come from standard input as well" from p.cedar policy authorize "${ask[@]:2}" --verbose --resource 'Doc::"open"'
decision=$(policy authorize "${ask[@]}" --resource 'Doc::"open"' --json | jq -r '.decision + " " + .diagnostics.reason[0]')
fact "the decision is there in JSON" test "$decision" = 'allow staff-view'
fact "a request with an unknown resource is left open with exit code 4" exits 4 policy partial "${ask[@]}" --resource-type Doc
fact "a request that does not fit the schema is an error" complains 'does not fit the schema' \
    policy authorize "${files[@]}" --principal 'User::"ann"' --action 'Action::"view"' --resource 'Doc::"open"'
fact "an expression is evaluated" prints 0 $'\n7' policy evaluate '1 + 2 * 3'

echo "# checks"
fact "valid policies pass" exits 0 policy validate -p "$work/p.cedar" -s "$work/s.cedarschema"
echo 'permit (principal, action, resource) when { principal.age > 3 };' >"$work/invalid.cedar"
fact "what a schema does not know fails with exit code 3" exits 3 policy validate -p "$work/invalid.cedar" -s "$work/s.cedarschema"
fact "with line and column" grep -qF 'invalid.cedar:1:45: policy `policy0`: User has no attribute `age`' "$work/out"
echo 'permit (principal action, resource);' >"$work/wrong.cedar"
fact "what is no policy is an error with line and column" complains 'wrong.cedar:1:19: expected `,`, found `action`' \
    policy check-parse -p "$work/wrong.cedar"

echo "# texts"
fact "a file is laid out" exits 0 policy format -p "$work/p.cedar" --write
fact "and stays so" exits 0 policy format -p "$work/p.cedar" --check
policy translate-policy --direction cedar-to-json -p "$work/p.cedar" >"$work/p.json"
policy translate-policy --direction json-to-cedar -p "$work/p.json" >"$work/back.cedar"
same() { diff <(policy translate-policy --direction cedar-to-json -p "$1" | jq -S .) <(jq -S . "$2"); }
fact "policies come back from JSON as they were" same "$work/back.cedar" "$work/p.json"
policy translate-schema --direction cedar-to-json -s "$work/s.cedarschema" >"$work/s.json"
fact "a schema serves in JSON, too" exits 0 policy validate -p "$work/p.json" --policy-format json -s "$work/s.json" --schema-format json
fact "a template is linked" exits 0 policy link -p "$work/t.cedar" -k "$work/links.json" --template-id t --new-id one \
    --arguments '{"?principal": "User::\"ann\""}'
fact "and what is linked decides" prints 0 $'\nALLOW' policy authorize -p "$work/t.cedar" -k "$work/links.json" "${ask[@]:2}" \
    --resource 'Doc::"open"'

echo "# tests"
examples=config/examples
policy schema --part $examples/orders_db.cedarschema >"$work/mesh.cedarschema"
fact "the cases of an example hold" exits 0 policy test -p $examples/rows.cedar --tests $examples/rows.tests.json \
    -s "$work/mesh.cedarschema" --entities $examples/entities.json
sed 's/1000 \&\&/2000 \&\&/' $examples/rows.cedar >"$work/looser.cedar"
fact "a looser policy fails them" exits 1 policy test -p "$work/looser.cedar" --tests $examples/rows.tests.json \
    -s "$work/mesh.cedarschema" --entities $examples/entities.json
fact "and is told apart by an example, with exit code 3" exits 3 policy diff $examples/rows.cedar "$work/looser.cedar" \
    -s "$work/mesh.cedarschema" --entities $examples/entities.json --fail-on-change
fact "that is newly allowed" grep -qF 'deny -> allow by `reports-in-pieces`' "$work/out"
all_facts_hold
