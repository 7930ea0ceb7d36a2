/* A library to load: signal handlers that note how they were called, and symbols of other kinds. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct {
    atomic_ulong calls;
    atomic_ulong signum;
    atomic_ulong mask;  /* what was blocked while the handler ran */
    atomic_ulong value; /* of the siginfo, where there was one */
} noted;

int closing = -1; /* a descriptor that the destructor writes to */
int number = 42;
__asm__(".globl at_zero\n.set at_zero, 0");

static void note(int signum, int value) {
    sigset_t mask;
    unsigned long bits;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    memcpy(&bits, &mask, sizeof bits);
    atomic_fetch_add(&noted.calls, 1);
    atomic_store(&noted.signum, (unsigned long)signum);
    atomic_store(&noted.mask, bits);
    atomic_store(&noted.value, (unsigned long)value);
}

void on_signal(int signum) { note(signum, -1); }

void on_signal_with_info(int signum, siginfo_t *info, void *context) {
    (void)context;
    note(signum, info->si_value.sival_int);
}

__attribute__((destructor)) static void say_goodbye(void) {
    if (closing >= 0 && write(closing, "bye", 3) != 3) {
        _exit(100);
    }
}
