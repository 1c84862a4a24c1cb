#!/bin/bash
# The packet plane under Debian's own kernels: 6.1, where classifiers hang on clsact, and 6.12, which has TCX; in both with
# WireGuard in the kernel, and under 6.12 a whole mesh of it. One boot of an emulated machine for each, side by side;
# POSTERN_TEST_DEEP runs everything in both. Needs what `swift build --build-tests` makes.
#
#   Tests/vm.sh [KERNEL]...      6.1 and 6.12 unless said otherwise
set -euo pipefail
cd "$(dirname "$0")/.."

# A quarter of an hour where nothing else runs; much more where something does.
limit=${POSTERN_VM_LIMIT:-2400}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The facts of one kernel as they come, with its name before each; whatever does not come to its end is a failure.
run_kernel() {
    local kernel=$1 code=0
    scripts/vm --limit "$limit" "$kernel" -- Tests/vm/guest.sh "$kernel" 2>&1 \
        | sed --unbuffered -E "s/^(not ok|ok) - /&$kernel: /" | tee "$work/$kernel" || code=$?
    [[ $code -eq 0 ]] || grep -q '^not ok' "$work/$kernel" \
        || echo "not ok - $kernel: its tests come to their end (exit $code)" | tee -a "$work/$kernel"
}

[[ $# -gt 0 ]] || set -- 6.1 6.12
for kernel in "$@"; do run_kernel "$kernel" & done
wait
for kernel in "$@"; do
    grep -q '^ok - ' "$work/$kernel" || echo "not ok - $kernel: it has facts" | tee -a "$work/$kernel"
done
! grep -q '^not ok' "$work"/*
