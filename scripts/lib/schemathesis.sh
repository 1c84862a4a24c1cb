# shellcheck shell=bash
# Schemathesis, which asks a server whatever its OpenAPI description allows, and what it does not. Sourced.

# Prints the program.
schemathesis() {
    local environment=${XDG_CACHE_HOME:-$HOME/.cache}/postern/schemathesis-4.32.5
    if [[ ! -x "$environment/bin/st" ]]; then
        python3 -m venv "$environment" >&2
        "$environment/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5' >&2 || return 1
    fi
    echo "$environment/bin/st"
}
