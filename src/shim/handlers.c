/* Ready-made signal handlers, each async-signal-safe. A handler finds its argument by the signal that it handles. */
#include "internal.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a handler must not wait for a lock");

/* What handlers write to. It stays mapped for good, and processes may share it. */
struct counter {
    atomic_ullong value;
    atomic_int fd;        /* of a recorder, whose value counts what it lost */
    atomic_ullong device; /* of a crash handler: the file that fd meant, */
    atomic_ullong inode;  /* whose number may mean another one by then */
};

/* What a crash handler writes; `mark` tells it from text that is written between. */
struct record {
    uint64_t mark;
    int pid;
    int tid;
    siginfo_t info;
};
_Static_assert(sizeof(struct record) == 16 + UIPC_SIGINFO_SIZE, "it is read as it is written");

/* What a crash handler took the place of, by signal. */
static struct {
    atomic_ullong handler;
    atomic_ullong mask;
    atomic_uint flags;
} displaced[_NSIG];

/* A table for each kind: while a handler of one kind takes the place of another's, a thread may still be in the old
 * one, and must not see an argument of the new. */
static atomic_ullong arguments[UIPC_HANDLERS][_NSIG];

static struct counter *counter_at(uint64_t address) { return (struct counter *)(uintptr_t)address; }

/* NULL where somebody installed the handler by its bare address. */
static struct counter *counter_of(int kind, int signum) { return counter_at(atomic_load(&arguments[kind][signum])); }

static void on_count(int signum, siginfo_t *info, void *context) {
    struct counter *const counter = counter_of(UIPC_ON_COUNT, signum);
    (void)info;
    (void)context;
    if (counter != NULL) {
        atomic_fetch_add(&counter->value, 1);
    }
}

static void on_flag(int signum, siginfo_t *info, void *context) {
    struct counter *const counter = counter_of(UIPC_ON_FLAG, signum);
    (void)info;
    (void)context;
    if (counter != NULL) {
        atomic_store(&counter->value, (unsigned long long)signum);
    }
}

static void on_record(int signum, siginfo_t *info, void *context) {
    struct counter *const counter = counter_of(UIPC_ON_RECORD, signum);
    const int saved_errno = errno;
    (void)context;
    if (counter != NULL) {
        ssize_t written;
        do { /* another signal may interrupt a write that waits for room: nothing was written then */
            written = write(atomic_load(&counter->fd), info, sizeof *info);
        } while (written < 0 && errno == EINTR);
        if (written != (ssize_t)sizeof *info) {
            atomic_fetch_add(&counter->value, 1);
        }
    }
    errno = saved_errno;
}

static void on_exit_at_once(int signum, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    _exit((int)atomic_load(&arguments[UIPC_ON_EXIT][signum]));
}

static bool is_same_file(const struct counter *counter) {
    struct stat now;
    return fstat(atomic_load(&counter->fd), &now) == 0 && now.st_dev == atomic_load(&counter->device) &&
           now.st_ino == atomic_load(&counter->inode);
}

/* Whether the instruction that was interrupted will fault once more. */
static bool strikes_again(const siginfo_t *info) {
    switch (info->si_signo) {
    case SIGSEGV:
    case SIGFPE:
    case SIGILL:
        return info->si_code > 0;
    case SIGBUS:
        return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
    default:
        return false;
    }
}

/* Where nothing can be written, what was there before is not asked: it may write to the same descriptor. */
static void put_back(int signum, bool written) {
    const uint64_t mask = atomic_load(&displaced[signum].mask);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (written) {
        action.sa_sigaction = (void (*)(int, siginfo_t *, void *))(uintptr_t)atomic_load(&displaced[signum].handler);
        action.sa_flags = (int)atomic_load(&displaced[signum].flags);
        memcpy(&action.sa_mask, &mask, sizeof mask);
    }
    sigaction(signum, &action, NULL);
}

static void on_crash(int signum, siginfo_t *info, void *context) {
    struct counter *const counter = counter_of(UIPC_ON_CRASH, signum);
    const int saved_errno = errno;
    const pid_t pid = getpid();
    const pid_t tid = (pid_t)syscall(SYS_gettid);
    const struct record record = {.mark = uipc_crash_mark(), .pid = pid, .tid = tid, .info = *info};
    bool written = false;
    (void)context;
    if (counter != NULL) {
        written =
            is_same_file(counter) && write(atomic_load(&counter->fd), &record, sizeof record) == (ssize_t)sizeof record;
        if (!written) {
            atomic_fetch_add(&counter->value, 1);
        }
    }
    put_back(signum, written);
    if (!strikes_again(info) && syscall(SYS_rt_tgsigqueueinfo, pid, tid, signum, info) < 0) {
        syscall(SYS_tgkill, pid, tid, signum);
    }
    errno = saved_errno;
}

typedef void c_handler(int, siginfo_t *, void *);
static c_handler *const handlers[UIPC_HANDLERS] = {
    [UIPC_ON_COUNT] = on_count,       [UIPC_ON_FLAG] = on_flag,   [UIPC_ON_RECORD] = on_record,
    [UIPC_ON_EXIT] = on_exit_at_once, [UIPC_ON_CRASH] = on_crash,
};

uint64_t uipc_handler(int kind) { return kind >= 0 && kind < UIPC_HANDLERS ? (uint64_t)(uintptr_t)handlers[kind] : 0; }

static atomic_ullong *place_of_argument(int signum, uint64_t handler) {
    for (int kind = 0; signum > 0 && signum < _NSIG && kind < UIPC_HANDLERS; kind++) {
        if (handler == uipc_handler(kind)) {
            return &arguments[kind][signum];
        }
    }
    return NULL;
}

uint64_t uipc_handler_argument(int signum, uint64_t handler) {
    const atomic_ullong *const place = place_of_argument(signum, handler);
    return place == NULL ? 0 : atomic_load(place);
}

/* The argument goes first: on another thread the handler can run as soon as it is installed. */
int uipc_sigaction_native(int signum, uint64_t handler, uint64_t argument, uint64_t mask, unsigned int flags) {
    atomic_ullong *const place = place_of_argument(signum, handler);
    const uint64_t before = place == NULL ? 0 : atomic_exchange(place, argument);
    const int result = uipc_sigaction_set(signum, handler, mask, flags);
    if (result < 0 && place != NULL) {
        atomic_store(place, before);
    }
    return result;
}

uint64_t uipc_counter_value(uint64_t address) { return atomic_load(&counter_at(address)->value); }

uint64_t uipc_counter_take(uint64_t address) { return atomic_exchange(&counter_at(address)->value, 0); }

int uipc_counter_record(uint64_t address, int fd) {
    atomic_store(&counter_at(address)->fd, fd);
    return 0;
}

/* NUL first, which no text has. */
uint64_t uipc_crash_mark(void) {
    uint64_t mark;
    memcpy(&mark, "\0crash:\n", sizeof mark);
    return mark;
}

int uipc_counter_crash(uint64_t address, int fd) {
    struct counter *const counter = counter_at(address);
    struct stat file;
    const int result = uipc_result(fstat(fd, &file));
    if (result == 0) {
        atomic_store(&counter->device, file.st_dev);
        atomic_store(&counter->inode, file.st_ino);
        atomic_store(&counter->fd, fd);
    }
    return result;
}

/* Before the handler is installed: between the two, `signal.signal` puts CPython's own in place. */
int uipc_crash_displaces(int signum) {
    struct uipc_action action;
    const int result = uipc_sigaction_get(signum, &action);
    if (result < 0 || action.handler == uipc_handler(UIPC_ON_CRASH)) {
        return result;
    }
    if (action.ours) {
        return -EBUSY;
    }
    atomic_store(&displaced[signum].handler, action.handler);
    atomic_store(&displaced[signum].mask, action.mask);
    atomic_store(&displaced[signum].flags, action.flags);
    return 0;
}

int uipc_crash_watch(uint64_t signals, uint64_t argument) {
    for (int signum = 1; signum < _NSIG; signum++) {
        if (signals & uipc_bit(signum)) {
            int result = uipc_crash_displaces(signum);
            if (result == 0) {
                const uint64_t handler = uipc_handler(UIPC_ON_CRASH);
                result = uipc_sigaction_native(signum, handler, argument, 0, SA_SIGINFO | SA_ONSTACK);
            }
            if (result < 0) {
                return result;
            }
        }
    }
    return 0;
}

int uipc_crash_unwatched(uint64_t signals, uint64_t over, uint64_t *unwatched) {
    struct sigaction action;
    *unwatched = 0;
    for (int signum = 1; signum < _NSIG; signum++) {
        if (signals & uipc_bit(signum) && sigaction(signum, NULL, &action) == 0) {
            const uint64_t handler = (uint64_t)(uintptr_t)action.sa_handler;
            if (action.sa_handler == SIG_DFL || handler == over || handler == uipc_handler(UIPC_ON_CRASH)) {
                *unwatched |= uipc_bit(signum);
            }
        }
    }
    return 0;
}
