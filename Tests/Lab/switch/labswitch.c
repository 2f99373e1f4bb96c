// labswitch [-w FILE] DESCRIPTOR...: a learning Ethernet switch. Each descriptor is one end of a datagram socket pair
// whose other end is a guest's network card; a datagram is a frame. -w records all frames in pcap form.

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { portsMax = 64, macsMax = 256, frameMax = 70000, macSize = 6, headerSize = 14, patienceMs = 100 };

struct Address { uint8_t mac[macSize]; int port; };

static struct pollfd ports[portsMax];
static int deaf[portsMax];
static int portCount;
static struct Address addresses[macsMax];
static int addressCount;
static FILE *capture;

static int indexOf(const uint8_t *mac) {
    for (int index = 0; index < addressCount; index++) {
        if (memcmp(addresses[index].mac, mac, macSize) == 0) return index;
    }
    return -1;
}

static void learn(const uint8_t *mac, int port) {
    int index = indexOf(mac);
    if (index < 0) {
        if (addressCount == macsMax) return;
        index = addressCount++;
        memcpy(addresses[index].mac, mac, macSize);
    }
    addresses[index].port = port;
}

// A guest that is slow holds the sender up, as a full queue would; one that is frozen or gone loses its frames at once.
static void forward(int port, const uint8_t *frame, size_t size) {
    for (;;) {
        if (send(ports[port].fd, frame, size, MSG_DONTWAIT) >= 0) {
            deaf[port] = 0;
            return;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN || deaf[port]) return;
        struct pollfd writable = { .fd = ports[port].fd, .events = POLLOUT };
        if (poll(&writable, 1, patienceMs) <= 0) deaf[port] = 1;
    }
}

static void startCapture(const char *path) {
    capture = fopen(path, "wb");
    if (capture == NULL) {
        perror(path);
        exit(1);
    }
    const uint32_t ethernet = 1;
    const uint32_t header[6] = { 0xa1b2c3d4, 4 << 16 | 2, 0, 0, frameMax, ethernet };
    fwrite(header, sizeof header, 1, capture);
    fflush(capture);
}

static void record(const uint8_t *frame, size_t size) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint32_t header[4] = { (uint32_t)now.tv_sec, (uint32_t)(now.tv_nsec / 1000), (uint32_t)size, (uint32_t)size };
    fwrite(header, sizeof header, 1, capture);
    fwrite(frame, size, 1, capture);
    fflush(capture);
}

static void receive(int from) {
    static uint8_t frame[frameMax];
    ssize_t size = recv(ports[from].fd, frame, sizeof frame, MSG_DONTWAIT);
    if (size < headerSize) return;
    if (capture != NULL) record(frame, (size_t)size);
    learn(frame + macSize, from);
    int known = (frame[0] & 1) != 0 ? -1 : indexOf(frame);
    for (int port = 0; port < portCount; port++) {
        if (port != from && (known < 0 || addresses[known].port == port)) forward(port, frame, (size_t)size);
    }
}

int main(int count, char **words) {
    int first = 1;
    if (count > 2 && strcmp(words[1], "-w") == 0) {
        startCapture(words[2]);
        first = 3;
    }
    if (count - first > portsMax) return 1;
    for (int index = first; index < count; index++) {
        ports[portCount++] = (struct pollfd){ .fd = atoi(words[index]), .events = POLLIN };
    }
    for (;;) {
        if (poll(ports, (nfds_t)portCount, -1) < 0 && errno != EINTR) return 1;
        for (int port = 0; port < portCount; port++) {
            if (ports[port].revents != 0) receive(port);
        }
    }
}
