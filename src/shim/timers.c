/* timer_create(2) and setitimer(2).
 *
 * The timers of POSIX are the kernel's own calls: the C library's timer_t may be an address that it follows, and the
 * kernel's number is what si_timerid tells. */
#include "internal.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* the man page's name, which older headers lack */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The calls whose times have 64 bits everywhere; 64-bit machines have no others. */
#ifndef SYS_timer_settime64
#define SYS_timer_settime64 SYS_timer_settime
#define SYS_timer_gettime64 SYS_timer_gettime
#endif

_Static_assert(sizeof(struct uipc_itimerspec) == 4 * sizeof(int64_t), "the kernel's struct __kernel_itimerspec");

static struct timeval microseconds_up(int64_t seconds, int64_t nanoseconds) {
    const int64_t microseconds = (nanoseconds + 999) / 1000;
    const bool carry = microseconds == 1000000;
    return (struct timeval){.tv_sec = (time_t)(seconds + carry), .tv_usec = carry ? 0 : (suseconds_t)microseconds};
}

static void from_itimerval(const struct itimerval *from, struct uipc_itimerspec *to) {
    to->interval_sec = from->it_interval.tv_sec;
    to->interval_nsec = from->it_interval.tv_usec * INT64_C(1000);
    to->value_sec = from->it_value.tv_sec;
    to->value_nsec = from->it_value.tv_usec * INT64_C(1000);
}

int uipc_setitimer(int which, const struct uipc_itimerspec *value, struct uipc_itimerspec *old) {
    const struct itimerval next = {.it_interval = microseconds_up(value->interval_sec, value->interval_nsec),
                                   .it_value = microseconds_up(value->value_sec, value->value_nsec)};
    struct itimerval before;
    const int result = uipc_result((int)syscall(SYS_setitimer, which, &next, &before));
    if (result == 0) {
        from_itimerval(&before, old);
    }
    return result;
}

int uipc_getitimer(int which, struct uipc_itimerspec *value) {
    struct itimerval now;
    const int result = uipc_result((int)syscall(SYS_getitimer, which, &now));
    if (result == 0) {
        from_itimerval(&now, value);
    }
    return result;
}

void uipc_sigevent_in(const struct uipc_sigevent *event, struct sigevent *sevp) {
    memset(sevp, 0, sizeof *sevp);
    sevp->sigev_notify = event->notify;
    sevp->sigev_signo = event->signo;
    sevp->sigev_notify_thread_id = event->notify_thread_id;
    if (event->value_is_ptr) {
        sevp->sigev_value.sival_ptr = (void *)(uintptr_t)event->value_ptr;
    } else {
        sevp->sigev_value.sival_int = event->value_int;
    }
}

int uipc_timer_create(int clockid, const struct uipc_sigevent *event, int *timerid) {
    struct sigevent sevp;
    if (event != NULL) {
        uipc_sigevent_in(event, &sevp);
    }
    return uipc_result((int)syscall(SYS_timer_create, clockid, event == NULL ? NULL : &sevp, timerid));
}

int uipc_timer_settime(int timerid, int flags, const struct uipc_itimerspec *value, struct uipc_itimerspec *old) {
    return uipc_result((int)syscall(SYS_timer_settime64, timerid, flags, value, old));
}

int uipc_timer_gettime(int timerid, struct uipc_itimerspec *value) {
    return uipc_result((int)syscall(SYS_timer_gettime64, timerid, value));
}

int uipc_timer_getoverrun(int timerid) { return uipc_result((int)syscall(SYS_timer_getoverrun, timerid)); }

int uipc_timer_delete(int timerid) { return uipc_result((int)syscall(SYS_timer_delete, timerid)); }
