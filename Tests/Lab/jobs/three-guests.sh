# Three guests: a server with two clients, shared memory inside a guest meanwhile, and guests that die by a power cut.
#
# lab: --guests 3 --mtu 4500
# test two-clients 1 2 3: two clients at once have a link group each, and every sum is right
# test both-media 1: meanwhile two partitions inside one guest talk by shared memory
# test dead-guest 1: a guest dies: whoever streams, and whoever waits for bytes, hears of it
# test frozen-guest 1: a guest stops answering: the same
# test second-life 1 2: the guest comes back, and the same listener serves it over RDMA
# shellcheck shell=bash
. "$(dirname "$0")/../guest/checks.sh"

# serve PORT: one connection, in the background: payload-1 to the client. $job is the program.
serve() {
    "$smc" listen --require rdma --json "$1" < "$data/payload-1" > "got-$1" 2> "log-$1" & job=$!
    soon 20 listening "$1"
}

over_rdma() { timeout 20 "$smc" ping --require rdma --count 3 --warmup 0 guest1:7200 > got 2> log; }

if [ "$LAB_LIFE" = 2 ]; then
    problems=0
    current=second-life
    expect "the listener of before serves us over RDMA" soon 20 over_rdma
    show got log
    finish
    lab-post reborn "$problems"
    lab-await over 60
    exit
fi

if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --require rdma --echo 7200 2> server-log & server=$!
    soon 20 listening 7200
fi

begin two-clients
if [ "$LAB_ID" = 1 ]; then
    "$smc" listen --echo --require shm 7201 2> shm-log & local=$!
    soon 30 listening 7201
    serve 7202; from_2=$job
    serve 7203; from_3=$job
    lab-barrier serving
    "$smc" connect --require shm --json localhost:7201 < "$data/payload-tcp" > got-shm 2> log-shm & shm=$!
    "$smc" ping --require rdma --connections 4 --size 1M --count 1 --warmup 0 guest1:7200 > /dev/null 2>&1 & wait $!
    for pair in "2 $from_2" "3 $from_3"; do
        read -r guest program <<< "$pair"
        ended "$program" 60
        expect_code 0
        expect "checksum of guest $guest" test "$(sum "got-720$guest")" = "$(sum "$data/payload-2")"
    done
    show log-7202 log-7203
else
    lab-barrier serving
    "$smc" connect --require rdma --json "guest1:720$LAB_ID" < "$data/payload-2" > got 2> log & job=$!
    "$smc" ping --require rdma --connections 4 --size 1M --count 1 --warmup 0 guest1:7200 > pinged 2>&1 & ping=$!
    ended "$job" 60
    expect_code 0
    expect "checksum" test "$(sum got)" = "$(sum "$data/payload-1")"
    ended "$ping" 60
    expect_code 0
    show log pinged
fi
lab-barrier transferred 100
finish

if [ "$LAB_ID" = 1 ]; then
    begin_alone both-media
    ended "$shm" 60
    expect_code 0
    expect "checksum" test "$(sum got-shm)" = "$(sum "$data/payload-tcp")"
    expect "JSON says shared memory" says log-shm '"path":"shared-memory"'
    kill "$local"
    show log-shm shm-log
    finish
fi

# two_connections PORT GUEST: guest 1 streams over one connection with GUEST, and waits for bytes over another.
two_connections() {
    local idle=$(($1 + 1))
    if [ "$LAB_ID" = 1 ]; then
        "$smc" listen --require rdma --json "$1" < /dev/zero 2> log-stream > /dev/null & stream=$!
        "$smc" listen --require rdma --json "$idle" < /dev/null 2> log-idle > got-idle & waiting=$!
        soon 20 listening "$1"
        soon 20 listening "$idle"
        lab-post "two-$1"
        soon 30 connected "$stream"
        soon 30 has_bytes got-idle 1
    elif [ "$LAB_ID" = "$2" ]; then
        lab-await "two-$1"
        "$smc" connect --require rdma "guest1:$1" < /dev/zero 2> /dev/null > /dev/null &
        { echo hello; sleep 1000; } | "$smc" connect --require rdma "guest1:$idle" 2> /dev/null > /dev/null &
    fi
    lab-barrier "two-up-$1" 90
}

# survivors START: both programs of guest 1 notice within 10 s, since START, a `now`.
survivors() {
    local each
    for each in "$stream" "$waiting"; do
        ended "$each" 20
        expect "the end was reported within 10 s" within 10 "$1"
        expect_code 4
    done
    for each in log-stream log-idle; do
        expect "in one line" complains_once "$each"
        expect "as a broken connection" says "$each" "broke: "
    done
    expect "what had come was not lost" test "$(cat got-idle)" = hello
    show log-stream log-idle
}

two_connections 7210 3
if [ "$LAB_ID" = 1 ]; then
    begin_alone frozen-guest
    lab-ask freeze 3
    survivors "$(now)"
    finish
    lab-ask kill 3
fi

two_connections 7220 2
if [ "$LAB_ID" = 1 ]; then
    begin_alone dead-guest
    lab-ask kill 2
    survivors "$(now)"
    finish

    begin_alone second-life
    lab-ask restart 2
    reborn=$(lab-await reborn 90) || problem "guest 2 has not come back"
    expect "guest 2 finds it good" test "$reborn" = 0
    expect "the listener lives" kill -0 "$server"
    show server-log
    finish
    lab-post over
fi
if [ "$LAB_ID" = 2 ]; then sleep 1000; fi
