/* fsopen(2), fsconfig(2), fsmount(2): mounts that lie nowhere but at a descriptor. glibc has them from 2.36 on. */
#include "internal.h"

#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fsopen /* the same numbers on every architecture */
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

int uipc_fsopen(const char *fsname, unsigned int flags) { return uipc_result((int)syscall(SYS_fsopen, fsname, flags)); }

int uipc_fsconfig(int fd, unsigned int cmd, const char *key, const char *value, int aux) {
    return uipc_result((int)syscall(SYS_fsconfig, fd, cmd, key, value, aux));
}

int uipc_fsmount(int fs_fd, unsigned int flags, unsigned int attr_flags) {
    return uipc_result((int)syscall(SYS_fsmount, fs_fd, flags, attr_flags));
}
