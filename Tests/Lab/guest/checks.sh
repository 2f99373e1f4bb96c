# For jobs: named tests with verdicts that `Tests/Lab/test` collects, and the little that all of them need.
#
#     begin NAME                  all guests meet; from here on checks belong to NAME
#     begin_alone NAME            the same without meeting
#     expect "WHAT" COMMAND...    a check: the command succeeds
#     show FILE...                prints files if something went wrong since `begin`
#     finish                      this guest's verdict; `finish NAME` for another name than that of `begin`
# shellcheck shell=bash
smc=$1   # the program under test
data=$2  # files that the host has made: payload-1, payload-2, payload-tcp
cd /dev/shm || exit

current=
problems=0
trap : PIPE  # a program that is gone too early is no reason to end without a verdict

begin() {
    begin_alone "$1"
    lab-barrier "begin-$1" 90 || problem "the guests have not met"
}

begin_alone() {
    current=$1
    problems=0
}

problem() {
    problems=$((problems + 1))
    echo "lab-test $current problem: $*"
}

expect() {
    local what=$1
    shift
    "$@" || problem "$what"
}

# expect_code CODE: how the job that `ended` saw has ended.
expect_code() { [ "$code" = "$1" ] || problem "exit code $code, not $1"; }

show() {
    [ "$problems" = 0 ] && return
    local file
    for file in "$@"; do [ ! -f "$file" ] || { echo "--- $file"; tail -n 20 "$file"; }; done
}

finish() {
    if [ "$problems" = 0 ]; then
        echo "lab-test ${1:-$current} ok"
    else
        echo "lab-test ${1:-$current} failed"
    fi
}

# Small tools

# now: seconds since boot, with hundredths.
now() {
    local up rest
    read -r up rest < /proc/uptime
    echo "$up"
}

# within SECONDS START: no more than that has passed since START, a `now`.
within() {
    awk -v limit="$1" -v start="$2" -v end="$(now)" 'BEGIN { exit !(end - start <= limit) }'
}

# soon SECONDS COMMAND...: waits until the command succeeds.
soon() {
    local start=$SECONDS limit=$1
    shift
    until "$@"; do
        [ $((SECONDS - start)) -lt "$limit" ] || return 1
        sleep 0.2
    done
}

# listening PORT: somebody listens on that TCP port.
listening() {
    grep -qs "$(printf ':%04X 0*:0000 0A ' "$1")" /proc/net/tcp /proc/net/tcp6
}

# ended PID SECONDS: waits for a background job; its exit code is in $code. One that hangs is killed, with code "hangs".
ended() {
    local start=$SECONDS
    while [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2> /dev/null; do
        if [ $((SECONDS - start)) -ge "$2" ]; then
            kill -9 "$1"
            wait "$1"
            code=hangs
            return 1
        fi
        sleep 0.1
    done
    wait "$1" && code=0 || code=$?
}

# says FILE WORDS: the file has these words.
says() { grep -qF -e "$2" "$1"; }

# complains_once FILE: exactly one line of smc's complaints, apart from where it listens.
complains_once() { [ "$(grep '^smc: ' "$1" | grep -vc '^smc: listening on ')" = 1 ]; }

# sum FILE...: one checksum.
sum() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# connections_of PID: the RC queue pairs of a process, one "STATE" a line. rdma names the thread that made each.
connections_of() {
    rdma resource show qp | awk '$0 ~ / type RC / {
        for (i = 1; i < NF; i++) { if ($i == "state") state = $(i + 1); if ($i == "pid") pid = $(i + 1) }
        print pid, state
    }' | while read -r thread state; do [ -d "/proc/$1/task/$thread" ] && echo "$state"; done
}

# connected PID: it has a queue pair that is up.
connected() { connections_of "$1" | grep -q RTS; }

# has_bytes FILE COUNT: that many, or more.
has_bytes() { [ "$(stat -c %s "$1")" -ge "$2" ]; }

# counter NAME: a counter of rxe0.
counter() { cat "/sys/class/infiniband/rxe0/ports/1/hw_counters/$1"; }
