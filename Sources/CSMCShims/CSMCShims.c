#define _GNU_SOURCE
#include "CSMCShims.h"

#include <asm-generic/hugetlb_encode.h>
#include <sys/prctl.h>
#include <time.h>

int csmc_memfd_create(const char *name, unsigned int huge_page_bits)
{
    unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (huge_page_bits > 0)
        flags |= MFD_HUGETLB | huge_page_bits << HUGETLB_FLAG_ENCODE_SHIFT;
    return memfd_create(name, flags);
}

int csmc_allocate(int descriptor, int64_t byte_count)
{
    return fallocate(descriptor, 0, 0, byte_count);
}

int csmc_seal_size(int descriptor)
{
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

int csmc_has_sealed_size(int descriptor)
{
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0)
        return -1;
    return (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW);
}

int csmc_fcntl_int(int descriptor, int command, int argument)
{
    return fcntl(descriptor, command, argument);
}

int csmc_open(const char *path, int flags, unsigned int mode)
{
    return open(path, flags, mode);
}

int csmc_poll_peer_closed(void)
{
    return POLLRDHUP;
}

int csmc_accept(int socket, struct sockaddr *address, socklen_t *length)
{
    return accept4(socket, address, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void csmc_name_this_thread(const char *name)
{
    prctl(PR_SET_NAME, name);
}

int csmc_futex_wait(const uint32_t *word, uint32_t expected, int64_t timeout_ns, int shared)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    return (int)syscall(SYS_futex, word, shared ? FUTEX_WAIT : FUTEX_WAIT_PRIVATE, expected,
                        timeout_ns < 0 ? NULL : &timeout, NULL, 0);
}

int csmc_futex_wake(const uint32_t *word, int count, int shared)
{
    return (int)syscall(SYS_futex, word, shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

ssize_t csmc_send_with_descriptors(int socket, const void *bytes, size_t count, const int *descriptors,
                                   int descriptor_count, int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CSMC_MAX_DESCRIPTORS)];
        struct cmsghdr alignment;
    } control;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

    if (descriptor_count < 0 || descriptor_count > CSMC_MAX_DESCRIPTORS) {
        errno = EINVAL;
        return -1;
    }
    if (descriptor_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)descriptor_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)descriptor_count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)descriptor_count);
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ssize_t csmc_receive_with_descriptors(int socket, void *bytes, size_t count, int *descriptors,
                                      int *descriptor_count, int *flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CSMC_MAX_DESCRIPTORS)];
        struct cmsghdr alignment;
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};

    *descriptor_count = 0;
    ssize_t received = recvmsg(socket, &message, *flags | MSG_CMSG_CLOEXEC);
    if (received < 0)
        return received;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t arrived = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < arrived; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*descriptor_count < CSMC_MAX_DESCRIPTORS)
                descriptors[(*descriptor_count)++] = descriptor;
            else
                close(descriptor);
        }
    }
    *flags = message.msg_flags;
    return received;
}

int csmc_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
}

/* By the signal's number. */
static volatile sig_atomic_t signal_descriptors[65];

static void signal_arrived(int signal)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write((int)signal_descriptors[signal], &one, sizeof one);
    (void)written;
    errno = saved;
}

int csmc_signal_to_descriptor(int signal, int descriptor)
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = descriptor < 0 ? SIG_DFL : signal_arrived;
    if (descriptor >= 0)
        signal_descriptors[signal] = descriptor;
    return sigaction(signal, &action, NULL);
}

int csmc_ignore_signal(int signal)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    return sigaction(signal, &action, NULL);
}

int csmc_peer_credentials(int socket, int32_t *pid, uint32_t *uid, uint32_t *gid)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    int result = getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    if (result == 0) {
        *pid = credentials.pid;
        *uid = credentials.uid;
        *gid = credentials.gid;
    }
    return result;
}

int csmc_peer_groups(int socket, uint32_t *groups, uint32_t *count)
{
    socklen_t length = *count * sizeof *groups;
    int result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &length);
    *count = length / sizeof *groups;
    return result;
}

int csmc_lookup_user(const char *name, uint32_t *uid)
{
    char buffer[16384];
    struct passwd entry, *found;
    int code = getpwnam_r(name, &entry, buffer, sizeof buffer, &found);
    if (!found)
        return code;
    *uid = entry.pw_uid;
    return -1;
}

int csmc_lookup_group(const char *name, uint32_t *gid)
{
    char buffer[65536];
    struct group entry, *found;
    int code = getgrnam_r(name, &entry, buffer, sizeof buffer, &found);
    if (!found)
        return code;
    *gid = entry.gr_gid;
    return -1;
}
