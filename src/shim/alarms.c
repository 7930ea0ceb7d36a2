/* An end for calls that the kernel gives no timeout: a timer pokes the thread that waits, from its deadline on and
 * until the call has returned, for the first poke may come just before the call begins.
 *
 * The thread must let the poke through. Where it blocks every signal, it lets one through meanwhile that is not
 * pending; should somebody send that signal, it is sent on, to be pending as it would have been, and another takes its
 * part. */
#include "internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* the C library's headers hide the kernel's name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define FOR_EVER (INT64_C(1) << 40) /* seconds: what the kernel takes for ever */
#define ALARMS 256
#define AGAIN 1000000 /* nanoseconds from one poke to the next */
#define NONE (-1)

/* Owned by the thread whose id stands in it, and by the handler on top of that thread. */
static struct alarm {
    atomic_int tid;
    atomic_int timer;
    atomic_int signum;
    atomic_bool exposed; /* the thread blocked the signal */
    atomic_bool over;
    bool restartable; /* the call: the poke must keep the kernel from doing so */
    struct timespec deadline;
} alarms[ALARMS];

static int this_thread(void) { return (int)syscall(SYS_gettid); }

/* SIGURG, which is ignored where nobody handles it, and then the real-time signals. What ends a restartable call comes
 * behind the first two of them, which the delivery takes for itself and sets as it needs them. */
static int after(int signum) { return signum == SIGURG ? SIGRTMAX : signum - 1; }

static int choose(uint64_t blocked, bool restartable) {
    uint64_t pending = 0;
    syscall(SYS_rt_sigpending, &pending, sizeof pending);
    const uint64_t unfit[] = {blocked, pending};
    for (int i = 0; i < 2; i++) {
        const int first = restartable ? SIGRTMAX - 1 : SIGURG;
        for (int signum = first; signum == SIGURG || signum >= SIGRTMIN; signum = after(signum)) {
            if (!(unfit[i] & uipc_bit(signum)) && uipc_lend_poke(signum, restartable)) {
                return signum;
            }
        }
    }
    return 0;
}

static int arm(struct alarm *alarm, uint64_t *mask) {
    struct sigevent event;
    struct itimerspec from;
    int timer;
    const int signum = choose(*mask, alarm->restartable);
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signum;
    event.sigev_notify_thread_id = atomic_load(&alarm->tid);
    event.sigev_value.sival_ptr = uipc_poke_cookie();
    atomic_store(&alarm->timer, NONE);
    if (signum == 0 || syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) < 0) {
        return -EAGAIN;
    }
    atomic_store(&alarm->signum, signum);
    atomic_store(&alarm->timer, timer);
    atomic_store(&alarm->exposed, *mask & uipc_bit(signum));
    *mask &= ~uipc_bit(signum);
    from.it_value = alarm->deadline;
    from.it_interval = (struct timespec){.tv_nsec = AGAIN};
    syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &from, NULL);
    return 0;
}

static void was_mistaken(const siginfo_t *info, uint64_t *mask) {
    const int tid = this_thread();
    for (int i = 0; i < ALARMS; i++) {
        struct alarm *const alarm = &alarms[i];
        const int signum = info->si_signo;
        if (atomic_load(&alarm->tid) == tid && atomic_load(&alarm->exposed) && atomic_load(&alarm->signum) == signum) {
            *mask |= uipc_bit(signum);
            if (syscall(SYS_rt_sigqueueinfo, getpid(), signum, info) < 0) {
                syscall(SYS_kill, getpid(), signum); /* what kill(2) sent, only the main thread may imitate */
            }
            if (!atomic_load(&alarm->over)) { /* the call may not have begun, and then this signal does not end it */
                syscall(SYS_timer_delete, atomic_load(&alarm->timer));
                arm(alarm, mask);
            }
        }
    }
}

static void give_back(struct alarm *alarm) {
    atomic_store(&alarm->exposed, false); /* or the next owner would be taken to have blocked the signal */
    atomic_store(&alarm->tid, 0);
}

/* A forked child has only the thread that forked, which was not waiting. */
static void forget(void) {
    for (int i = 0; i < ALARMS; i++) {
        give_back(&alarms[i]);
    }
}

int uipc_set_alarm(const struct timespec *deadline, bool restartable) {
    static atomic_bool forgetful;
    const uint64_t everything = UIPC_ALL_SIGNALS;
    uipc_tell_of_strays(was_mistaken);
    if (!atomic_exchange(&forgetful, true)) {
        (void)pthread_atfork(NULL, NULL, forget);
    }
    for (int i = 0; i < ALARMS; i++) {
        int nobody = 0;
        if (atomic_compare_exchange_strong(&alarms[i].tid, &nobody, this_thread())) {
            uint64_t mask;
            alarms[i].deadline = *deadline;
            alarms[i].restartable = restartable;
            atomic_store(&alarms[i].over, false);
            uipc_rt_sigprocmask(SIG_SETMASK, &everything, &mask);
            const int result = arm(&alarms[i], &mask);
            uipc_rt_sigprocmask(SIG_SETMASK, &mask, NULL);
            if (result < 0) {
                give_back(&alarms[i]);
            }
            return result < 0 ? result : i;
        }
    }
    return -EAGAIN;
}

/* A poke that was sent is delivered before timer_delete(2) returns, while it is still let through. */
void uipc_clear_alarm(int number) {
    struct alarm *const alarm = &alarms[number];
    atomic_store(&alarm->over, true);
    if (atomic_load(&alarm->timer) != NONE) {
        syscall(SYS_timer_delete, atomic_load(&alarm->timer));
    }
    if (atomic_load(&alarm->exposed)) {
        const uint64_t bit = uipc_bit(atomic_load(&alarm->signum));
        uipc_rt_sigprocmask(SIG_BLOCK, &bit, NULL);
    }
    give_back(alarm);
}

/* An alarm that comes together with a signal of somebody else's leaves it to the next call to tell of the timeout. */
int64_t uipc_until_alarm(int64_t (*call)(const void *), const void *arguments, bool restartable, int64_t left[2]) {
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    struct timespec deadline = {.tv_sec = start.tv_sec + (time_t)(left[0] < FOR_EVER ? left[0] : FOR_EVER),
                                .tv_nsec = start.tv_nsec + (long)left[1]};
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    const int alarm = uipc_set_alarm(&deadline, restartable);
    if (alarm < 0) {
        return alarm;
    }
    int64_t result = call(arguments);
    uipc_clear_alarm(alarm);
    uipc_shorten(left, &start);
    if (result == -EINTR) {
        result = uipc_after_blocking(result, restartable);
        const bool by_signal = result == -EINTR && uipc_on_main_thread();
        if (left[0] == 0 && left[1] == 0 && !by_signal && !uipc_records_wait()) {
            return -ETIMEDOUT;
        }
    }
    return result;
}
