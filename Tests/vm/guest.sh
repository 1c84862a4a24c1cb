#!/bin/bash
# What Tests/vm.sh runs inside of an emulated machine: guest.sh KERNEL.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The machine is slow: so what asks nothing of its kernel is left out, as WireGuard in user space, and of the rest some;
# a whole mesh is brought up under the newer kernel alone. POSTERN_TEST_DEEP runs everything.
kernel=$1
devices='BackendChoiceTests|BackendTests|ConfigurationScenarioTests|LinkWatchTests|LinksTests|NetworkNamespaceTests'
devices+='|RoamingTests|TunnelTests'
packets='AttachTests|ClassifierTests|CommitTests|LeavingTests|ModelTests|WallTests'
case "$kernel" in
    6.1)
        attachment=clsact meshes=()
        # An order of classifiers came with TCX, links of netfilter with 6.4.
        lacking='a program that stands before ours|whoever holds the links|a link that is gone, torn off|links do not fall with'
        ;;
    *)
        attachment=tcx meshes=("scripts/demo --tap" "Tests/e2e/enclosure.sh attacks" "Tests/e2e/many.sh 20")
        lacking=
        ;;
esac
if [[ -n "${POSTERN_TEST_DEEP:-}" ]]; then
    devices='.*' packets='.*'
    meshes=("scripts/demo --tap" "Tests/e2e/enclosure.sh attacks" "Tests/e2e/many.sh 20" Tests/scenarios/{keys,roaming,transport}.sh)
fi
export POSTERN_TEST_BACKEND=kernel POSTERN_TEST_ATTACH=$attachment POSTERN_BUILT=1
# The seeds of the tests are many enough where the machine is fast.
unset POSTERN_TEST_DEEP

# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

fact "the kernel is $(uname -r)" grep -qE "^${kernel//./\\.}\." <(uname -r)

# took SECONDS WHAT: how long, for whoever keeps the whole in its time.
took() { echo "# $2 took $1 s of $SECONDS s"; }

# swift_tests MODULE SUITES: each test is a fact; and so is that the run came to its end.
swift_tests() {
    local log=/tmp/swift.log code=0 from=$SECONDS
    (cd /tmp && timeout 1200 "$bin/posternPackageTests.xctest" --testing-library swift-testing --filter "^$1\\.($2)/" \
        ${lacking:+--skip "$lacking"}) >"$log" 2>&1 || code=$?
    sed -nE -e 's/^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? passed after .*/ok - \1/p' \
        -e 's/^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? failed after .*/not ok - \1/p' \
        -e 's/^[^ ]+ +Test (".*"|[^" ]+) skipped.*/not ok - \1 was skipped/p' \
        -e 's/^.* recorded an issue .*/# &/p' "$log"
    failures=$((failures + $(grep -cE '^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? (failed after|skipped)' "$log" || true)))
    fact "the tests of $1 come to their end" \
        grep -qE "Test run with [1-9][0-9]* tests?( in [0-9]+ suites?)? (passed|failed)" "$log"
    [[ $code -eq 0 || $code -eq 1 ]] || { echo "# exit code $code"; tail -n 20 "$log" | sed 's/^/# /'; }
    took $((SECONDS - from)) "$1"
}
swift_tests WireGuardTests "$devices"
swift_tests DatapathTests "$packets"
swift_tests PosternNodeTests PeerProcessTests

# These say `ok` for each fact themselves, and ask the kernel what kind their devices are of.
for mesh in "${meshes[@]}"; do
    from=$SECONDS
    # shellcheck disable=SC2086
    fact "all of ${mesh%% *} is so" timeout 1200 $mesh
    took $((SECONDS - from)) "$mesh"
done

all_facts_hold
