/* What the programs here share. Each prints words to stdout; the Python scenario of the same name must print the same.
 */
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const int interesting[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM};

/* Signal-safe, and nothing is lost when a signal ends the process. */
static inline void say(const char *word, int number) {
    char text[64];
    const int length =
        number < 0 ? snprintf(text, sizeof text, "%s\n", word) : snprintf(text, sizeof text, "%s:%d\n", word, number);
    if (write(1, text, (size_t)length) != length) {
        _exit(100);
    }
}

/* The current mask as a word: the numbers of the interesting signals in it. */
static inline void say_mask(const char *word) {
    sigset_t mask;
    char text[64];
    int length = snprintf(text, sizeof text, "%s", word);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (size_t i = 0; i < sizeof interesting / sizeof *interesting; i++) {
        if (sigismember(&mask, interesting[i])) {
            length += snprintf(text + length, sizeof text - (size_t)length, ":%d", interesting[i]);
        }
    }
    say(text, -1);
}

static inline void change_mask(int how, const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) {
        sigaddset(&set, signals[i]);
    }
    if (sigprocmask(how, &set, NULL) != 0) {
        _exit(101);
    }
}

static inline void install_action(int signum, struct sigaction *action, const int *mask, int count, int flags) {
    action->sa_flags |= flags;
    sigemptyset(&action->sa_mask);
    for (int i = 0; i < count; i++) {
        sigaddset(&action->sa_mask, mask[i]);
    }
    if (sigaction(signum, action, NULL) != 0) {
        _exit(102);
    }
}

static inline void install(int signum, void (*handler)(int), const int *mask, int count, int flags) {
    struct sigaction action = {.sa_handler = handler};
    install_action(signum, &action, mask, count, flags);
}

static inline void install_siginfo(int signum, void (*handler)(int, siginfo_t *, void *), const int *mask, int count,
                                   int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    install_action(signum, &action, mask, count, flags);
}

static inline void queue(int signum, int value) {
    if (sigqueue(getpid(), signum, (union sigval){.sival_int = value}) != 0) {
        _exit(103);
    }
}

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

#endif
