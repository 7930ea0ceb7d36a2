/* What the shim's own files share and Python never sees. */
#ifndef UNIXIPC_INTERNAL_H
#define UNIXIPC_INTERNAL_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim.h"

#define UIPC_ALL_SIGNALS UINT64_MAX

/* The one place where errno is read: `value` is what a call has just returned. */
static inline int uipc_result(int value) { return value < 0 ? -errno : value; }
static inline int64_t uipc_result64(int64_t value) { return value < 0 ? -(int64_t)errno : value; }

/* glibc has taken the first real-time signals for itself. */
static inline bool uipc_is_reserved(int signum) { return signum >= __SIGRTMIN && signum < SIGRTMIN; }

static inline uint64_t uipc_bit(int signum) { return UINT64_C(1) << (signum - 1); }

/* rt_sigprocmask(2) as the kernel has it, with -errno: 64 bits, glibc's reserved signals included. */
int uipc_rt_sigprocmask(int how, const uint64_t *set, uint64_t *oldset);

/* One delivered signal whose Python handler has not run yet. */
struct uipc_record {
    siginfo_t info; /* as the kernel gave it */
    uint64_t saved; /* the mask that the signal interrupted */
    uint64_t held;  /* what the C handler added to it, so that the kernel goes on queueing */
    uint64_t mask;  /* what the Python handler wants blocked, its own signal included unless SA_NODEFER */
    int signum;
    unsigned int flags;
    bool here;      /* delivered on the main thread, so that saved and held mean its mask */
    bool suspended; /* caught by sigsuspend(2): the handler runs under suspend_mask */
    uint64_t suspend_mask;
};

/* Take the oldest record and put its handler's mask in force: true, or false when there is none. Main thread only. */
bool uipc_take(struct uipc_record *record);
/* After the handler, whether it returned or raised: put the interrupted mask back. */
void uipc_done(void);
/* The handler could not be started: put the record back as the oldest, and its mask as it was. */
void uipc_untake(const struct uipc_record *record);
/* Make CPython call the dispatcher again if records are left. */
void uipc_wake(void);
/* Whether the calling thread is the one that handlers run on and records wait for it. */
bool uipc_records_wait(void);

/* Whether this signal is the one that wakes the main thread: nobody else's, so it must not show. */
bool uipc_is_poke(const siginfo_t *info);

/* The dispatcher was called and there is no record: true where other code saved CPython's handler and put it back in
 * place of ours (`flags` are those of the Python handler). Ours is installed again. */
bool uipc_repair(int signum, unsigned int *flags);

/* Around a blocking call: -ERESTART while records wait; and -EINTR becomes -ERESTART where the first signal that
 * interrupted it has SA_RESTART, and signal(7) lets that restart the call; or where only the delivery itself did. */
int uipc_before_blocking(void);
int64_t uipc_after_blocking(int64_t result, bool restartable);

#endif
