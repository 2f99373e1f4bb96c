#!/bin/bash
# The demo's part inside a virtual machine: guest 1 listens, guest 2 connects, first over RDMA, then over TCP.
# Words: the smc program, the number of bytes to send. Results go to $LAB_SHARED as JSON and SHA-256 sums.
set -eu
smc=$1
count=$2

run() {  # the path's name, and the options that ask for it
    local name=$1
    shift
    if [ "$LAB_ID" = 1 ]; then
        "$smc" listen --json "$@" 7000 </dev/null 2>"$LAB_SHARED/$name.listen" >/tmp/received &
        local listener=$!
        "$smc" listen --quiet --echo "$@" 7001 &
        local echo=$!
        lab-barrier "$name-listening"
        wait "$listener"
        sha256sum </tmp/received | cut -d' ' -f1 >"$LAB_SHARED/$name.received.sha256"
        lab-barrier "$name-done" 120
        kill "$echo"
    else
        head -c "$count" /dev/urandom >/tmp/sent
        sha256sum </tmp/sent | cut -d' ' -f1 >"$LAB_SHARED/$name.sent.sha256"
        lab-barrier "$name-listening"
        sleep 1  # The listeners' sockets: the barrier says only that they were started.
        "$smc" connect --json "$@" "$LAB_IP_1:7000" </tmp/sent 2>"$LAB_SHARED/$name.connect"
        "$smc" ping --json --count 500 --warmup 20 "$@" "$LAB_IP_1:7001" >"$LAB_SHARED/$name.ping"
        lab-barrier "$name-done" 120
    fi
}

run rdma
run tcp --require tcp
