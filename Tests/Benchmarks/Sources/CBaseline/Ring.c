// The reference ring: records with their header in the data, so that a small message moves one cache line; mapped twice
// in a row, so that none is split at the end; the consumer tells of free space only now and then. It trusts its peer, and
// never sleeps.
#define _GNU_SOURCE
#include "CBaseline.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { page = 4096, ring_size = 1 << 20, granule = 1 << 15 };
/// Payloads from here on begin on a cache line of their own, which their copy needs.
enum { aligned_size = 1024 };

const size_t baseline_ring_memory_size = 2 * (page + ring_size);

/// One direction; each process has its own, with its own cursors.
struct end {
    char *data;
    /// Written by the consumer alone.
    _Atomic uint64_t *consumed;
    uint64_t cursor;
    /// Producer: what it last saw of `consumed`. Consumer: what it last said.
    uint64_t known;
};

struct baseline_ring {
    struct end out, in;
    char *buffer;
};

static int map_end(struct end *end, int descriptor, off_t offset)
{
    void *control = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, offset);
    char *data = mmap(NULL, 2 * ring_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (control == MAP_FAILED || data == MAP_FAILED)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (mmap(data + i * ring_size, ring_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
                descriptor, offset + page) == MAP_FAILED)
            return -1;
    }
    end->consumed = control;
    end->data = data;
    end->cursor = end->known = 0;
    return 0;
}

baseline_ring *baseline_ring_open(const char *path, int side)
{
    baseline_ring *ring = malloc(sizeof *ring);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (!ring || descriptor < 0)
        return NULL;
    int failed = map_end(side ? &ring->in : &ring->out, descriptor, 0)
        || map_end(side ? &ring->out : &ring->in, descriptor, page + ring_size);
    close(descriptor);
    ring->buffer = aligned_alloc(page, ring_size);
    if (failed || !ring->buffer)
        return NULL;
    memset(ring->buffer, 1, ring_size);
    return ring;
}

static inline _Atomic uint64_t *header(struct end *end, uint64_t cursor)
{
    return (_Atomic uint64_t *)(end->data + (cursor & (ring_size - 1)));
}

/// Where the payload begins, and where the next record does.
static inline uint64_t payload(uint64_t cursor, size_t size)
{
    return size >= aligned_size ? (cursor + 8 + 63) & ~63ull : cursor + 8;
}

static inline uint64_t next(uint64_t cursor, size_t size)
{
    return (payload(cursor, size) + size + 15) & ~15ull;
}

static inline void copy(char *to, const char *from, size_t size)
{
    // The sizes that matter most, without a call.
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 64)
        memcpy(to, from, 64);
    else
        memcpy(to, from, size);
}

static inline void put(struct end *end, const char *bytes, size_t size)
{
    uint64_t cursor = end->cursor, after = next(cursor, size);
    while (after + 8 - end->known > ring_size) {
        end->known = atomic_load_explicit(end->consumed, memory_order_acquire);
        if (after + 8 - end->known > ring_size)
            __builtin_ia32_pause();
    }
    copy(end->data + (payload(cursor, size) & (ring_size - 1)), bytes, size);
    atomic_store_explicit(header(end, after), 0, memory_order_relaxed);
    atomic_store_explicit(header(end, cursor), size | 1ull << 63, memory_order_release);
    end->cursor = after;
}

static inline size_t take(struct end *end, char *bytes)
{
    uint64_t word;
    while (!(word = atomic_load_explicit(header(end, end->cursor), memory_order_acquire)))
        __builtin_ia32_pause();
    size_t size = (size_t)(word & ~(1ull << 63));
    copy(bytes, end->data + (payload(end->cursor, size) & (ring_size - 1)), size);
    end->cursor = next(end->cursor, size);
    if (end->cursor - end->known >= ring_size / 4) {
        end->known = end->cursor;
        atomic_store_explicit(end->consumed, end->cursor, memory_order_release);
    }
    return size;
}

int64_t baseline_ring_ping(baseline_ring *ring, size_t size, uint64_t count)
{
    int64_t begin = baseline_now();
    for (uint64_t i = 0; i < count; i++) {
        put(&ring->out, ring->buffer, size);
        take(&ring->in, ring->buffer);
    }
    return baseline_now() - begin;
}

void baseline_ring_serve_ping(baseline_ring *ring, size_t size, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        take(&ring->in, ring->buffer);
        put(&ring->out, ring->buffer, size);
    }
}

int64_t baseline_ring_stream(baseline_ring *ring, size_t size, uint64_t count)
{
    int64_t begin = baseline_now();
    for (uint64_t i = 0; i < count; i++) {
        // Large messages in parts, so that the copy in and the copy out overlap.
        for (size_t done = 0; done < size; done += granule)
            put(&ring->out, ring->buffer + done, size - done < granule ? size - done : granule);
    }
    take(&ring->in, ring->buffer);
    return baseline_now() - begin;
}

void baseline_ring_serve_stream(baseline_ring *ring, size_t size, uint64_t count)
{
    uint64_t total = size * count;
    for (uint64_t done = 0, offset = 0; done < total;) {
        size_t part = take(&ring->in, ring->buffer + offset);
        done += part;
        offset += part;
        if (offset >= size)
            offset = 0;
    }
    put(&ring->out, ring->buffer, 8);
}
