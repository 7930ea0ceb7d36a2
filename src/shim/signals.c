/* signal(7): sending, masks and waits. What a handler meets on its way to Python is in delivery.c. */
#include "hot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int uipc_sigrtmin(void) { return SIGRTMIN; }

int uipc_sigrtmax(void) { return SIGRTMAX; }

int uipc_kill(int pid, int signum) { return uipc_hot_kill(pid, signum); }

int uipc_killpg(int pgrp, int signum) { return uipc_is_reserved(signum) ? -EINVAL : uipc_result(killpg(pgrp, signum)); }

int uipc_tgkill(int tgid, int tid, int signum) {
    return uipc_is_reserved(signum) ? -EINVAL : uipc_result((int)syscall(SYS_tgkill, tgid, tid, signum));
}

int uipc_raise(int signum) { return uipc_tgkill(getpid(), (int)syscall(SYS_gettid), signum); }

int uipc_sigqueue(int pid, int signum, int sival_int) {
    union sigval value;
    memset(&value, 0, sizeof value);
    value.sival_int = sival_int;
    return uipc_hot_sigqueue(pid, signum, value);
}

int uipc_sigqueue_ptr(int pid, int signum, uint64_t sival_ptr) {
    return uipc_hot_sigqueue(pid, signum, (union sigval){.sival_ptr = (void *)(uintptr_t)sival_ptr});
}

/* glibc has pidfd_open(3) since 2.36 only. */
int uipc_pidfd_open(int pid, unsigned int flags) { return uipc_result((int)syscall(SYS_pidfd_open, pid, flags)); }

int uipc_pidfd_send_signal(int pidfd, int signum, const void *siginfo, unsigned int flags) {
    return uipc_is_reserved(signum) ? -EINVAL
                                    : uipc_result((int)syscall(SYS_pidfd_send_signal, pidfd, signum, siginfo, flags));
}

int uipc_sigpending(uint64_t *set) { return uipc_result((int)syscall(SYS_rt_sigpending, set, sizeof *set)); }

#define SECOND INT64_C(1000000000)

/* Take off what has passed since `start`. */
void uipc_shorten(int64_t left[2], const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t passed = (now.tv_sec - start->tv_sec) * SECOND + now.tv_nsec - start->tv_nsec;
    left[0] -= passed / SECOND;
    left[1] -= passed % SECOND;
    if (left[1] < 0) {
        left[1] += SECOND;
        left[0]--;
    }
    if (left[0] < 0) {
        left[0] = left[1] = 0;
    }
}

int uipc_sigwaitinfo(uint64_t set, void *siginfo) { return uipc_hot_sigtimedwait(set, siginfo, NULL); }

int uipc_sigtimedwait(uint64_t set, void *siginfo, int64_t left[2]) {
    const struct timespec timeout = {.tv_sec = (time_t)left[0], .tv_nsec = (long)left[1]};
    const bool waits = left[0] != 0 || left[1] != 0;
    struct timespec start;
    if (waits) {
        clock_gettime(CLOCK_MONOTONIC, &start);
    }
    const int result = uipc_hot_sigtimedwait(set, siginfo, &timeout);
    if (waits && result == -ERESTART) {
        uipc_shorten(left, &start);
    }
    return result;
}

int64_t uipc_alarm(unsigned int seconds) { return (int64_t)alarm(seconds); }

int uipc_abort(void) { abort(); }

/* The C library lends only rt_tgsigqueueinfo a name, as pthread_sigqueue(3), and fills in the siginfo itself. */
int uipc_rt_sigqueueinfo(int tgid, int signum, const void *siginfo) {
    return uipc_is_reserved(signum) ? -EINVAL : uipc_result((int)syscall(SYS_rt_sigqueueinfo, tgid, signum, siginfo));
}

int uipc_rt_tgsigqueueinfo(int tgid, int tid, int signum, const void *siginfo) {
    return uipc_is_reserved(signum) ? -EINVAL
                                    : uipc_result((int)syscall(SYS_rt_tgsigqueueinfo, tgid, tid, signum, siginfo));
}

int uipc_signalfd(int fd, uint64_t mask, int flags) {
    return uipc_result((int)syscall(SYS_signalfd4, fd, &mask, sizeof mask, flags));
}

int64_t uipc_sigstksz(void) {
#ifdef _SC_SIGSTKSZ /* since glibc 2.34: processors differ in how much state the kernel's frame has to hold */
    return (int64_t)sysconf(_SC_SIGSTKSZ);
#else
    return SIGSTKSZ;
#endif
}
