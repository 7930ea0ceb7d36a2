/* shm_overview(7): POSIX shared memory. */
#include "internal.h"

#include <sys/mman.h>
#include <sys/stat.h>

int uipc_shm_open(const char *name, int oflag, unsigned int mode) {
    return uipc_result(shm_open(name, oflag, (mode_t)mode));
}

int uipc_shm_unlink(const char *name) { return uipc_result(shm_unlink(name)); }
