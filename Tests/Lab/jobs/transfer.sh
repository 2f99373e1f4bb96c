# Two guests, all is well: what goes over RDMA, that it really does, and how connections end.
#
# lab: --guests 2 --capture {capture}
# test path-is-rdma 1 2: several MiB each way, unchanged, over an RC queue pair of ours in RTS that the counters confirm
# test first-ends-first 1 2: the client ends its direction first, the listener sends all of its data afterwards
# test listener-ends-first 1 2: the listener ends its direction first, the client sends all and closes at once
# test many-connections 1 2: 32 connections echo 1 MiB each over one queue pair
# test idle-link 1 2: an idle connection is tested, and carries data afterwards
# test plain-tcp 1 2: with --require tcp the same bytes are on the wire in TCP
# test wire-payload host: payload travels in RoCEv2 writes, and not in TCP segments
# test wire-clc host: tshark decodes Proposal, Accept and Confirm with the right fields
# test wire-llc host: tshark decodes Confirm Link, Confirm RKey and Test Link
# test wire-cdc host: tshark decodes CDC messages
# test wire-well-formed host: tshark marks none of our frames as malformed
# shellcheck shell=bash
. "$(dirname "$0")/../guest/checks.sh"
mine=$data/payload-$LAB_ID
theirs=$data/payload-$((3 - LAB_ID))

begin path-is-rdma
sent=$(counter sent_pkts)
# Held in the middle: what is looked at then is a connection in use.
mkfifo hold
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --json 7001 < hold > got 2> log & job=$!
    exec 3> hold
    soon 20 listening 7001
    lab-post listening
else
    lab-await listening
    "$smc" connect --json guest1:7001 < hold > got 2> log & job=$!
    exec 3> hold
fi
head -c 1000000 "$mine" >&3
soon 30 has_bytes got 1000000
lab-barrier middle
states=$(connections_of "$job")
expect "one RC queue pair of our process in RTS, not: $states" test "$states" = RTS
lab-barrier looked
tail -c +1000001 "$mine" >&3
exec 3>&-
ended "$job" 60
expect_code 0
expect "JSON says path rdma" says log '"path":"rdma"'
expect "checksum" test "$(sum got)" = "$(sum "$theirs")"
size=$(stat -c %s "$mine")
expect "JSON says all bytes were sent" says log "\"bytesSent\":$size"
grown=$(($(counter sent_pkts) - sent))
expect "sent_pkts grew by $grown, at least one packet a KiB" test "$grown" -ge $((size / 1024))
show log
finish

begin first-ends-first
if [ "$LAB_ID" = 1 ]; then
    { lab-await client-has-ended; cat "$mine"; } | "$smc" listen --require rdma --json 7002 > got 2> log & job=$!
    soon 20 listening 7002
    lab-post listening-2
    soon 30 test -s got
    lab-post client-has-ended
else
    lab-await listening-2
    "$smc" connect --require rdma --json guest1:7002 < "$mine" > got 2> log & job=$!
fi
ended "$job" 60
expect_code 0
expect "checksum" test "$(sum got)" = "$(sum "$theirs")"
show log
finish

begin listener-ends-first
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --require rdma --json 7003 < /dev/null > got 2> log & job=$!
    soon 20 listening 7003
    lab-post listening-3
else
    lab-await listening-3
    { sleep 1; cat "$mine"; } | "$smc" connect --require rdma --json guest1:7003 > got 2> log & job=$!
fi
ended "$job" 60
expect_code 0
if [ "$LAB_ID" = 1 ]; then expect "checksum" test "$(sum got)" = "$(sum "$theirs")"; fi
if [ "$LAB_ID" = 2 ]; then expect "nothing came" test ! -s got; fi
show log
finish

begin many-connections
watch_queue_pairs() { while :; do connections_of "$1" | grep -c .; sleep 0.5; done > counts; }
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --require rdma --echo 7004 2> log & server=$!
    soon 20 listening 7004
    lab-post listening-4
    watched=$server
else
    lab-await listening-4
    "$smc" ping --require rdma --connections 32 --size 1M --count 1 --warmup 0 --json guest1:7004 > got 2> log & job=$!
    watched=$job
fi
watch_queue_pairs "$watched" & watcher=$!
if [ "$LAB_ID" = 2 ]; then
    ended "$job" 90
    expect_code 0
    expect "32 round trips over RDMA" says got '"connections":32,"microseconds"'
    expect "path rdma" says got '"path":"rdma"'
fi
lab-barrier pinged 100
kill "$watcher"
expect "queue pairs at one time: $(sort -n counts | uniq -c | tr '\n' ' ')" test "$(sort -n counts | tail -n 1)" = 1
if [ "$LAB_ID" = 1 ]; then expect "the listener has no complaints" test "$(grep -c . log)" = 1; fi
show log counts
finish

begin idle-link
if [ "$LAB_ID" = 2 ]; then
    mkfifo slow
    "$smc" connect --require rdma --json guest1:7004 < slow > got 2> log & job=$!
    exec 3> slow
    echo one >&3
    soon 20 test -s got
    sleep 8
    echo two >&3
    exec 3>&-
    ended "$job" 20
    expect_code 0
    expect "both came back" test "$(tr '\n' ' ' < got)" = "one two "
    show log
fi
lab-barrier idled 60
if [ "$LAB_ID" = 1 ]; then kill "$server"; fi
finish

begin plain-tcp
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --json 7005 < /dev/null > got 2> log & job=$!
    soon 20 listening 7005
    lab-post listening-5
else
    lab-await listening-5
    "$smc" connect --require tcp --json guest1:7005 < "$data/payload-tcp" > got 2> log & job=$!
fi
ended "$job" 30
expect_code 0
expect "path tcp" says log '"path":"tcp"'
if [ "$LAB_ID" = 1 ]; then expect "checksum" test "$(sum got)" = "$(sum "$data/payload-tcp")"; fi
show log
finish
lab-barrier end
