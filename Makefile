# The commands that do everything on a fresh machine (Debian 12 with the Swift toolchain, root or sudo):
#
#     make demo    install what is missing, build, send data over every path, print one table
#     make test    install what is missing, build, run every test, the lab's included
#     make bench   measure us beside others on this machine; Docs/Benchmarks.md explains the table
#
# And one for a machine that is to keep it:
#
#     make install-system    the program, its manual pages, completions, the service and its configuration

SHELL := /bin/bash

# All packages that building, the tests and the demo need beyond Debian's base system and the Swift toolchain: the one
# place that lists them.
PACKAGES := \
	libibverbs-dev librdmacm-dev pkg-config gcc libc6-dev git \
	python3 iproute2 kmod busybox-static zstd qemu-system-x86 \
	rdma-core ibverbs-providers ibverbs-utils perftest rdmacm-utils \
	tcpdump tshark strace procps mandoc valgrind binutils systemd util-linux

# What only the benchmarks need: those whom we are compared with.
BENCH_PACKAGES := ucx-utils

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# Where install-system puts things; DESTDIR goes before all of it, for packages.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
MANDIR = $(DESTDIR)$(PREFIX)/share/man
SHAREDIR = $(DESTDIR)$(PREFIX)/share

.PHONY: demo test bench budgets bench-build build lint install install-system lab-test fuzz soak clean

demo: build
	Docs/Examples/demo/demo .build/release/smc

test: install lint
	swift build --build-tests
	swift test --skip-build
	swift build --scratch-path .build/asan --sanitize=address --product smc
	swift build --scratch-path .build/asan --sanitize=address --product hostile-peer
	SMC_TEST_PROGRAMS="$$PWD/.build/asan/debug" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
		swift test --skip-build --filter HostileMemoryTests
	swift build -c release --product smc
	$(MAKE) budgets
	Tests/Lab/selftest
	Tests/Lab/test --smc .build/release/smc

# Everybody in one interleaved run. BENCH_OPTIONS="--quick", "--only small": see --help.
bench: PACKAGES += $(BENCH_PACKAGES)
bench: bench-build
	swift build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks-unchecked \
		-Xswiftc -DSMC_UNCHECKED_FOR_BENCHMARK
	$(BENCHMARKS) run $(BENCH_OPTIONS)

# Instructions, allocations, retains and system calls for each message, against Tests/Benchmarks/budgets.json.
budgets: bench-build
	$(BENCHMARKS) budgets

BENCHMARKS := .build/benchmarks/release/Benchmarks

bench-build: build
	swift build -c release --package-path Tests/Benchmarks --scratch-path .build/benchmarks

build: install
	swift build -c release --product smc

# Longer: make fuzz FUZZ_SECONDS=3600
FUZZ_SECONDS ?= 120
fuzz: install
	Tests/Fuzz/fuzz --seconds $(FUZZ_SECONDS)

# The randomised test of sleeping and waking with 10^8 messages instead of 10^6; about 12 minutes.
soak: install
	swift build --build-tests
	SMC_SOAK_COUNT=100000000 swift test --skip-build --filter noWakeUpIsLost

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Docs

install:
	@missing=(); \
	for package in $(PACKAGES); do \
		[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing+=($$package); \
	done; \
	if [ $${#missing[@]} -gt 0 ]; then \
		echo "installing: $${missing[*]}"; \
		$(SUDO) apt-get update -qq; \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"; \
	fi
	@command -v swift >/dev/null || { echo "swift is not in PATH: install the Swift 6.3 toolchain"; exit 1; }

# The standard library goes into the program, so that it runs without a toolchain. A configuration that is there stays.
install-system: install
	swift build -c release --product smc --static-swift-stdlib --scratch-path .build/static
	install -D -m 755 .build/static/release/smc $(DESTDIR)$(PREFIX)/bin/smc
	for page in Docs/Man/*; do install -D -m 644 -t $(MANDIR)/man$${page##*.} $$page; done
	install -d $(SHAREDIR)/bash-completion/completions $(SHAREDIR)/zsh/site-functions $(SHAREDIR)/fish/vendor_completions.d
	.build/static/release/smc --generate-completion-script bash > $(SHAREDIR)/bash-completion/completions/smc
	.build/static/release/smc --generate-completion-script zsh > $(SHAREDIR)/zsh/site-functions/_smc
	.build/static/release/smc --generate-completion-script fish > $(SHAREDIR)/fish/vendor_completions.d/smc.fish
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(SYSCONFDIR)/smc
	sed -e 's|/usr/local/bin|$(PREFIX)/bin|; s|/etc/smc|$(SYSCONFDIR)/smc|' Docs/Examples/smc-hypervisor.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/smc-hypervisor.service
	[ -e $(DESTDIR)$(SYSCONFDIR)/smc/hypervisor.yaml ] \
		|| install -m 644 Docs/Examples/hypervisor.yaml $(DESTDIR)$(SYSCONFDIR)/smc/hypervisor.yaml

clean:
	rm -rf .build
