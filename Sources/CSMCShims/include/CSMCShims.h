#ifndef CSMC_SHIMS_H
#define CSMC_SHIMS_H

/* All the C of the project: headers that the Glibc module of Swift lacks, calls that are variadic, macros, and the
   one CPU instruction (pause) that Swift has no name for. No logic lives here. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void csmc_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* memfd_create, fallocate and the seals are hidden behind _GNU_SOURCE in the module that Swift imports. */
/* huge_page_bits: log2 of the size of the huge pages that the file is made of; 0 is ordinary pages. */
int csmc_memfd_create(const char *name, unsigned int huge_page_bits);
int csmc_allocate(int descriptor, int64_t byte_count);
/* Adds the seals against shrinking, growing and further sealing. */
int csmc_seal_size(int descriptor);
/* 1 when the descriptor is sealed against shrinking and growing, 0 when not, -1 with errno when it cannot be. */
int csmc_has_sealed_size(int descriptor);

/* fcntl and open are variadic. */
int csmc_fcntl_int(int descriptor, int command, int argument);
int csmc_open(const char *path, int flags, unsigned int mode);

/* POLLRDHUP is hidden too. */
int csmc_poll_peer_closed(void);

/* accept4 is hidden as well. The new descriptor is non-blocking and close-on-exec. */
int csmc_accept(int socket, struct sockaddr *address, socklen_t *length);

/* Names the calling thread for ps, top and debuggers (at most 15 bytes are kept). */
void csmc_name_this_thread(const char *name);

/* futex(2) has no wrapper in glibc. timeout_ns < 0: wait without limit. Returns 0 or -1 with errno. */
int csmc_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_ns, int shared);
int csmc_futex_wake(const uint32_t *word, int count, int shared);

/* One message with at most CSMC_MAX_DESCRIPTORS descriptors (SCM_RIGHTS). The receiving call sets *descriptor_count
   and closes nothing; *flags gets msg_flags. Descriptors arrive close-on-exec. */
#define CSMC_MAX_DESCRIPTORS 253
ssize_t csmc_send_with_descriptors(int socket, const void *bytes, size_t count, const int *descriptors,
                                   int descriptor_count, int flags);
ssize_t csmc_receive_with_descriptors(int socket, void *bytes, size_t count, int *descriptors,
                                      int *descriptor_count, int *flags);

/* Hidden behind _GNU_SOURCE: the spawned program gets no descriptor from `lowest` on. */
int csmc_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest);

/* From now on the signal makes an eventfd readable; a handler must not be Swift. -1 gives it back its default. */
int csmc_signal_to_descriptor(int signal, int descriptor);
int csmc_ignore_signal(int signal);

/* struct ucred exists only with _GNU_SOURCE. */
int csmc_peer_credentials(int socket, int32_t *pid, uint32_t *uid, uint32_t *gid);
/* The peer's supplementary groups. *count is how many fit, then how many there are; ERANGE when they do not fit. */
int csmc_peer_groups(int socket, uint32_t *groups, uint32_t *count);

/* -1 when the name is known; 0 when nobody has it; else an errno. */
int csmc_lookup_user(const char *name, uint32_t *uid);
int csmc_lookup_group(const char *name, uint32_t *gid);

#endif
