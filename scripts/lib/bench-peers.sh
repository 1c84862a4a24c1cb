# shellcheck shell=bash disable=SC2154
# 10,000 peers into a device, then one more: the time that it takes with wireguard-go, and the netlink messages that it
# takes with WireGuard in the kernel, in an emulated machine, where counting is all that makes sense. Sourced by scripts/bench.

bench_peers() {
    local missed=0
    "$bin/bench-wireguard" userspace || missed=1
    scripts/vm --limit 900 6.12 -- "$bin/bench-wireguard" kernel || missed=1
    [[ $missed -eq 0 ]]
}
