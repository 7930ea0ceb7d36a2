/* pipe(7) and fifo(7). */
#include "internal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int uipc_pipe(int flags, int *read_end, int *write_end) {
    int ends[2];
    const int result = uipc_result(pipe2(ends, flags));
    if (result == 0) {
        *read_end = ends[0];
        *write_end = ends[1];
    }
    return result;
}

int uipc_mkfifo(const char *pathname, unsigned int mode) { return uipc_result(mkfifo(pathname, (mode_t)mode)); }

int uipc_mknod(const char *pathname, unsigned int mode, uint64_t dev) {
    return uipc_result(mknod(pathname, (mode_t)mode, (dev_t)dev));
}

struct opening {
    const char *pathname;
    int flags;
    unsigned int mode;
};

static int64_t do_open(const void *arguments) {
    const struct opening *opening = arguments;
    return uipc_result(open(opening->pathname, opening->flags, (mode_t)opening->mode));
}

int uipc_open(const char *pathname, int flags, unsigned int mode, int64_t *left) {
    const struct opening opening = {.pathname = pathname, .flags = flags, .mode = mode};
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    if (left != NULL) {
        return left[0] < 0 ? -EINVAL : (int)uipc_until_alarm(do_open, &opening, true, left);
    }
    return (int)uipc_after_blocking(do_open(&opening), true);
}

/* read(2) or write(2), which only reads the memory. */
struct transfer {
    bool writes;
    int fd;
    void *buffer;
    size_t count;
};

static int64_t transfer_waiting(const void *arguments) {
    const struct transfer *op = arguments;
    return uipc_result64(op->writes ? write(op->fd, op->buffer, op->count) : read(op->fd, op->buffer, op->count));
}

/* O_NONBLOCK would be everybody's who has the descriptor; RWF_NOWAIT is this call's. What does not know it, such as a
 * FIFO, is asked whether it is ready. */
static int64_t transfer_at_once(const struct transfer *op) {
    const struct iovec memory = {.iov_base = op->buffer, .iov_len = op->count};
    const int64_t result = uipc_result64(op->writes ? pwritev2(op->fd, &memory, 1, -1, RWF_NOWAIT)
                                                    : preadv2(op->fd, &memory, 1, -1, RWF_NOWAIT));
    if (result != -EOPNOTSUPP && result != -EINVAL && result != -ENOSYS) {
        return result;
    }
    struct pollfd ready = {.fd = op->fd, .events = op->writes ? POLLOUT : POLLIN};
    return poll(&ready, 1, 0) == 0 ? -EAGAIN : -EOPNOTSUPP;
}

/* Where somebody else takes what was there when it was asked for, the alarm ends the wait. */
static int64_t transfer_within(const struct transfer *op, int64_t *left) {
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    if (left == NULL) {
        return uipc_after_blocking(transfer_waiting(op), true);
    }
    if (left[0] < 0) {
        return -EINVAL;
    }
    const int64_t result = transfer_at_once(op);
    if (result == -EAGAIN && left[0] == 0 && left[1] == 0) {
        return -ETIMEDOUT;
    }
    return result == -EAGAIN || result == -EOPNOTSUPP ? uipc_until_alarm(transfer_waiting, op, true, left) : result;
}

int64_t uipc_read(int fd, void *buffer, size_t count, int64_t *left) {
    const struct transfer op = {.fd = fd, .buffer = buffer, .count = count};
    return transfer_within(&op, left);
}

int64_t uipc_write(int fd, const void *buffer, size_t count, int64_t *left) {
    const struct transfer op = {.writes = true, .fd = fd, .buffer = (void *)(uintptr_t)buffer, .count = count};
    return transfer_within(&op, left);
}

/* The kernel restarts tee(2) and vmsplice(2) as it does read(2) and write(2), though signal(7) does not name them. */
int64_t uipc_tee(int fd_in, int fd_out, size_t len, unsigned int flags) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : uipc_after_blocking(uipc_result64(tee(fd_in, fd_out, len, flags)), true);
}

_Static_assert(sizeof(struct uipc_iovec) == sizeof(struct iovec), "the one is passed as the other");

int64_t uipc_vmsplice(int fd, const struct uipc_iovec *iov, size_t nr_segs, unsigned int flags) {
    const int busy = uipc_before_blocking();
    const struct iovec *memory = (const struct iovec *)(const void *)iov;
    return busy < 0 ? busy : uipc_after_blocking(uipc_result64(vmsplice(fd, memory, nr_segs, flags)), true);
}
