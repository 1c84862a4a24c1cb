# shellcheck shell=bash
# Cedar in Rust, as the Python package cedarpy. Sourced.

# Prints the interpreter that has it.
cedarpy() {
    local environment=.build-release/cedarpy
    if [[ ! -e "$environment/bin/python3" ]]; then python3 -m venv "$environment" >&2; fi
    "$environment/bin/python3" -c 'import cedarpy' 2>/dev/null \
        || "$environment/bin/pip" install --quiet --disable-pip-version-check 'cedarpy==4.12.2' >&2
    echo "$environment/bin/python3"
}
