# shellcheck shell=bash disable=SC2154
# What decisions cost over 100 to 10,000 policies, beside Cedar in Rust. Sourced by scripts/bench.

bench_policy() {
    local folder python
    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    # shellcheck source=scripts/lib/cedarpy.sh
    source scripts/lib/cedarpy.sh
    python=$(cedarpy)
    "$POSTERN_PROGRAMS/bench-policy" write "$folder"
    "$python" scripts/lib/bench_policy.py "$folder"
    "$POSTERN_PROGRAMS/bench-policy" measure "$folder"
}
