/* pipe(7) and fifo(7). */
#include "internal.h"

#include <fcntl.h>
#include <sys/stat.h>
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

int64_t uipc_read(int fd, void *buffer, size_t count) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : uipc_after_blocking(uipc_result64(read(fd, buffer, count)), true);
}

int64_t uipc_write(int fd, const void *buffer, size_t count) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : uipc_after_blocking(uipc_result64(write(fd, buffer, count)), true);
}
