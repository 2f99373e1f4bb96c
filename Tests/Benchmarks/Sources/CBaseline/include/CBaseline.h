// What swift-smc is compared with, in plain C, so that nothing of Swift is in the baseline.
//
// Functions with `serve` run in the one process and return when the other has done `count` of its steps; their partners
// return what they measured in nanoseconds. All of them return a negative errno when a system call fails.
#ifndef CBASELINE_H
#define CBASELINE_H

#include <stddef.h>
#include <stdint.h>

/// CLOCK_MONOTONIC, the same in all processes.
int64_t baseline_now(void);

/// Lets the whole process run on one processor only. 0, or a negative errno.
int baseline_pin(int cpu);
/// A file in memory of `size` bytes, without a name; others reach it by /proc/PID/fd. A descriptor or a negative errno.
int baseline_memory_file(size_t size);
/// Maps a file of memory whole. Null when that fails.
void *baseline_map(const char *path, size_t size);
/// Has standard output written line by line, also to a pipe.
void baseline_print_by_line(void);
/// Ends this process when its parent does, so that a killed benchmark leaves nothing behind.
void baseline_end_with_parent(void);

// A cache line each way: what the two processors cannot be faster than.
int64_t baseline_line_ping(void *memory, uint64_t count);
void baseline_line_serve(void *memory, uint64_t count);

// Two single-producer, single-consumer rings, one each way: the fastest one in C that we know.

/// Bytes of memory for both rings.
extern const size_t baseline_ring_memory_size;
typedef struct baseline_ring baseline_ring;

/// One side of the pair: side 0 or 1, of the memory file at `path`. Null when it cannot be mapped.
baseline_ring *baseline_ring_open(const char *path, int side);
int64_t baseline_ring_ping(baseline_ring *ring, size_t size, uint64_t count);
void baseline_ring_serve_ping(baseline_ring *ring, size_t size, uint64_t count);
/// Sends `count` messages and waits for the answer that they have come.
int64_t baseline_ring_stream(baseline_ring *ring, size_t size, uint64_t count);
void baseline_ring_serve_stream(baseline_ring *ring, size_t size, uint64_t count);

// A futex: how long it takes to wake a process that sleeps.

/// Wakes `count` times, with `pause` nanoseconds in between in which the other falls asleep.
int64_t baseline_futex_wake(void *memory, uint64_t count, int64_t pause);
/// Sleeps; `delays` gets for each wake the nanoseconds from before the call until we run.
int64_t baseline_futex_serve(void *memory, uint64_t count, int64_t *delays);

// Sockets and pipes. `kind`: 0 Unix stream, 1 Unix seqpacket, 2 TCP over loopback without Nagle.

/// A listening socket: of the path, or of a port that the system chooses and `port` gets.
int baseline_listen(int kind, const char *path, int *port);
int baseline_accept(int kind, int listener);
int baseline_connect(int kind, const char *path, int port);
/// A named pipe's end.
int baseline_open_pipe(const char *path, int writes);
int64_t baseline_file_ping(int in, int out, size_t size, uint64_t count);
int64_t baseline_file_serve_ping(int in, int out, size_t size, uint64_t count);
int64_t baseline_file_stream(int in, int out, size_t size, uint64_t count);
int64_t baseline_file_serve_stream(int in, int out, size_t size, uint64_t count);

/// Copies `size` bytes `count` times between two buffers that stay in the cache.
int64_t baseline_memcpy(size_t size, uint64_t count);

// What a program does with data that it sends and receives: it writes all of it, and reads all of it.
void baseline_produce(void *bytes, size_t size, uint8_t value);
uint64_t baseline_consume(const void *bytes, size_t size);

// Callgrind and strace, if they look on, see where something that is counted begins and ends.
void baseline_begin(const char *name);
void baseline_end(const char *name);

#endif
