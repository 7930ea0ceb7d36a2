/* The C side of bench/signals.py; SIGRTMIN is blocked. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void queue(pid_t pid, int number) {
    const union sigval value = {.sival_int = number};
    if (sigqueue(pid, SIGRTMIN, value) < 0) {
        abort();
    }
}

static int wait_for_one(const sigset_t *set) {
    siginfo_t info;
    if (sigwaitinfo(set, &info) < 0) {
        abort();
    }
    return info.si_value.sival_int;
}

/* Queue a signal to `pid` and take one, so many times; when `pid` is the caller's, it is the same one. */
void queue_and_wait(pid_t pid, int turns) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    for (int i = 0; i < turns; i++) {
        queue(pid, i);
        wait_for_one(&set);
    }
}

/* Take a signal and send its value back to `pid`, so many times. */
void wait_and_queue(pid_t pid, int turns) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    for (int i = 0; i < turns; i++) {
        queue(pid, wait_for_one(&set));
    }
}
