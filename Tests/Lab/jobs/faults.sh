# Two guests: what stands in the way of RDMA, and what breaks it in the middle.
#
# lab: --guests 2 --mtu 4500
# test no-common-ueid 1 2: without a common UEID the path is tcp, the reason names the UEIDs, --require rdma ends with 3
# test no-device 1 2: without a device --require rdma ends with 3 and names the device
# test memlock 1 2: too little memlock leads to tcp, and the remedy names it
# test blocked-port 1 2: with UDP 4791 blocked the path is tcp within the time of a handshake
# test lossy-wire 1 2: with 1 % loss in mid-stream data arrive unchanged over RDMA
# test killed-listener 1 2: kill -9 of the listening program in mid-stream
# test killed-client 1 2: kill -9 of the connecting program in mid-stream
# test device-goes-and-comes 1 2: rdma link delete in mid-stream at the listener; tcp without it, RDMA with a new one
# test idle-device 1 2: rdma link delete while the listener, which has used the device, has no connection
# test held-connection 1 2: rdma link delete while a program holds a connection without looking at it
# test device-of-client 1 2: rdma link delete in mid-stream at the client
# shellcheck shell=bash
. "$(dirname "$0")/../guest/checks.sh"
server=

# One long-lived listener serves all tests: what went wrong before must not harm what comes after.
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --echo --hypervisor none --ueid LAB-A 7100 2> server-log & server=$!
    soon 20 listening 7100
fi
lab-barrier up 90

ping_server() {
    timeout 30 "$smc" ping --hypervisor none --count 3 --warmup 0 --size 100K "$@" guest1:7100 > got 2> log
    code=$?
}
over_rdma() { ping_server --ueid LAB-A --json && grep -q '"path":"rdma"' got; }

begin no-common-ueid
if [ "$LAB_ID" = 2 ]; then
    ping_server --ueid LAB-B --json
    expect_code 0
    expect "path tcp" says got '"path":"tcp"'
    expect "the reason names our UEID" says got LAB-B
    ping_server --ueid LAB-B --require rdma
    expect_code 3
    expect "one complaint" complains_once log
    expect "that names our UEID" says log LAB-B
    show got log
    ping_server --ueid LAB-B --ueid LAB-A --json
    expect "a second UEID in common brings RDMA" says got '"path":"rdma"'
    show got log
    lab-await listening-ueid
    timeout 20 "$smc" connect --hypervisor none --ueid LAB-B guest1:7105 < /dev/null 2> /dev/null
else
    "$smc" listen --hypervisor none --ueid LAB-A --json 7105 < /dev/null > got 2> log & job=$!
    soon 20 listening 7105
    lab-post listening-ueid
    ended "$job" 60
    expect_code 0
    expect "the listener's reason names its own UEID" says log LAB-A
    expect "and that of the client" says log LAB-B
    show log
fi
finish

begin no-device
if [ "$LAB_ID" = 2 ]; then
    rdma link delete rxe0
    ping_server --ueid LAB-A --require rdma
    expect_code 3
    expect "one complaint" complains_once log
    expect "that names the device" says log "no RDMA device"
    ping_server --ueid LAB-A --json
    expect "path tcp" says got '"path":"tcp"'
    rdma link add rxe0 type rxe netdev eth0
    expect "RDMA with the device" soon 10 over_rdma
    show got log
fi
finish

begin memlock
if [ "$LAB_ID" = 2 ]; then
    # Root has CAP_IPC_LOCK, which no limit binds.
    poor() { setpriv --reuid 65534 --regid 65534 --clear-groups -- bash -c 'ulimit -l 64; exec "$@"' - "$@"; }
    poor timeout 30 "$smc" ping --hypervisor none --count 3 --warmup 0 --ueid LAB-A --json guest1:7100 > got 2> log
    code=$?
    expect_code 0
    expect "path tcp" says got '"path":"tcp"'
    poor timeout 30 "$smc" ping --hypervisor none --require rdma --ueid LAB-A guest1:7100 > got 2> log
    code=$?
    expect_code 3
    expect "one complaint" complains_once log
    expect "with a remedy for memlock" says log "ulimit -l"
    show got log
fi
finish

# RoCE packets that come in are dropped; everything else passes.
block_roce() {
    load sch_ingress cls_flower act_gact && tc qdisc add dev eth0 clsact &&
        tc filter add dev eth0 ingress protocol ip flower ip_proto udp dst_port 4791 action drop
}

begin blocked-port
if [ "$LAB_ID" = 2 ]; then
    expect "packets can be dropped" block_roce
    start=$(now)
    ping_server --ueid LAB-A --json
    expect "no more than 12 s" within 12 "$start"
    expect_code 0
    expect "path tcp" says got '"path":"tcp"'
    ping_server --ueid LAB-A --require rdma
    expect_code 3
    expect "a remedy for the port" says log 4791
    tc qdisc del dev eth0 clsact
    expect "RDMA when it is open again" soon 20 over_rdma
    show got log
fi
finish

begin lossy-wire
# The first MB arrives before there is loss, the rest with it.
mine=$data/payload-$LAB_ID
theirs=$data/payload-$((3 - LAB_ID))
stream() { head -c 1000000 "$mine"; lab-await lossy 60 > /dev/null; tail -c +1000001 "$mine"; cat "$mine"; }
if [ "$LAB_ID" = 1 ]; then
    stream | "$smc" listen --require rdma --json 7101 > got 2> log & job=$!
    soon 20 listening 7101
    lab-post listening-loss
else
    lab-await listening-loss
    stream | "$smc" connect --require rdma --json guest1:7101 > got 2> log & job=$!
fi
soon 30 has_bytes got 1000000
load sch_netem
tc qdisc add dev eth0 root netem loss 1% || problem "no netem"
lab-barrier lossy-on
if [ "$LAB_ID" = 1 ]; then lab-post lossy; fi
ended "$job" 60
expect_code 0
expect "checksum" test "$(sum got)" = "$(sum "$theirs" "$theirs")"
lab-barrier lossy-done 80
dropped=$(tc -s qdisc show dev eth0 | sed -n 's/.*dropped \([0-9]*\).*/\1/p' | head -n 1)
expect "packets were lost ($dropped)" test "$dropped" -gt 0
tc qdisc del dev eth0 root
show log
finish

# both_stream PORT: bytes without end, both ways, until something ends it. $job is our program.
both_stream() {
    if [ "$LAB_ID" = 1 ]; then
        "$smc" listen --require rdma --json "$1" < /dev/zero 2> log > >(wc -c > got) & job=$!
        soon 20 listening "$1"
        lab-post "stream-$1"
    else
        lab-await "stream-$1"
        "$smc" connect --require rdma --json "guest1:$1" < /dev/zero 2> log > >(wc -c > got) & job=$!
    fi
    soon 20 connected "$job"
    lab-barrier "streaming-$1"
    sleep 1
}

# survivor: our program has to notice what happened at START, a `now`.
survivor() {
    ended "$job" 20
    expect "the end was reported within 10 s" within 10 "$1"
    expect_code 4
    expect "in one line" complains_once log
    expect "as a broken connection" says log "broke: "
    sleep 0.2
    expect "bytes had come" test "$(cat got)" -gt 100000
    show log got
}

begin killed-listener
both_stream 7102
if [ "$LAB_ID" = 1 ]; then kill -9 "$job"; ended "$job" 5; expect_code 137; fi
lab-barrier killed-1
start=$(now)
if [ "$LAB_ID" = 2 ]; then survivor "$start"; fi
finish

begin killed-client
both_stream 7103
if [ "$LAB_ID" = 2 ]; then kill -9 "$job"; ended "$job" 5; expect_code 137; fi
lab-barrier killed-2
start=$(now)
if [ "$LAB_ID" = 1 ]; then survivor "$start"; fi
if [ "$LAB_ID" = 2 ]; then expect "the other listener still serves over RDMA" over_rdma; fi
finish

# delete_device: how long it takes counts: the kernel waits for whoever uses the device.
delete_device() {
    local start
    start=$(now)
    timeout 30 rdma link delete rxe0 || problem "rdma link delete failed"
    expect "rdma link delete ends within 5 s" within 5 "$start"
}

begin device-goes-and-comes
if [ "$LAB_ID" = 2 ]; then
    "$smc" ping --require rdma --ueid LAB-A --size 1M --count 100000 guest1:7100 > got 2> log & job=$!
    soon 20 connected "$job"
fi
lab-barrier pinging
sleep 2
if [ "$LAB_ID" = 1 ]; then delete_device; fi
lab-barrier deleted
start=$(now)
if [ "$LAB_ID" = 2 ]; then
    ended "$job" 20
    expect "the end was reported within 10 s" within 10 "$start"
    expect_code 4
    expect "in one line" complains_once log
    ping_server --ueid LAB-A --json
    expect_code 0
    expect "path tcp" says got '"path":"tcp"'
    expect "the reason is the missing device" says got "device"
    show log got
fi
lab-barrier without-device
if [ "$LAB_ID" = 1 ]; then
    expect "the listener lives" kill -0 "$server"
    expect "it told of the broken connection" says server-log "was removed"
    rdma link add rxe0 type rxe netdev eth0
fi
lab-barrier with-device
if [ "$LAB_ID" = 2 ]; then expect "RDMA again from the same listener" soon 10 over_rdma; show got log; fi
show server-log
finish

begin idle-device
if [ "$LAB_ID" = 1 ]; then delete_device; rdma link add rxe0 type rxe netdev eth0; fi
lab-barrier idle-deleted
if [ "$LAB_ID" = 2 ]; then expect "RDMA again from the same listener" soon 10 over_rdma; show got log; fi
finish

begin held-connection
if [ "$LAB_ID" = 1 ]; then
    # Nobody reads its output, so that it hangs in a write.
    mkfifo stuck
    exec 4<> stuck
    "$smc" listen --require rdma 7106 < /dev/null > stuck 2> log & job=$!
    soon 20 listening 7106
    lab-post listening-held
    soon 20 connected "$job"
    lab-await sent-held
    delete_device
    rdma link add rxe0 type rxe netdev eth0
    expect "it lives" kill -0 "$job"
    kill "$job"
    exec 4>&-
else
    lab-await listening-held
    "$smc" connect --require rdma guest1:7106 < /dev/zero > got 2> log & job=$!
    soon 20 connected "$job"
    sleep 2
    lab-post sent-held
    ended "$job" 20
    expect_code 4
    expect "in one line" complains_once log
fi
show log
lab-barrier held-over
finish

begin device-of-client
both_stream 7104
if [ "$LAB_ID" = 2 ]; then delete_device; fi
lab-barrier deleted-2
start=$(now)
survivor "$start"
if [ "$LAB_ID" = 2 ]; then
    expect "our end names the device" says log "was removed"
    rdma link add rxe0 type rxe netdev eth0
    expect "RDMA again" soon 10 over_rdma
fi
finish
lab-barrier end
