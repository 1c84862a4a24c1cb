#!/bin/bash
# The Debian packages as an operator meets them: installed into two clean machines under systemd, upgraded, restarted and
# purged there, while a session of the first talks to a service of the second and what is denied is sent all the time.
#
# A machine is a Debian tree in namespaces of its own, with systemd as its first process.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib/mesh.sh
source scripts/lib/mesh.sh
# shellcheck source=scripts/lib/facts.sh
source scripts/lib/facts.sh

mirror=http://deb.debian.org/debian
machines=(alpha beta)
declare -A underlay=([alpha]=192.0.2.1 [beta]=192.0.2.2) init_of=()

# ---- machines ---------------------------------------------------------------------------------------------------------

# The tree holds what Debian's smallest has, systemd, and what our packages say they need; nothing else.
make_tree() {
    local wanted
    wanted=$(for deb in "$work"/debs/*-1_*.deb; do dpkg-deb --field "$deb" Depends Recommends; done |
        sed -E 's/^[A-Za-z]+: //; s/ *\([^)]*\)//g; s/, */\n/g' | sort -u | paste -sd ,)
    echo "# a machine needs $wanted"
    debootstrap --variant=minbase --include="systemd,systemd-sysv,$wanted" bookworm "$work/tree" "$mirror" \
        >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
    # An installer writes these.
    echo '127.0.0.1 localhost' >"$work/tree/etc/hosts"
}

# The programs of a debug build load the Swift libraries of the machine that built them.
swift_libraries() { ldd "$bin/posternd" | awk '$1 == "libswiftCore.so" { print $3 }' | xargs -r dirname; }

boot() { # MACHINE
    local name=$1 place=$work/$1 group
    group=$(cgroups)/$lab_name-$1
    mkdir -p "$place"/{upper,work,root} "$group"
    cat >"$place/boot" <<BOOT
set -euo pipefail
echo \$\$ >$group/cgroup.procs
exec unshare --mount --cgroup --ipc --uts --pid --fork --kill-child bash -euc '
    cd $place
    mount --make-rprivate /
    mount -t overlay overlay -o lowerdir=$work/tree,upperdir=upper,workdir=work root
    cd root
    mount -t proc proc proc
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir -p dev/net dev/pts dev/shm
    for device in null zero full random urandom tty net/tun; do
        touch dev/\$device
        mount --bind /dev/\$device dev/\$device
    done
    mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for number in 0:stdin 1:stdout 2:stderr; do ln -s fd/\${number%%:*} dev/\${number#*:}; done
    mount -t tmpfs -o mode=755 tmpfs run
    libraries=$(swift_libraries)
    if [[ -n \$libraries ]]; then
        mkdir -p .\$libraries
        mount --bind -o ro \$libraries .\$libraries
    fi
    mkdir packages
    mount --bind -o ro $work/debs packages
    hostname $name
    exec nsenter --net=$(netns_of "$name") bash -euc "
        mount -t sysfs sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        pivot_root . mnt
        umount -l /mnt
        exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd"
'
BOOT
    start "$place/boot.log" bash "$place/boot"
    wait_until 20 finds_init "$name" "$pid"
    wait_until 60 is_up "$name"
}
# The first process of a machine is the one child of the `unshare` that was started for it.
finds_init() {
    init_of[$1]=$(tr -d ' ' <"/proc/$2/task/$2/children")
    [[ -n "${init_of[$1]}" && $(<"/proc/${init_of[$1]}/comm") == systemd ]]
}
is_up() { on "$1" systemctl is-system-running >/dev/null 2>&1; }

# on MACHINE COMMAND...
on() {
    local name=$1
    shift
    nsenter --target "${init_of[$name]}" --mount --net --pid --cgroup --uts --ipc -- \
        env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}

# With the `unshare` its first process ends, and with that all of a machine.
machines_down() {
    local name
    mesh_down
    for name in "${machines[@]}"; do
        ip netns delete "postern-$lab_name-$name" 2>/dev/null || true
        find "$(cgroups)/$lab_name-$name" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
}

# ---- what is asked of them --------------------------------------------------------------------------------------------

installed() { [[ "$(on "$1" dpkg-query --show --showformat='${db:Status-Status}' "$2" 2>/dev/null)" == installed ]]; }
has_revision() { [[ "$(on "$1" dpkg-query --show --showformat='${Version}' postern)" == *-"$2" ]]; }
install_on() { # MACHINE REVISION PACKAGE...
    local name=$1 revision=$2 package
    local -a files=()
    for package in "${@:3}"; do files+=("/packages/$(basename "$work/debs/${package}"_*-"$revision"_*.deb)"); done
    on "$name" apt-get install --yes "${files[@]}" >"$work/$name.apt.log" 2>&1 ||
        { tail -n 20 "$work/$name.apt.log"; return 1; }
}
purge_from() { # MACHINE PACKAGE...
    local name=$1
    on "$name" apt-get purge --yes "${@:2}" >"$work/$name.purge.log" 2>&1 || { tail -n 20 "$work/$name.purge.log"; return 1; }
}
is_active() { on "$1" systemctl --quiet is-active "$2"; }
# What a unit says goes to the journal.
serves() { on "$1" journalctl --quiet --unit postern-coordinator --grep '^ready' >/dev/null; }
unit() { on "$1" systemctl show --property "$3" --value "$2"; }
bpf_is_mounted() { on "$1" findmnt --noheadings --types bpf /sys/fs/bpf >/dev/null; }

main_process() { unit "$1" posternd MainPID; }
# The same, by the number that it has here.
posternd_on() {
    local process
    while read -r process; do
        if [[ $(<"/proc/$process/comm") == posternd ]]; then echo "$process"; fi
    done <"$(cgroups)/$lab_name-$1/system.slice/posternd.service/cgroup.procs"
}
still_runs_without_daemon() { not is_active alpha posternd && kill -s 0 "$agent" && wait_until 15 has_said $(($(said) + 5)); }
restarted() { local now && now=$(main_process alpha) && [[ $now -ne 0 && $now -ne $1 ]] && is_active alpha posternd; }

# The agent says a word to the service and hears it again, ten times a second, over one connection.
talk='exec 3<>"/dev/tcp/$1/8081"
for ((n = 1; ; n++)); do
    echo "$n" >&3
    read -r -t 30 answer <&3 && [[ $answer == "$n" ]] || exit
    echo "$n" >said
    sleep 0.1
done'
start_agent() {
    on alpha install -d -o nobody /srv/agent
    start "$work/agent.log" on alpha bash -c 'cd /srv/agent && exec "$@"' - \
        postern run --agent one --user nobody --no-tty -- bash -c "$talk" - "$address_b"
    wait_until 20 has_said 1
    session=$(on alpha postern session list --json | jq -r '.[0].id')
    agent=$(head -n 1 "$(cgroups)/$lab_name-alpha/postern/postern0/$session/cgroup.procs")
}
said() { cat "$work/alpha/upper/srv/agent/said" 2>/dev/null || echo 0; }
has_said() { [[ $(said) -ge $1 ]]; }
# It says more than it had said, by the connection that it had; a daemon that has just started knows it soon.
still_talks() { wait_until 15 has_agent && wait_until 15 has_said $(($(said) + 5)); }
has_agent() { kill -s 0 "$agent" 2>/dev/null && [[ $(on alpha postern session list --json | jq -r '.[].id') == "$session" ]]; }

echo_service='
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
socketserver.ThreadingTCPServer(("0.0.0.0", 8081), Echo).serve_forever()'

start_flood() {
    echo 0 | tee "$work/sent" >"$work/arrived"
    start "$work/count.log" nsenter --net="$(netns_of beta)" python3 -I -S Tests/e2e/flood.py count "$work/arrived"
    start "$work/flood.log" nsenter --net="/proc/$agent/ns/net" python3 -I -S Tests/e2e/flood.py send "$address_b" "$work/sent"
    wait_until 10 has_sent 100
}
has_sent() { [[ $(cat "$work/sent") -ge $1 ]]; }
nothing_arrived() { has_sent $(($1 + 1)) && [[ $(cat "$work/arrived") -eq 0 ]]; }
# The counter can count.
one_arrives() {
    nsenter --net="$(netns_of alpha)" python3 -I -S -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"denied", (sys.argv[1], 9999))' "${underlay[beta]}"
    wait_until 5 test "$(cat "$work/arrived")" -eq 1
}

tunnels() { on "$1" sh -c 'cat /proc/[0-9]*/comm' | grep -c '^wireguard-go$' || true; }
is_gone_from() { # MACHINE: the node, to the last trace
    local name=$1
    not on "$name" ip link show dev postern0 2>/dev/null && not on "$name" test -e /sys/fs/bpf/postern \
        && not on "$name" test -e /var/lib/postern && not on "$name" test -e /usr/sbin/posternd \
        && [[ $(tunnels "$name") -eq 0 ]]
}
# Nothing in it that the formatter does not understand.
is_page() {
    local words
    zcat "$work/alpha/upper/usr/share/man/$1.gz" >"$work/page" && [[ -s "$work/page" ]] || return 1
    words=$(groff -man -ww -z "$work/page" 2>&1) && [[ -z "$words" ]] || { echo "# ${words:0:400}"; return 1; }
}
names_each_command() {
    local command
    zcat "$work/alpha/upper/usr/share/man/man1/postern.1.gz" >"$work/page"
    "$bin/postern" --experimental-dump-help | jq -r '.command.subcommands[] | select(.commandName != "help") | .commandName' |
        while read -r command; do grep -qE "^\.SS \"postern ${command//-/\\\\-}[ \"]" "$work/page" || { echo "# $command"; return 1; }; done
}
# completes LINE WORD: what bash makes of the line when Tab is pressed.
completes() {
    # shellcheck disable=SC2016
    on alpha bash -c 'source /usr/share/bash-completion/completions/postern
        COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}
        "$(complete -p postern | sed -E "s/.*-F ([^ ]+).*/\1/")" postern "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
        printf "%s\n" "${COMPREPLY[@]}"' - "$1" 2>/dev/null | grep -qx "$2"
}
exposure_below() { # UNIT TENTHS: what systemd makes of a unit's hardening, from 0 to 10
    local exposure
    exposure=$(on alpha systemd-analyze security --no-pager "$1" | sed -nE 's/.*Overall exposure level.*: ([0-9]+)\.([0-9]).*/\1\2/p')
    echo "# exposure $exposure tenths"
    [[ -n $exposure && $exposure -lt $2 ]]
}

# What the daemons said, where something went wrong.
journals() {
    local name
    sed 's/^/# agent: /' "$work/agent.log" >&2 2>/dev/null || true
    for name in "${machines[@]}"; do
        [[ -z "${init_of[$name]:-}" ]] ||
            on "$name" journalctl --no-pager --lines 40 --unit postern-coordinator --unit posternd | sed "s/^/# $name: /" >&2
    done
}

build_programs
trap 'all_facts_hold || journals; machines_down' EXIT
work=$(mktemp -d /tmp/postern-packages.XXXXXX)
chmod 755 "$work"
for revision in 1 2; do
    scripts/package --programs "$bin" --revision "$revision" "$work/debs" >"$work/package.log" 2>&1 ||
        { tail -n 20 "$work/package.log" >&2; exit 1; }
done
make_tree
for name in "${machines[@]}"; do ip netns add "postern-$lab_name-$name"; done
ip link add eth0 netns "postern-$lab_name-alpha" type veth peer name eth0 netns "postern-$lab_name-beta"
for name in "${machines[@]}"; do
    ip -n "postern-$lab_name-$name" address add "${underlay[$name]}/24" dev eth0
    ip -n "postern-$lab_name-$name" link set eth0 up
    ip -n "postern-$lab_name-$name" link set lo up
    fact "$name starts, with systemd" boot "$name"
done

fact "node and coordinator are installed on alpha" install_on alpha 1 postern postern-coordinator
fact "a node is installed on beta" install_on beta 1 postern
for name in "${machines[@]}"; do
    fact "posternd runs on $name, and waits" is_active "$name" posternd
    fact "the BPF file system is mounted on $name, for all to see" bpf_is_mounted "$name"
done
fact "no unit has failed" is_up alpha
fact "no coordinator runs before there is a mesh" not is_active alpha postern-coordinator
fact "systemd finds nothing wrong in the units" on alpha systemd-analyze verify posternd.service \
    postern-coordinator.service
fact "the coordinator can do little but serve" exposure_below postern-coordinator.service 20

for page in man1/postern.1 man8/posternd.8 man8/postern-coordinator.8; do
    fact "$page is a manual page" is_page "$page"
done
fact "which tells of each command" names_each_command
fact "bash completes commands" completes 'postern sess' 'session'
fact "and those below them" completes 'postern policy app' 'apply'

on alpha runuser --user postern-coordinator -- postern-coordinator init --state /var/lib/postern-coordinator/mesh \
    --mesh acme.example --url "https://${underlay[alpha]}:8443" >"$work/init.log"
on alpha systemctl start postern-coordinator
fact "with a mesh, the coordinator runs" wait_until 10 serves alpha
fact "and not as root" test "$(on alpha stat --format=%U "/proc/$(unit alpha postern-coordinator MainPID)")" = postern-coordinator
on alpha install -D -m 0600 /var/lib/postern-coordinator/mesh/admin.json /root/.config/postern/admin.json
for name in "${machines[@]}"; do
    on alpha postern join-token create --node "$name" --output - >"$work/$name.token"
    fact "$name joins" on "$name" postern up --token-file - --endpoint "${underlay[$name]}:51820" <"$work/$name.token"
done
address_b=$(on beta postern status --json | jq -r .address)
{
    on alpha postern agent create one --owner test --node alpha
    on alpha postern service add echo --node beta --port 8081
    on alpha sh -c 'cat >/root/p.cedar' <<<'permit (principal == Agent::"one", action == Action::"connect", resource == Service::"echo");'
    on alpha postern policy apply /root/p.cedar
} >/dev/null
start "$work/echo.log" nsenter --net="$(netns_of beta)" python3 -I -S -c "$echo_service"
fact "an agent talks to its service" start_agent
start_flood
tunnels=$(tunnels alpha)

daemon=$(main_process alpha) sent=$(cat "$work/sent")
for name in "${machines[@]}"; do fact "the packages of $name are upgraded" install_on "$name" 2 postern; done
fact "to the new revision" has_revision alpha 2
fact "another daemon runs" wait_until 20 restarted "$daemon"
fact "the session talks on, by the same connection" still_talks
fact "nothing that is denied arrived" nothing_arrived "$sent"

daemon=$(main_process alpha) sent=$(cat "$work/sent")
kill -KILL "$(posternd_on alpha)"
fact "systemd starts a daemon again that was killed" wait_until 20 restarted "$daemon"
fact "the session talks on" still_talks
fact "nothing that is denied arrived meanwhile" nothing_arrived "$sent"

on alpha systemctl restart postern-coordinator
fact "the coordinator is restarted, and nobody notices" still_talks
on alpha systemctl stop posternd
fact "a stop ends the daemon alone" still_runs_without_daemon
on alpha systemctl start posternd
fact "and the next one takes over" still_talks
fact "no tunnel was lost or left" test "$(tunnels alpha)" -eq "$tunnels"
fact "nothing that is denied arrived, of $(cat "$work/sent")" nothing_arrived "$sent"
fact "and the counter can count" one_arrives

fact "a node is purged" purge_from beta postern
fact "and nothing of it is left" is_gone_from beta
fact "node and coordinator are purged" purge_from alpha postern postern-coordinator
fact "and the mesh's keys are left" on alpha test -e /var/lib/postern-coordinator/mesh/ca/ca.key
fact "but nothing of the node" is_gone_from alpha
all_facts_hold
