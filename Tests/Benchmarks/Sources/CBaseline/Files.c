#define _GNU_SOURCE
#include "CBaseline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { unix_stream, unix_seqpacket, tcp };

union address {
    struct sockaddr any;
    struct sockaddr_un un;
    struct sockaddr_in in;
};

static socklen_t fill(union address *address, int kind, const char *path, int port)
{
    memset(address, 0, sizeof *address);
    if (kind == tcp) {
        address->in.sin_family = AF_INET;
        address->in.sin_port = htons((uint16_t)port);
        address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof address->in;
    }
    address->un.sun_family = AF_UNIX;
    strncpy(address->un.sun_path, path, sizeof address->un.sun_path - 1);
    return sizeof address->un;
}

static int make_socket(int kind)
{
    int descriptor = socket(
        kind == tcp ? AF_INET : AF_UNIX, (kind == unix_seqpacket ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    int on = 1;
    if (descriptor >= 0 && kind == tcp)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return descriptor;
}

int baseline_listen(int kind, const char *path, int *port)
{
    union address address;
    socklen_t size = fill(&address, kind, path, 0);
    int descriptor = make_socket(kind);
    if (descriptor < 0 || bind(descriptor, &address.any, size) || listen(descriptor, 1)
        || getsockname(descriptor, &address.any, &size))
        return -errno;
    *port = kind == tcp ? ntohs(address.in.sin_port) : 0;
    return descriptor;
}

int baseline_accept(int kind, int listener)
{
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (descriptor < 0)
        return -errno;
    if (kind == tcp)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return descriptor;
}

int baseline_connect(int kind, const char *path, int port)
{
    union address address;
    socklen_t size = fill(&address, kind, path, port);
    int descriptor = make_socket(kind);
    return descriptor < 0 || connect(descriptor, &address.any, size) ? -errno : descriptor;
}

int baseline_open_pipe(const char *path, int writes)
{
    int descriptor = open(path, (writes ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static int put_all(int out, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(out, bytes, size);
        if (count <= 0)
            return count < 0 ? -errno : -EPIPE;
        bytes += count;
        size -= (size_t)count;
    }
    return 0;
}

static int take_all(int in, char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = read(in, bytes, size);
        if (count <= 0)
            return count < 0 ? -errno : -EPIPE;
        bytes += count;
        size -= (size_t)count;
    }
    return 0;
}

static char *buffer_of(size_t size)
{
    char *buffer = malloc(size);
    if (buffer)
        memset(buffer, 1, size);
    return buffer;
}

int64_t baseline_file_ping(int in, int out, size_t size, uint64_t count)
{
    char *buffer = buffer_of(size);
    if (!buffer)
        return -ENOMEM;
    int64_t begin = baseline_now(), error = 0;
    for (uint64_t i = 0; i < count && !error; i++) {
        error = put_all(out, buffer, size);
        if (!error)
            error = take_all(in, buffer, size);
    }
    int64_t elapsed = baseline_now() - begin;
    free(buffer);
    return error ? error : elapsed;
}

int64_t baseline_file_serve_ping(int in, int out, size_t size, uint64_t count)
{
    char *buffer = buffer_of(size);
    if (!buffer)
        return -ENOMEM;
    int64_t error = 0;
    for (uint64_t i = 0; i < count && !error; i++) {
        error = take_all(in, buffer, size);
        if (!error)
            error = put_all(out, buffer, size);
    }
    free(buffer);
    return error;
}

int64_t baseline_file_stream(int in, int out, size_t size, uint64_t count)
{
    char *buffer = buffer_of(size);
    if (!buffer)
        return -ENOMEM;
    int64_t begin = baseline_now(), error = 0;
    for (uint64_t i = 0; i < count && !error; i++)
        error = put_all(out, buffer, size);
    if (!error)
        error = take_all(in, buffer, 1);
    int64_t elapsed = baseline_now() - begin;
    free(buffer);
    return error ? error : elapsed;
}

int64_t baseline_file_serve_stream(int in, int out, size_t size, uint64_t count)
{
    char *buffer = buffer_of(size);
    if (!buffer)
        return -ENOMEM;
    int64_t error = 0;
    for (uint64_t i = 0; i < count && !error; i++)
        error = take_all(in, buffer, size);
    if (!error)
        error = put_all(out, buffer, 1);
    free(buffer);
    return error;
}
