/* What a library in C does while Python cannot look: get a signal, and then block. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <errno.h>

int signalled_before_read(int signum, int fd) {
    char byte;
    raise(signum);
    const ssize_t count = read(fd, &byte, 1);
    return count < 0 ? -errno : (int)count;
}

int signalled_before_poll(int signum, int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    raise(signum);
    const int count = poll(&ready, 1, -1);
    return count < 0 ? -errno : count;
}
