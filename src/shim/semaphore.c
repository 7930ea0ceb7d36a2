/* sem_overview(7): POSIX semaphores.
 *
 * A semaphore is memory that anybody who may use it can also overwrite, and the C library ends the process when it
 * finds nonsense where it keeps whether the semaphore is shared. So that is looked at before each use. */
#include "internal.h"

#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS (sizeof(sem_t) / sizeof(unsigned int))

static sem_t *sem_at(uint64_t address) { return (sem_t *)(uintptr_t)address; }

int64_t uipc_sem_size(void) { return (int64_t)sizeof(sem_t); }

int64_t uipc_sem_alignment(void) { return (int64_t)_Alignof(sem_t); }

/* Whether the C library's word for private or shared is there: the one in which two new semaphores differ. */
static bool is_semaphore(const sem_t *sem) {
    static _Atomic(unsigned int) place = UINT_MAX;
    static _Atomic(unsigned int) values[2];
    unsigned int here = place;
    if (here == UINT_MAX) {
        sem_t samples[2];
        unsigned int words[2][WORDS];
        for (int shared = 0; shared < 2; shared++) {
            memset(&samples[shared], 0, sizeof samples[shared]);
            (void)sem_init(&samples[shared], shared, 0);
            memcpy(words[shared], &samples[shared], sizeof words[shared]);
        }
        for (here = 0; here < WORDS - 1 && words[0][here] == words[1][here]; here++) {
        }
        values[0] = words[0][here];
        values[1] = words[1][here];
        place = here;
    }
    unsigned int word;
    memcpy(&word, (const char *)sem + here * sizeof word, sizeof word);
    return word == values[0] || word == values[1];
}

/* Whether the memory has a page, or touching it would raise SIGBUS. Kernels before 5.14 cannot tell. */
static bool has_page(const sem_t *sem) {
#ifdef MADV_POPULATE_READ
    const uint64_t page = (uint64_t)uipc_page_size();
    const int result = uipc_madvise((uint64_t)(uintptr_t)sem / page * page, (size_t)page, MADV_POPULATE_READ);
    return result == 0 || result == -EINVAL;
#else
    (void)sem;
    return true;
#endif
}

/* The C library maps the file of a name without a look at its size. What cannot be opened, sem_open(3) will refuse. */
static int refuse_short(const char *name) {
    char path[PATH_MAX];
    struct stat status;
    const int length = snprintf(path, sizeof path, "/dev/shm/sem.%s", name + strspn(name, "/"));
    const int fd = length < (int)sizeof path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0) {
        return 0;
    }
    const bool is_short = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size < (off_t)sizeof(sem_t);
    (void)close(fd);
    return is_short ? -EINVAL : 0;
}

int uipc_sem_open(const char *name, int oflag, unsigned int mode, unsigned int value, uint64_t *address) {
    if (oflag & ~(O_CREAT | O_EXCL)) { /* O_TRUNC, say: the C library would hand it to open(2) */
        return -EINVAL;
    }
    const int unfit = oflag == (O_CREAT | O_EXCL) ? 0 : refuse_short(name);
    if (unfit < 0) {
        return unfit;
    }
    sem_t *const sem = sem_open(name, oflag, (mode_t)mode, value);
    if (sem == SEM_FAILED) {
        return -errno;
    }
    if (!has_page(sem) || !is_semaphore(sem)) {
        (void)sem_close(sem);
        return -EINVAL;
    }
    *address = (uint64_t)(uintptr_t)sem;
    return 0;
}

int uipc_sem_close(uint64_t address) { return uipc_result(sem_close(sem_at(address))); }

int uipc_sem_unlink(const char *name) { return uipc_result(sem_unlink(name)); }

int uipc_sem_init(uint64_t address, int pshared, unsigned int value) {
    return uipc_result(sem_init(sem_at(address), pshared, value));
}

int uipc_sem_destroy(uint64_t address) { return uipc_result(sem_destroy(sem_at(address))); }

int uipc_sem_trywait(uint64_t address) {
    return is_semaphore(sem_at(address)) ? uipc_result(sem_trywait(sem_at(address))) : -EINVAL;
}

int uipc_sem_wait(uint64_t address) {
    const int busy = is_semaphore(sem_at(address)) ? uipc_before_blocking() : -EINVAL;
    return busy < 0 ? busy : (int)uipc_after_blocking(uipc_result(sem_wait(sem_at(address))), true);
}

int uipc_sem_timedwait(uint64_t address, int64_t sec, int64_t nsec) {
    const struct timespec until = {.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
    const int busy = is_semaphore(sem_at(address)) ? uipc_before_blocking() : -EINVAL;
    return busy < 0 ? busy : (int)uipc_after_blocking(uipc_result(sem_timedwait(sem_at(address), &until)), true);
}

int uipc_sem_clockwait(uint64_t address, int clockid, int64_t sec, int64_t nsec) {
#if __GLIBC_PREREQ(2, 30)
    const struct timespec until = {.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
    const int busy = is_semaphore(sem_at(address)) ? uipc_before_blocking() : -EINVAL;
    return busy < 0 ? busy
                    : (int)uipc_after_blocking(uipc_result(sem_clockwait(sem_at(address), clockid, &until)), true);
#else
    (void)address;
    (void)clockid;
    (void)sec;
    (void)nsec;
    return -ENOSYS;
#endif
}

int uipc_sem_post(uint64_t address) {
    return is_semaphore(sem_at(address)) ? uipc_result(sem_post(sem_at(address))) : -EINVAL;
}

int uipc_sem_getvalue(uint64_t address, int *sval) {
    return is_semaphore(sem_at(address)) ? uipc_result(sem_getvalue(sem_at(address), sval)) : -EINVAL;
}
