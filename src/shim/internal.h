/* What the shim's own files share and Python never sees. */
#ifndef UNIXIPC_INTERNAL_H
#define UNIXIPC_INTERNAL_H

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "shim.h"

#define UIPC_ALL_SIGNALS UINT64_MAX

/* Of functions that a hot call runs through: they lie side by side, for after another process has run each page of
 * code is looked up anew. */
#define UIPC_HOT __attribute__((hot))
/* Of functions that several fronts are made of: see hot.h. */
#define UIPC_INLINE static inline __attribute__((always_inline))

/* The one place where errno is read: `value` is what a call has just returned. */
static inline int uipc_result(int value) { return value < 0 ? -errno : value; }
static inline int64_t uipc_result64(int64_t value) { return value < 0 ? -(int64_t)errno : value; }

/* glibc has taken the first real-time signals for itself. */
static inline bool uipc_is_reserved(int signum) { return signum >= __SIGRTMIN && signum < SIGRTMIN; }

static inline uint64_t uipc_bit(int signum) { return UINT64_C(1) << (signum - 1); }

/* rt_sigprocmask(2) as the kernel has it, with -errno: 64 bits, glibc's reserved signals included. */
int uipc_rt_sigprocmask(int how, const uint64_t *set, uint64_t *oldset);

/* timers.c: what mq_notify(3) takes, too. */
void uipc_sigevent_in(const struct uipc_sigevent *event, struct sigevent *sevp);

/* siginfo_t decoded; `members` tells which parts of it the si_code makes meaningful. No field can bear its man-page
 * name: the C library defines many of them as macros. */
enum {
    UIPC_SI_SENDER = 1 << 0,
    UIPC_SI_CHILD = 1 << 1,
    UIPC_SI_VALUE = 1 << 2,
    UIPC_SI_TIMER_ID = 1 << 3,
    UIPC_SI_ADDR = 1 << 4,
    UIPC_SI_ADDR_LSB = 1 << 5,
    UIPC_SI_BOUNDS = 1 << 6,
    UIPC_SI_PKEY = 1 << 7,
    UIPC_SI_POLL = 1 << 8,
    UIPC_SI_SYS = 1 << 9
};
struct uipc_siginfo {
    int signo;
    int error;
    int code;
    unsigned int members;
    int pid;
    unsigned int uid;
    int status;
    int64_t utime;
    int64_t stime;
    int value_int;
    uint64_t value_ptr;
    int timerid;
    int overrun;
    uint64_t addr;
    int addr_lsb;
    uint64_t lower;
    uint64_t upper;
    unsigned int pkey;
    int64_t band;
    int fd;
    uint64_t call_addr;
    int syscall;
    unsigned int arch;
};
void uipc_siginfo(const siginfo_t *info, struct uipc_siginfo *decoded);

/* What sigqueue(3) sends: a value, from this process. */
void uipc_siginfo_with_value(siginfo_t *info, int signum, int code, union sigval value);

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

/* Whether this signal is the one that wakes a thread: nobody else's, so it must not show. */
bool uipc_is_poke(const siginfo_t *info);
/* What a poke has as its value, and whether this signal can be one: nobody handles it. `persistent`: one that ends also
 * the calls that the kernel would restart. */
void *uipc_poke_cookie(void);
bool uipc_lend_poke(int signum, bool persistent);
/* Whom the handler of pokes tells of a signal of somebody else's; `mask` is what the thread blocks from then on. */
typedef void uipc_stray(const siginfo_t *info, uint64_t *mask);
void uipc_tell_of_strays(uipc_stray *told);

/* alarms.c: pokes that end a call of this thread, for calls that the kernel gives no timeout. The number of the alarm,
 * or -EAGAIN where no timer or signal is left for it. */
int uipc_set_alarm(const struct timespec *deadline, bool restartable);
void uipc_clear_alarm(int number);
/* A call that blocks, and `arguments` for it: what it answers, or -ETIMEDOUT when the time that is left is over. `left`
 * are seconds and nanoseconds, and then what the next call has to wait. */
int64_t uipc_until_alarm(int64_t (*call)(const void *), const void *arguments, bool restartable, int64_t left[2]);

/* The dispatcher was called and there is no record: true where other code saved CPython's handler and put it back in
 * place of ours (`flags` are those of the Python handler). Ours is installed again. */
bool uipc_repair(int signum, unsigned int *flags);
/* The same for a native handler, which gets the signal once more. */
void uipc_repair_native(int signum);
/* signal.signal() has just put CPython's C handler in place. */
void uipc_know_cpython(int signum);

/* Around a blocking call: -ERESTART while records wait; and -EINTR becomes -ERESTART where the first signal that
 * interrupted it has SA_RESTART, and signal(7) lets that restart the call; or where only the delivery itself did. */
int uipc_before_blocking(void);
bool uipc_on_main_thread(void);
int64_t uipc_interrupted(bool restartable);
static inline int64_t uipc_after_blocking(int64_t result, bool restartable) {
    return result == -EINTR ? uipc_interrupted(restartable) : result;
}

/* Take the time since `start`, on the monotonic clock, off the seconds and nanoseconds that are left of a timeout. */
void uipc_shorten(int64_t left[2], const struct timespec *start);

/* uipc_sigaction_set for any native handler: one of handlers.c also gets its argument. */
int uipc_sigaction_native(int signum, uint64_t handler, uint64_t argument, uint64_t mask, unsigned int flags);

/* dl.c: handles are pointers that only a Library may hold; a text is valid until the thread calls the loader again. */
int uipc_dlopen(const char *filename, int flags, void **handle, const char **said);
int uipc_dlsym(void *handle, const char *symbol, const char *version, uint64_t *address, const char **said);
int uipc_dlclose(void *handle, const char **said);
void *uipc_rtld_default(void);

struct uipc_dl_info {
    const char *fname;
    uint64_t fbase;
    const char *sname; /* NULL where no symbol is near */
    uint64_t saddr;
};
bool uipc_dladdr(uint64_t address, struct uipc_dl_info *info);

/* A copy of what the loader told about an object, all in one piece. */
struct uipc_loaded {
    struct uipc_loaded *next;
    struct dl_phdr_info info;
    ElfW(Phdr) phdrs[]; /* and the name */
};
/* 0 or -ENOMEM; the list is to be freed either way. */
int uipc_dl_iterate_phdr(struct uipc_loaded **first);
void uipc_free_loaded(struct uipc_loaded *first);

#endif
