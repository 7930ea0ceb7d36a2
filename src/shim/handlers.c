/* Ready-made signal handlers, each async-signal-safe. A handler finds its argument by the signal that it handles. */
#include "internal.h"

#include <stdatomic.h>
#include <unistd.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a handler must not wait for a lock");

/* What handlers write to. It stays mapped for good, and processes may share it. */
struct counter {
    atomic_ullong value;
    atomic_int fd; /* of a recorder, whose value counts what it lost */
};

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

typedef void c_handler(int, siginfo_t *, void *);
static c_handler *const handlers[UIPC_HANDLERS] = {
    [UIPC_ON_COUNT] = on_count,
    [UIPC_ON_FLAG] = on_flag,
    [UIPC_ON_RECORD] = on_record,
    [UIPC_ON_EXIT] = on_exit_at_once,
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
