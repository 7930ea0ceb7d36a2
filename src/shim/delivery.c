/* The way of a signal from the kernel to its Python handler; docs/delivery.md tells the whole story.
 *
 * The C handler keeps one record and blocks every managed signal in the context that it returns to, so that the kernel
 * goes on queueing; the dispatcher (cpython_dispatcher.c) takes the record under the mask that sigaction(2) promises
 * the handler, and puts the interrupted mask back after it. Everything here belongs to the main thread and to the C
 * handler on top of it, which runs with all signals blocked; other threads only touch `elsewhere`.
 */
#include "internal.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define RECORDS 64          /* one is nearly always enough: see keep() */
#define ELSEWHERE 1024      /* a power of two */
#define NESTED_FREELY 100   /* handlers on top of each other before the rest is held back */
#define NESTED_AT_MOST 1024 /* the same, where handlers unblock signals themselves */

#define PATIENCE 10 /* milliseconds that a record may wait for the interpreter before it is poked */
#define PATIENCE_AT_MOST 640
#define NO_TIMER (-1)

#ifndef sigev_notify_thread_id /* the C library's headers hide the kernel's name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

#ifndef SA_RESTORER /* the C library's business with the kernel; only the kernel's header names it */
#define SA_RESTORER 0x04000000
#endif

typedef void c_handler(int);

struct slot {
    atomic_uint turn;
    struct uipc_record record;
};

static struct {
    /* What each blocking call looks at, side by side. */
    atomic_bool started;
    pthread_t main_thread;
    atomic_uint count;         /* of records */
    atomic_uint depth;         /* how many handlers are running */
    atomic_int interrupted_by; /* the first signal that interrupted a blocking call: see below */
    atomic_uint produced;      /* of what is elsewhere */
    unsigned int consumed;

    atomic_ullong managed;        /* the signals that have a Python handler */
    _Atomic(uipc_stray *) told;   /* who lends pokes */
    _Atomic(c_handler *) cpython; /* CPython's own C handler: trips the signal, writes the wakeup fd */
    atomic_int main_tid;

    atomic_ullong pokes; /* the signals that our handler below was given */
    atomic_int poke;     /* the one that wakes the main thread out of a blocking call, once one was needed */
    int timer;           /* sends the poke to the main thread; plus one, for 0 is a number of the kernel's */
    int timer_signal;
    unsigned int patience;
    _Atomic int64_t next_look; /* in milliseconds: until then the timer has certainly not sent it */
    struct {
        atomic_ullong mask;
        atomic_uint flags;
        atomic_ullong native; /* the address of the handler, 0 for a Python one and for none */
    } actions[65];

    struct uipc_record records[RECORDS];  /* oldest first */
    unsigned int levels[RECORDS];         /* of each: how many handlers were running */
    uint64_t interrupted[NESTED_AT_MOST]; /* of each running handler: the mask to put back */
    uint64_t wanted[NESTED_AT_MOST];      /* of each: what it and those below it want blocked */
    atomic_uint level;                    /* as depth, but one less from a handler's end until its mask is gone */

    struct slot elsewhere[ELSEWHERE]; /* deliveries on other threads: many producers, one consumer */
    atomic_llong lost;
} state;

/* What uipc_after_blocking makes of EINTR. */
enum { NOTHING_YET, RESTARTING, NOT_RESTARTING, POKE };

_Static_assert(sizeof(struct uipc_pollfd) == sizeof(struct pollfd), "the one is passed as the other");

static const uint64_t everything = UIPC_ALL_SIGNALS;

static bool on_main_thread(void) {
    return atomic_load(&state.started) && pthread_equal(pthread_self(), state.main_thread);
}

bool uipc_on_main_thread(void) { return on_main_thread(); }

static void wake_interpreter(int signum) {
    c_handler *const wake = atomic_load(&state.cpython);
    wake(signum);
}

/* -- in the C handler -- */

static void fill(struct uipc_record *record, int signum, const siginfo_t *info) {
    memcpy(&record->info, info, sizeof *info);
    record->signum = signum;
    record->flags = atomic_load(&state.actions[signum].flags);
    record->mask = atomic_load(&state.actions[signum].mask) | (record->flags & SA_NODEFER ? 0 : uipc_bit(signum));
    record->suspended = false;
}

/* What is blocked from the delivery until the dispatcher takes over. abort(3) counts on a second SIGABRT getting
 * through, and a thread that waits on the poke. */
static uint64_t to_hold(uint64_t mask) {
    return (atomic_load(&state.managed) | mask) & ~(uipc_bit(SIGABRT) | atomic_load(&state.pokes));
}

/* The list can only grow past one where a frame of CPython's own lies under ours and undoes our hold when it returns.
 * Should it ever be full, the kernel's queue takes the signal back, behind its equals, and it is held as well. */
static void keep(int signum, siginfo_t *info, uint64_t *uc_sigmask) {
    const unsigned int count = atomic_load(&state.count);
    const unsigned int level = atomic_load(&state.level);
    uint64_t held = to_hold(0);
    if (count == RECORDS) {
        if (syscall(SYS_rt_tgsigqueueinfo, getpid(), (int)syscall(SYS_gettid), signum, info) < 0) {
            atomic_fetch_add(&state.lost, 1);
        }
    } else {
        struct uipc_record *record = &state.records[count];
        fill(record, signum, info);
        record->here = true;
        /* Between a handler's end and the moment its mask is gone, we stand where the handler was called. */
        record->saved = level < atomic_load(&state.depth) ? state.interrupted[level] : *uc_sigmask;
        record->held = held = to_hold(record->mask);
        state.levels[count] = level;
        atomic_store(&state.count, count + 1);
        if (record->flags & SA_RESETHAND) {
            atomic_fetch_and(&state.managed, ~uipc_bit(signum));
        }
    }
    *uc_sigmask |= held;
}

static void keep_elsewhere(int signum, const siginfo_t *info) {
    unsigned int position = atomic_load(&state.produced);
    for (;;) {
        struct slot *slot = &state.elsewhere[position % ELSEWHERE];
        const int ahead = (int)(atomic_load(&slot->turn) - position);
        if (ahead < 0) {
            atomic_fetch_add(&state.lost, 1);
            return;
        }
        if (ahead == 0 && atomic_compare_exchange_weak(&state.produced, &position, position + 1)) {
            fill(&slot->record, signum, info);
            slot->record.here = false;
            atomic_store(&slot->turn, position + 1);
            return;
        }
        if (ahead > 0) {
            position = atomic_load(&state.produced);
        }
    }
}

/* The first signal settles it; a poke only where there was no other. */
static void note_interruption(int what) {
    int nothing = NOTHING_YET;
    if (!atomic_compare_exchange_strong(&state.interrupted_by, &nothing, what) && nothing == POKE) {
        atomic_store(&state.interrupted_by, what);
    }
}

/* -- the poke: the main thread may be asleep in the kernel, or on its way there, when a record waits for it -- */

static void on_poke(int signum, siginfo_t *info, void *context);

static bool is_poke(int signum, struct sigaction *kernel) {
    return signum != 0 && sigaction(signum, NULL, kernel) == 0 && kernel->sa_sigaction == on_poke;
}

/* `persistent`: whether calls that the poke interrupts end; else the kernel restarts those it can. */
static void install_poke(int signum, bool persistent) {
    struct sigaction kernel;
    memset(&kernel, 0, sizeof kernel);
    kernel.sa_sigaction = on_poke;
    sigfillset(&kernel.sa_mask);
    kernel.sa_flags = SA_SIGINFO | SA_ONSTACK | (persistent ? 0 : SA_RESTART);
    sigaction(signum, &kernel, NULL);
    atomic_fetch_or(&state.pokes, uipc_bit(signum));
}

static bool is_persistent(const struct sigaction *kernel) { return !(kernel->sa_flags & SA_RESTART); }

/* A signal that nobody handles gets our handler; if somebody has taken it since, the next one. 0: none. SIGURG comes
 * first: other code that sets its default again has it ignored, where a poke that is a real-time signal would kill. */
static int find_poke(bool persistent) {
    struct sigaction kernel;
    int signum = atomic_load(&state.poke);
    if (is_poke(signum, &kernel)) {
        if (persistent != is_persistent(&kernel)) {
            install_poke(signum, persistent);
        }
        return signum;
    }
    for (signum = SIGURG; signum == SIGURG || signum >= SIGRTMIN; signum = signum == SIGURG ? SIGRTMAX : signum - 1) {
        if (is_poke(signum, &kernel) || kernel.sa_handler == SIG_DFL) {
            install_poke(signum, persistent);
            atomic_store(&state.poke, signum);
            return signum;
        }
    }
    return 0;
}

bool uipc_lend_poke(int signum, bool persistent) {
    struct sigaction kernel;
    const bool ours = is_poke(signum, &kernel);
    if (persistent && signum == atomic_load(&state.poke)) {
        return false; /* whether it is, changes with every record */
    }
    if (ours ? persistent && !is_persistent(&kernel) : kernel.sa_handler == SIG_DFL) {
        install_poke(signum, persistent);
    }
    return is_poke(signum, &kernel);
}

void uipc_tell_of_strays(uipc_stray *told) { atomic_store(&state.told, told); }

void *uipc_poke_cookie(void) { return &state; }

/* The cookie tells a poke from the same signal of somebody else's: see uipc_is_poke. */
static void poke_main_thread(void) {
    const int signum = find_poke(true);
    if (signum == 0) {
        return;
    }
    siginfo_t info;
    uipc_siginfo_with_value(&info, signum, SI_QUEUE, (union sigval){.sival_ptr = &state});
    if (syscall(SYS_rt_tgsigqueueinfo, info.si_pid, atomic_load(&state.main_tid), signum, &info) < 0) {
        syscall(SYS_tgkill, info.si_pid, atomic_load(&state.main_tid), signum);
    }
}

static bool make_timer(int signum) {
    struct sigevent event;
    if (state.timer != 0 && state.timer_signal == signum) {
        return true;
    }
    if (state.timer != 0) {
        syscall(SYS_timer_delete, state.timer - 1);
        state.timer = 0;
    }
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signum;
    event.sigev_notify_thread_id = atomic_load(&state.main_tid);
    event.sigev_value.sival_ptr = &state;
    int id;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) < 0) {
        return false;
    }
    state.timer = id + 1;
    state.timer_signal = signum;
    return true;
}

/* Not CLOCK_MONOTONIC_COARSE, which lags: a look that has just come would seem to be still to come. */
static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

/* A signal that lands after the interpreter's last look and before the main thread falls asleep wakes nobody, and as
 * all managed signals are then held, no later one does. So look again in a while. The timer is never stopped: that
 * would cost each delivery a system call. `blocked` is what the main thread blocks. */
static void look_again(unsigned int patience, uint64_t blocked, bool persistent) {
    const int signum = find_poke(persistent);
    if (signum == 0 || blocked & uipc_bit(signum) || !make_timer(signum)) {
        return;
    }
    struct itimerspec after;
    memset(&after, 0, sizeof after);
    after.it_value.tv_nsec = (long)patience * 1000000;
    state.patience = patience;
    atomic_store(&state.next_look, now() + patience);
    syscall(SYS_timer_settime, state.timer - 1, 0, &after, NULL);
}

/* CPython's handler, where another thread runs it, makes the interpreter overlook even what the main thread was told of
 * before: so it is told again. */
static void on_poke(int signum, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    uipc_stray *const told = atomic_load(&state.told);
    if (told != NULL && !uipc_is_poke(info)) {
        uint64_t uc_sigmask;
        memcpy(&uc_sigmask, &((ucontext_t *)context)->uc_sigmask, sizeof uc_sigmask);
        told(info, &uc_sigmask);
        memcpy(&((ucontext_t *)context)->uc_sigmask, &uc_sigmask, sizeof uc_sigmask);
    }
    if (on_main_thread()) {
        note_interruption(POKE);
        if (uipc_records_wait()) {
            uipc_wake();
            const unsigned int next = state.patience < PATIENCE ? PATIENCE : 2 * state.patience;
            look_again(next < PATIENCE_AT_MOST ? next : PATIENCE_AT_MOST, 0, true);
        } else {
            struct sigaction kernel;
            if (signum == atomic_load(&state.poke) && is_poke(signum, &kernel) && is_persistent(&kernel)) {
                install_poke(signum, false);
            }
        }
    }
    errno = saved_errno;
}

/* The main thread has all signals blocked and is about to block the poke, which would be left pending, for
 * sigpending(2) to show: no record waits. */
static void stop_looking(uint64_t current, uint64_t next) {
    const int signum = atomic_load(&state.poke);
    const uint64_t poke = signum == 0 ? 0 : uipc_bit(signum);
    struct sigaction kernel;
    if (state.timer != 0 && next & ~current & poke && is_poke(signum, &kernel)) {
        const struct itimerspec never = {0};
        const struct timespec at_once = {0};
        syscall(SYS_timer_settime, state.timer - 1, 0, &never, NULL);
        syscall(SYS_rt_sigtimedwait, &poke, NULL, &at_once, sizeof poke);
        atomic_store(&state.next_look, 0);
    }
}

UIPC_HOT bool uipc_is_poke(const siginfo_t *info) {
    return (info->si_code == SI_TIMER || info->si_code == SI_QUEUE) && info->si_ptr == &state;
}

/* Somebody wants the signal for himself. */
static void give_up_poke(int signum) {
    atomic_fetch_and(&state.pokes, ~uipc_bit(signum));
    if (signum == atomic_load(&state.poke)) {
        atomic_store(&state.poke, 0);
        atomic_store(&state.next_look, 0);
        if (state.timer != 0) {
            syscall(SYS_timer_delete, state.timer - 1);
            state.timer = 0;
        }
    }
}

static void on_signal(int signum, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    if (uipc_is_poke(info)) {
        on_poke(signum, info, context); /* one was under way when this handler was installed */
    } else if (on_main_thread()) {
        /* The kernel's frame has 8 bytes of mask where glibc's type has 128: touch no more than these. */
        uint64_t uc_sigmask;
        memcpy(&uc_sigmask, &((ucontext_t *)context)->uc_sigmask, sizeof uc_sigmask);
        const bool put_off = state.patience > PATIENCE && !uipc_records_wait(); /* for a record that is taken now */
        if (now() >= atomic_load(&state.next_look) || put_off) {
            look_again(PATIENCE, uc_sigmask, false);
        }
        keep(signum, info, &uc_sigmask);
        memcpy(&((ucontext_t *)context)->uc_sigmask, &uc_sigmask, sizeof uc_sigmask);
        note_interruption(atomic_load(&state.actions[signum].flags) & SA_RESTART ? RESTARTING : NOT_RESTARTING);
        wake_interpreter(signum);
    } else {
        keep_elsewhere(signum, info);
        wake_interpreter(signum);
        poke_main_thread();
    }
    errno = saved_errno;
}

/* -- on the main thread -- */

/* The oldest record made since the innermost handler began, or RECORDS: earlier ones wait for that handler to end. */
UIPC_HOT static unsigned int oldest(void) {
    const unsigned int count = atomic_load(&state.count);
    for (unsigned int i = 0; i < count; i++) {
        if (state.levels[i] >= atomic_load(&state.depth)) {
            return i;
        }
    }
    return RECORDS;
}

/* Whether the oldest delivery on another thread may run now: not while a handler runs that wants its signal blocked.
 * The main thread's own mask has no say, for the signal was not sent there. */
UIPC_HOT static bool any_elsewhere(void) {
    if (atomic_load(&state.produced) == state.consumed) {
        return false;
    }
    const struct slot *const slot = &state.elsewhere[state.consumed % ELSEWHERE];
    const unsigned int depth = atomic_load(&state.depth);
    if (atomic_load(&slot->turn) != state.consumed + 1) {
        return false;
    }
    return depth == 0 || (depth < NESTED_FREELY && !(state.wanted[depth - 1] & uipc_bit(slot->record.signum)));
}

UIPC_HOT bool uipc_records_wait(void) {
    return on_main_thread() && atomic_load(&state.depth) < NESTED_AT_MOST && (oldest() != RECORDS || any_elsewhere());
}

/* The current mask less what is blocked by our hold alone. The saved mask says which that is; where it has more than
 * the current one, that was the signal of a frame of CPython's, which has returned since. */
static uint64_t true_mask(const struct uipc_record *record, uint64_t current) {
    return record->here ? current & (record->saved | ~record->held) : current;
}

static bool remove_record(struct uipc_record *record) {
    const unsigned int i = oldest();
    if (i != RECORDS) {
        const unsigned int after = atomic_load(&state.count) - i - 1;
        *record = state.records[i];
        memmove(&state.records[i], &state.records[i + 1], after * sizeof state.records[0]);
        memmove(&state.levels[i], &state.levels[i + 1], after * sizeof state.levels[0]);
        atomic_fetch_sub(&state.count, 1);
        return true;
    }
    if (any_elsewhere()) {
        struct slot *slot = &state.elsewhere[state.consumed % ELSEWHERE];
        *record = slot->record;
        atomic_store(&slot->turn, state.consumed + ELSEWHERE);
        state.consumed++;
        return true;
    }
    return false;
}

bool uipc_take(struct uipc_record *record) {
    uint64_t current;
    if (!uipc_records_wait()) {
        return false;
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, &current);
    if (!remove_record(record)) {
        uipc_rt_sigprocmask(SIG_SETMASK, &current, NULL);
        return false;
    }
    const unsigned int depth = atomic_load(&state.depth);
    const uint64_t interrupted = true_mask(record, current);
    uint64_t mask = (record->suspended ? record->suspend_mask : interrupted) | record->mask;
    if (depth >= NESTED_FREELY) {
        mask |= atomic_load(&state.managed);
    }
    state.interrupted[depth] = interrupted;
    state.wanted[depth] = record->mask | (depth > 0 ? state.wanted[depth - 1] : 0);
    atomic_store(&state.depth, depth + 1);
    atomic_store(&state.level, depth + 1);
    uipc_rt_sigprocmask(SIG_SETMASK, &mask, NULL);
    return true;
}

/* What was recorded at the handler's very end, too late for the interpreter to see, counts as arriving after it. */
void uipc_done(void) {
    const unsigned int outer = atomic_load(&state.depth) - 1;
    atomic_store(&state.level, outer);
    const unsigned int count = atomic_load(&state.count);
    for (unsigned int i = 0; i < count; i++) {
        if (state.levels[i] > outer) {
            state.levels[i] = outer;
            state.records[i].saved = state.interrupted[outer];
        }
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &state.interrupted[outer], NULL);
    atomic_store(&state.depth, outer);
}

void uipc_untake(const struct uipc_record *record) {
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, NULL);
    const unsigned int depth = atomic_load(&state.depth) - 1;
    const unsigned int count = atomic_load(&state.count);
    uint64_t mask = state.interrupted[depth];
    atomic_store(&state.depth, depth);
    atomic_store(&state.level, depth);
    if (count == RECORDS) {
        atomic_fetch_add(&state.lost, 1);
    } else {
        memmove(&state.records[1], &state.records[0], count * sizeof state.records[0]);
        memmove(&state.levels[1], &state.levels[0], count * sizeof state.levels[0]);
        state.records[0] = *record;
        state.records[0].here = true;
        state.records[0].saved = mask;
        state.records[0].held = to_hold(record->mask);
        state.levels[0] = depth;
        atomic_store(&state.count, count + 1);
        mask |= state.records[0].held;
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &mask, NULL);
}

void uipc_wake(void) {
    if (!uipc_records_wait()) {
        return;
    }
    const unsigned int i = oldest();
    const int signum =
        i != RECORDS ? state.records[i].signum : state.elsewhere[state.consumed % ELSEWHERE].record.signum;
    wake_interpreter(signum);
}

int64_t uipc_signals_lost(void) { return atomic_load(&state.lost); }

int uipc_rt_sigprocmask(int how, const uint64_t *set, uint64_t *oldset) {
    return uipc_result((int)syscall(SYS_rt_sigprocmask, how, set, oldset, sizeof *set));
}

/* -- the calls that see or change the mask: held bits must never show in them -- */

int uipc_sigprocmask(int how, const uint64_t *set, uint64_t *oldset) {
    if (!on_main_thread()) {
        return uipc_rt_sigprocmask(how, set, oldset);
    }
    uint64_t current;
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, &current);
    uint64_t next = current;
    int result = uipc_records_wait() ? -ERESTART : 0;
    if (result == 0 && set != NULL) {
        switch (how) {
        case SIG_BLOCK:
            next = current | *set;
            break;
        case SIG_UNBLOCK:
            next = current & ~*set;
            break;
        case SIG_SETMASK:
            next = *set;
            break;
        default:
            result = -EINVAL;
        }
    }
    if (result == 0 && oldset != NULL) {
        *oldset = current;
    }
    stop_looking(current, next);
    uipc_rt_sigprocmask(SIG_SETMASK, &next, NULL);
    return result;
}

/* What a wait under a temporary mask waits for besides signals. */
struct wait {
    struct pollfd *fds; /* NULL: for nothing */
    nfds_t count;
    struct timespec *timeout; /* the kernel leaves in it what is left */
};

static int call(const struct wait *wait, const uint64_t *mask) {
    return uipc_result(wait == NULL
                           ? (int)syscall(SYS_rt_sigsuspend, mask, sizeof *mask)
                           : (int)syscall(SYS_ppoll, wait->fds, wait->count, wait->timeout, mask, sizeof *mask));
}

/* Everything is blocked; `before` is the mask to come back to. A poke that nothing stands behind ends no wait. */
static int suspend(const struct wait *wait, uint64_t mask, uint64_t before) {
    int result;
    do {
        atomic_store(&state.interrupted_by, NOTHING_YET);
        result = call(wait, &mask);
    } while (result == -EINTR && atomic_load(&state.interrupted_by) == POKE && !uipc_records_wait());
    const unsigned int i = oldest();
    if (i != RECORDS) {
        /* The handler runs under the temporary mask; the one that was here before the call comes back after it. */
        state.records[i].suspended = true;
        state.records[i].suspend_mask = mask;
        state.records[i].saved = before;
        before |= state.records[i].held;
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* `mask` NULL: the present one. */
static int wait_under(const struct wait *wait, const uint64_t *mask) {
    uint64_t before;
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, &before);
    if (uipc_records_wait()) {
        uipc_rt_sigprocmask(SIG_SETMASK, &before, NULL);
        return -ERESTART;
    }
    return suspend(wait, mask == NULL ? before : *mask, before);
}

int uipc_ppoll(struct uipc_pollfd *fds, unsigned int count, int64_t left[2], const uint64_t *mask) {
    struct timespec timeout = {0};
    struct wait wait = {.fds = (struct pollfd *)(void *)fds, .count = count};
    if (left != NULL) {
        timeout.tv_sec = (time_t)left[0];
        timeout.tv_nsec = (long)left[1];
        wait.timeout = &timeout;
    }
    const int result = on_main_thread() ? wait_under(&wait, mask) : call(&wait, mask);
    if (left != NULL) {
        left[0] = timeout.tv_sec;
        left[1] = timeout.tv_nsec;
    }
    return result;
}

int uipc_sigsuspend(uint64_t mask) { return on_main_thread() ? wait_under(NULL, &mask) : call(NULL, &mask); }

/* A signal that was recorded between the last look of the interpreter and this call counts as caught by it. */
int uipc_pause(void) {
    uint64_t before;
    if (!on_main_thread()) {
        uipc_rt_sigprocmask(SIG_BLOCK, NULL, &before);
        return uipc_sigsuspend(before);
    }
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, &before);
    if (uipc_records_wait()) {
        uipc_rt_sigprocmask(SIG_SETMASK, &before, NULL);
        return -EINTR;
    }
    return suspend(NULL, before, before);
}

UIPC_HOT int uipc_before_blocking(void) {
    if (!on_main_thread()) {
        return 0;
    }
    /* Only this thread and handlers on top of it look: they need no fence of the processor's. */
    atomic_store_explicit(&state.interrupted_by, NOTHING_YET, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return uipc_records_wait() ? -ERESTART : 0;
}

int64_t uipc_interrupted(bool restartable) {
    if (!on_main_thread()) {
        return -EINTR;
    }
    const int by = atomic_load(&state.interrupted_by);
    return by == POKE || (by == RESTARTING && restartable) ? -ERESTART : -EINTR;
}

/* -- sigaction(2) -- */

uint64_t uipc_sig_dfl(void) { return (uint64_t)(uintptr_t)SIG_DFL; }

uint64_t uipc_sig_ign(void) { return (uint64_t)(uintptr_t)SIG_IGN; }

static bool is_signal(int signum) { return signum >= 1 && signum <= 64 && !uipc_is_reserved(signum); }

/* What our handler was installed with, which the kernel does not know of a Python handler or of a displaced one. */
int uipc_sigaction_ours(int signum, struct uipc_action *action) {
    if (!is_signal(signum)) {
        return -EINVAL;
    }
    action->handler = atomic_load(&state.actions[signum].native);
    action->mask = atomic_load(&state.actions[signum].mask);
    action->flags = atomic_load(&state.actions[signum].flags);
    return 0;
}

/* SA_RESTART stays out of the kernel, or the handler would not run before the interrupted call ends; SA_NODEFER and the
 * mask are ours to keep. */
static unsigned int kernel_flags(int signum) {
    const unsigned int flags = atomic_load(&state.actions[signum].flags);
    return SA_SIGINFO | SA_ONSTACK | (flags & (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESETHAND));
}

int uipc_sigaction_get(int signum, struct uipc_action *action) {
    struct sigaction kernel;
    if (!is_signal(signum)) {
        return -EINVAL;
    }
    const int result = uipc_result(sigaction(signum, NULL, &kernel));
    if (result < 0) {
        return result;
    }
    if (kernel.sa_sigaction == on_poke) {
        memset(&kernel, 0, sizeof kernel);
    }
    action->ours = kernel.sa_sigaction == on_signal;
    action->cpythons = kernel.sa_handler != SIG_DFL && kernel.sa_handler == atomic_load(&state.cpython);
    action->handler = (uint64_t)(uintptr_t)kernel.sa_handler;
    action->flags = (unsigned int)kernel.sa_flags & ~(unsigned int)SA_RESTORER;
    if (kernel.sa_handler == SIG_DFL && action->flags == kernel_flags(signum) && action->flags & SA_RESETHAND) {
        return uipc_sigaction_ours(signum, action); /* spent: the kernel leaves mask and flags as they were */
    }
    memcpy(&action->mask, &kernel.sa_mask, sizeof action->mask);
    return 0;
}

int uipc_sigaction_set(int signum, uint64_t handler, uint64_t mask, unsigned int flags) {
    struct sigaction kernel;
    if (!is_signal(signum)) {
        return -EINVAL;
    }
    give_up_poke(signum);
    memset(&kernel, 0, sizeof kernel);
    kernel.sa_handler = (c_handler *)(uintptr_t)handler;
    memcpy(&kernel.sa_mask, &mask, sizeof mask);
    kernel.sa_flags = (int)flags;
    const int result = uipc_result(sigaction(signum, &kernel, NULL));
    if (result == 0) {
        atomic_fetch_and(&state.managed, ~uipc_bit(signum));
        atomic_store(&state.actions[signum].native, 0);
    }
    if (result == 0 && kernel.sa_handler != SIG_DFL && kernel.sa_handler != SIG_IGN) {
        atomic_store(&state.actions[signum].mask, mask);
        atomic_store(&state.actions[signum].flags, flags);
        atomic_store(&state.actions[signum].native, handler);
    }
    return result;
}

/* A child starts with an empty queue and the true mask; the parent keeps its records. */
static void in_child(void) {
    uint64_t mask;
    uipc_rt_sigprocmask(SIG_SETMASK, &everything, &mask);
    if (!pthread_equal(pthread_self(), state.main_thread)) {
        state.main_thread = pthread_self();
        atomic_store(&state.depth, 0);
        atomic_store(&state.level, 0);
    } else if (oldest() != RECORDS) {
        mask = true_mask(&state.records[oldest()], mask);
    }
    atomic_store(&state.main_tid, (int)syscall(SYS_gettid));
    state.timer = 0; /* a child has none of its parent's */
    atomic_store(&state.next_look, 0);
    atomic_store(&state.count, 0);
    for (unsigned int i = 0; i < ELSEWHERE; i++) {
        atomic_store(&state.elsewhere[i].turn, i);
    }
    atomic_store(&state.produced, 0);
    state.consumed = 0;
    atomic_store(&state.lost, 0);
    uipc_rt_sigprocmask(SIG_SETMASK, &mask, NULL);
}

static int start(void) {
    if (!atomic_load(&state.started)) {
        const int failed = pthread_atfork(NULL, NULL, in_child);
        if (failed != 0) {
            return -failed;
        }
        for (unsigned int i = 0; i < ELSEWHERE; i++) {
            atomic_store(&state.elsewhere[i].turn, i);
        }
        state.main_thread = pthread_self();
        atomic_store(&state.main_tid, (int)syscall(SYS_gettid));
        atomic_store(&state.started, true);
    }
    return 0;
}

/* The full mask keeps a second delivery from landing on top of ours. `spent`: as the kernel leaves SA_RESETHAND. */
static int install(int signum, bool spent) {
    struct sigaction kernel;
    memset(&kernel, 0, sizeof kernel);
    if (!spent) {
        kernel.sa_sigaction = on_signal;
    }
    sigfillset(&kernel.sa_mask);
    kernel.sa_flags = (int)kernel_flags(signum);
    return uipc_result(sigaction(signum, &kernel, NULL));
}

void uipc_know_cpython(int signum) {
    struct sigaction kernel;
    if (is_signal(signum) && sigaction(signum, NULL, &kernel) == 0 && kernel.sa_handler != SIG_DFL &&
        kernel.sa_handler != SIG_IGN) {
        atomic_store(&state.cpython, kernel.sa_handler);
    }
}

/* Whether the kernel's action is CPython's handler, which only trips the signal. */
static bool is_cpythons(int signum) {
    struct uipc_action action;
    return uipc_sigaction_get(signum, &action) == 0 && action.cpythons;
}

int uipc_sigaction_python(int signum, uint64_t mask, unsigned int flags) {
    const int started = is_cpythons(signum) ? start() : -EINVAL;
    if (started < 0) {
        return started;
    }
    give_up_poke(signum);
    atomic_store(&state.actions[signum].mask, mask);
    atomic_store(&state.actions[signum].flags, flags);
    atomic_store(&state.actions[signum].native, 0);
    atomic_fetch_or(&state.managed, uipc_bit(signum));
    return install(signum, false);
}

bool uipc_repair(int signum, unsigned int *flags) {
    if (!is_signal(signum) || !(atomic_load(&state.managed) & uipc_bit(signum)) || !is_cpythons(signum)) {
        return false;
    }
    *flags = atomic_load(&state.actions[signum].flags);
    const bool spent = *flags & SA_RESETHAND;
    if (spent) {
        atomic_fetch_and(&state.managed, ~uipc_bit(signum));
    }
    return install(signum, spent) == 0;
}

void uipc_repair_native(int signum) {
    if (is_signal(signum) && is_cpythons(signum) && atomic_load(&state.actions[signum].native) != 0) {
        uipc_sigaction_set(signum, atomic_load(&state.actions[signum].native), atomic_load(&state.actions[signum].mask),
                           atomic_load(&state.actions[signum].flags));
        syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), signum);
    }
}
