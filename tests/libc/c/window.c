/* What a library in C does while Python cannot look: get a signal, and then block. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <errno.h>

int signalled_before_read(int signum, int fd) {
    char byte;
    raise(signum);
    const ssize_t count = read(fd, &byte, 1);
    return count < 0 ? -errno : (int)count;
}

int signalled_before_poll(int signum, int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    raise(signum);
    const int count = poll(&ready, 1, -1);
    return count < 0 ? -errno : count;
}

static volatile int stop;
static volatile int sleeper_tid;
static volatile int interruptions;

/* It lets signals in only where it sleeps, and so knows of each. */
static void *sleep_on(void *unused) {
    const struct timespec shortly = {.tv_nsec = 10000000};
    sigset_t every, before;
    (void)unused;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    sleeper_tid = (int)syscall(SYS_gettid);
    while (!stop) {
        if (ppoll(NULL, 0, &shortly, &before) < 0) {
            interruptions++;
        }
    }
    return NULL;
}

/* The sleeper gets the signal, and has handled it before this thread blocks. */
int sleeper_signalled_before_read(int signum, int fd) {
    const int before = interruptions;
    char byte;
    syscall(SYS_tgkill, getpid(), sleeper_tid, signum);
    while (interruptions == before) {
    }
    const ssize_t count = read(fd, &byte, 1);
    return count < 0 ? -errno : (int)count;
}

static pthread_t sleeper;

/* A thread that never wants the interpreter. */
int start_sleeper(void) {
    stop = sleeper_tid = 0;
    pthread_create(&sleeper, NULL, sleep_on, NULL);
    while (sleeper_tid == 0) {
        poll(NULL, 0, 1);
    }
    return sleeper_tid;
}

void stop_sleeper(void) {
    stop = 1;
    pthread_join(sleeper, NULL);
}
