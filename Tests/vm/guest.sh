#!/bin/bash
# What Tests/vm.sh runs inside of an emulated machine: guest.sh KERNEL.
set -euo pipefail
cd "$(dirname "$0")/../.."

kernel=$1
case "$kernel" in
    6.1) export POSTERN_TEST_ATTACH=clsact ;;
    *) export POSTERN_TEST_ATTACH=tcx ;;
esac
export POSTERN_TEST_BACKEND=kernel POSTERN_BUILT=1

# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

fact "the kernel is $(uname -r)" grep -qE "^${kernel//./\\.}\." <(uname -r)

# swift_tests MODULE SUITES: each test is a fact; and so is that the run came to its end.
swift_tests() {
    local log=/tmp/swift.log code=0
    (cd /tmp && timeout 400 "$bin/posternPackageTests.xctest" --testing-library swift-testing --filter "^$1\\.($2)/") \
        >"$log" 2>&1 || code=$?
    sed -nE -e 's/^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? passed after .*/ok - \1/p' \
        -e 's/^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? failed after .*/not ok - \1/p' \
        -e 's/^[^ ]+ +Test (".*"|[^" ]+) skipped.*/not ok - \1 was skipped/p' \
        -e 's/^.* recorded an issue .*/# &/p' "$log"
    failures=$((failures + $(grep -cE '^[^ ]+ +Test (".*"|[^" ]+)( with [0-9]+ test cases?)? (failed after|skipped)' "$log" || true)))
    fact "the tests of $1 come to their end" \
        grep -qE "Test run with [1-9][0-9]* tests?( in [0-9]+ suites?)? (passed|failed)" "$log"
    [[ $code -ne 124 ]] || tail -n 5 "$log" | sed 's/^/# /'
}
# What does not touch the kernel is the same under every one.
swift_tests WireGuardTests \
    'BackendChoiceTests|BackendTests|ConfigurationScenarioTests|LinksTests|NetworkNamespaceTests|RoamingTests|TunnelTests'
swift_tests DatapathTests \
    'AnsweringTests|AttachTests|ClassifierTests|ClockTests|CommitTests|ConnectHookTests|LeavingTests|ModelTests|WallTests'

# The daemon asks the kernel who calls by SO_PEERPIDFD, which came with Linux 6.5. These say `ok` for each fact themselves,
# and ask the kernel what kind their devices are of.
if [[ "$kernel" != 6.1 ]]; then
    fact "the whole of the demo is so" scripts/demo --tap
    fact "a mesh follows its underlay" Tests/scenarios/roaming.sh
fi

all_facts_hold
