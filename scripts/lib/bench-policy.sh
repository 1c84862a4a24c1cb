# shellcheck shell=bash disable=SC2154
# What decisions cost over 100 to 10,000 policies, beside Cedar in Rust. Sourced by scripts/bench.

bench_policy() {
    local folder environment=.build-release/cedarpy
    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    if [[ ! -e "$environment/bin/python3" ]]; then python3 -m venv "$environment"; fi
    "$environment/bin/python3" -c 'import cedarpy' 2>/dev/null \
        || "$environment/bin/pip" install --quiet --disable-pip-version-check 'cedarpy==4.12.2' >&2
    "$POSTERN_PROGRAMS/bench-policy" write "$folder"
    "$environment/bin/python3" scripts/lib/bench_policy.py "$folder"
    "$POSTERN_PROGRAMS/bench-policy" measure "$folder"
}
