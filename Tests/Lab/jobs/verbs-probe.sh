#!/bin/sh
# Two guests: SMCVerbs on a real rxe device. Argument: the path of the verbs-probe program.
#
# lab: --guests 2
# arguments: {verbs-probe}
# test verbs exit: SMCVerbs moves bytes, refuses what it must, and lets a removed device go
set -eu
probe=$1

# The probe waits for such files; they appear with their content.
flag() {
    echo 1 > "$LAB_SHARED/$1.new"
    mv "$LAB_SHARED/$1.new" "$LAB_SHARED/$1"
}

peer=$((3 - LAB_ID))
eval "peer_ip=\$LAB_IP_$peer"

"$probe" refusals "$LAB_IP"
"$probe" own "$LAB_IP"
ip -6 address add "fd00:77::$LAB_ID/64" dev eth0 nodad
"$probe" own "fd00:77::$LAB_ID"

lab-barrier before-pair
"$probe" pair "$LAB_SHARED" "$LAB_ID" "$peer" "$LAB_IP" "$peer_ip" && ended=0 || ended=$?
flag "gone-$LAB_ID"
[ "$ended" = 0 ]

# The process stays alive after it has let go of the device: only then does a finished delete prove anything.
[ "$LAB_ID" = 1 ] || exit 0
"$probe" removal "$LAB_IP" "$LAB_SHARED/returned" > "$LAB_SHARED/removal.log" 2>&1 &
job=$!
until grep -q "waiting for removal" "$LAB_SHARED/removal.log"; do sleep 0.2; done
ip link set eth0 down
until grep -q "portError" "$LAB_SHARED/removal.log"; do sleep 0.2; done
ip link set eth0 up
until grep -q "portActive" "$LAB_SHARED/removal.log"; do sleep 0.2; done
start=$(date +%s)
timeout 20 rdma link delete rxe0
took=$(($(date +%s) - start))
echo "rdma link delete took $took s"
[ "$took" -le 5 ]
rdma link add rxe0 type rxe netdev eth0
sleep 1
kill -0 "$job"
flag returned
wait "$job" && ended=0 || ended=$?
cat "$LAB_SHARED/removal.log"
exit "$ended"
