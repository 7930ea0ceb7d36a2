/* mmap(2) and what is done to mappings. */
#include "internal.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *pointer(uint64_t address) { return (void *)(uintptr_t)address; }

int64_t uipc_page_size(void) { return uipc_result64(sysconf(_SC_PAGESIZE)); }

int uipc_mmap(uint64_t hint, size_t length, int prot, int flags, int fd, int64_t offset, uint64_t *address) {
    void *const mapped = mmap(pointer(hint), length, prot, flags, fd, offset);
    if (mapped == MAP_FAILED) {
        return -errno;
    }
    *address = (uint64_t)(uintptr_t)mapped;
    return 0;
}

int uipc_munmap(uint64_t address, size_t length) { return uipc_result(munmap(pointer(address), length)); }

int uipc_mprotect(uint64_t address, size_t length, int prot) {
    return uipc_result(mprotect(pointer(address), length, prot));
}

int uipc_msync(uint64_t address, size_t length, int flags) {
    return uipc_result(msync(pointer(address), length, flags));
}

int uipc_mremap(uint64_t address, size_t old_size, size_t new_size, int flags, uint64_t new_address, uint64_t *moved) {
    void *const mapped = mremap(pointer(address), old_size, new_size, flags, pointer(new_address));
    if (mapped == MAP_FAILED) {
        return -errno;
    }
    *moved = (uint64_t)(uintptr_t)mapped;
    return 0;
}

int uipc_madvise(uint64_t address, size_t length, int advice) {
    return uipc_result(madvise(pointer(address), length, advice));
}

int uipc_mlock(uint64_t address, size_t length) { return uipc_result(mlock(pointer(address), length)); }

int uipc_mlock2(uint64_t address, size_t length, int flags) {
    return uipc_result((int)syscall(SYS_mlock2, pointer(address), length, (unsigned int)flags));
}

int uipc_munlock(uint64_t address, size_t length) { return uipc_result(munlock(pointer(address), length)); }

int uipc_mlockall(int flags) { return uipc_result(mlockall(flags)); }

int uipc_munlockall(void) { return uipc_result(munlockall()); }

int uipc_mincore(uint64_t address, size_t length, unsigned char *vec) {
    return uipc_result(mincore(pointer(address), length, vec));
}
