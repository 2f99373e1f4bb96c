#define _GNU_SOURCE
#include "CBaseline.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t baseline_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int baseline_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}

int baseline_memory_file(size_t size)
{
    int descriptor = memfd_create("smc-benchmark", MFD_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    if (ftruncate(descriptor, (off_t)size)) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

void *baseline_map(const char *path, size_t size)
{
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    close(descriptor);
    return memory == MAP_FAILED ? NULL : memory;
}

void baseline_print_by_line(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
}

void baseline_end_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// MARK: A cache line each way

struct lines {
    _Alignas(128) _Atomic uint64_t there;
    _Alignas(128) _Atomic uint64_t back;
};

int64_t baseline_line_ping(void *memory, uint64_t count)
{
    struct lines *lines = memory;
    int64_t begin = baseline_now();
    for (uint64_t i = 1; i <= count; i++) {
        atomic_store_explicit(&lines->there, i, memory_order_release);
        while (atomic_load_explicit(&lines->back, memory_order_acquire) != i)
            __builtin_ia32_pause();
    }
    return baseline_now() - begin;
}

void baseline_line_serve(void *memory, uint64_t count)
{
    struct lines *lines = memory;
    for (uint64_t i = 1; i <= count; i++) {
        while (atomic_load_explicit(&lines->there, memory_order_acquire) != i)
            __builtin_ia32_pause();
        atomic_store_explicit(&lines->back, i, memory_order_release);
    }
}

// MARK: Futex

struct wakes {
    _Alignas(128) _Atomic uint32_t word;
    _Alignas(128) _Atomic int64_t when;
    _Alignas(128) _Atomic uint32_t seen;
};

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

int64_t baseline_futex_wake(void *memory, uint64_t count, int64_t pause)
{
    struct wakes *wakes = memory;
    struct timespec interval = {.tv_nsec = pause};
    for (uint32_t i = 1; i <= count; i++) {
        nanosleep(&interval, NULL);
        atomic_store_explicit(&wakes->when, baseline_now(), memory_order_relaxed);
        atomic_store_explicit(&wakes->word, i, memory_order_release);
        if (futex(&wakes->word, FUTEX_WAKE, 1) < 0)
            return -errno;
        while (atomic_load_explicit(&wakes->seen, memory_order_acquire) != i)
            nanosleep(&interval, NULL);
    }
    return 0;
}

int64_t baseline_futex_serve(void *memory, uint64_t count, int64_t *delays)
{
    struct wakes *wakes = memory;
    for (uint32_t i = 1; i <= count; i++) {
        while (atomic_load_explicit(&wakes->word, memory_order_acquire) != i) {
            if (futex(&wakes->word, FUTEX_WAIT, i - 1) < 0 && errno != EAGAIN && errno != EINTR)
                return -errno;
        }
        delays[i - 1] = baseline_now() - atomic_load_explicit(&wakes->when, memory_order_relaxed);
        atomic_store_explicit(&wakes->seen, i, memory_order_release);
    }
    return 0;
}

// MARK: memcpy

int64_t baseline_memcpy(size_t size, uint64_t count)
{
    char *from = malloc(size), *to = malloc(size);
    if (!from || !to)
        return -ENOMEM;
    memset(from, 1, size);
    memset(to, 2, size);
    int64_t begin = baseline_now();
    for (uint64_t i = 0; i < count; i++) {
        memcpy(to, from, size);
        __asm__ volatile("" ::"r"(to), "r"(from) : "memory");
    }
    int64_t elapsed = baseline_now() - begin;
    free(from);
    free(to);
    return elapsed;
}

// MARK: A program's own work

void baseline_produce(void *bytes, size_t size, uint8_t value)
{
    memset(bytes, value, size);
}

uint64_t baseline_consume(const void *bytes, size_t size)
{
    const uint64_t *words = bytes;
    uint64_t sum = 0;
    for (size_t i = 0; i < size / 8; i++)
        sum += words[i];
    return sum;
}
