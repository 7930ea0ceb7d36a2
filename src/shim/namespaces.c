/* namespaces(7), and mount(2) as far as a mount namespace of one's own needs it. */
#include "internal.h"

#include <sched.h>
#include <sys/mount.h>

int uipc_unshare(int flags) { return uipc_result(unshare(flags)); }

int uipc_setns(int fd, int nstype) { return uipc_result(setns(fd, nstype)); }

int uipc_mount(const char *source, const char *target, const char *filesystemtype, uint64_t mountflags,
               const char *data) {
    return uipc_result(mount(source, target, filesystemtype, (unsigned long)mountflags, data));
}

int uipc_umount2(const char *target, int flags) { return uipc_result(umount2(target, flags)); }
