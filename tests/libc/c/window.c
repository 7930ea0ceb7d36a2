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

/* Another thread gets the signal, and has handled it long before this one blocks. */
int another_thread_signalled_before_read(int signum, int fd, int tid) {
    struct timespec start, now;
    char byte;
    syscall(SYS_tgkill, getpid(), tid, signum);
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 5);
    const ssize_t count = read(fd, &byte, 1);
    return count < 0 ? -errno : (int)count;
}

static volatile int stop;
static volatile int sleeper_tid;

static void *sleep_on(void *unused) {
    (void)unused;
    sleeper_tid = (int)syscall(SYS_gettid);
    while (!stop) {
        poll(NULL, 0, 10);
    }
    return NULL;
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
