"""The parts of the lab, each with one job.

host       what this machine must have, and children that never outlive us
kernel     a guest kernel, unpacked from its Debian package and never installed
initramfs  the first file system of a guest
segment    Ethernet between guests
plan       the options of a run, and what its guests read about them
guest      one QEMU process and the channels to it
control    barriers, flags and faults that guests ask for
run        the loop that watches everything until all guests are done
cli        the words of the command line

bench      what `selftest` and `test` share: a lab run with its files in one place
jobs       the scripts of jobs/ with their tests and verdicts
capture    frames of a capture: RoCE, TCP
wire       what captures must show, with tshark as the judge
"""
