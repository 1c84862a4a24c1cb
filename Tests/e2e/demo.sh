#!/bin/bash
# Every fact that the demo shows is a test.
set -euo pipefail
cd "$(dirname "$0")/../.."
POSTERN_BUILT=1 exec scripts/demo --tap
