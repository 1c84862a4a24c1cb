#!/bin/bash
# Asks our Cedar and the reference the same, at random but repeatably: over 20,000 requests.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh
# shellcheck source=scripts/lib/cedarpy.sh
source scripts/lib/cedarpy.sh

[[ -n "${POSTERN_BUILT:-}${POSTERN_PROGRAMS:-}" ]] || swift build --product cedar-conformance >&2
python=$(cedarpy)
rounds=600
if [[ -n "${POSTERN_TEST_DEEP:-}" ]]; then rounds=20000; fi
fact "random policies, links, schemas and requests are answered as by Cedar in Rust" \
    "$python" Tests/differential/cedar "$bin/cedar-conformance" --rounds "$rounds"
all_facts_hold
