/* sigsuspend() with signals pending that its mask lets through. Arguments: one|two|twice. */
#include "common.h"

static void handler(int signum) {
    say("enter", signum);
    say_mask("inside");
    say("leave", signum);
}

int main(int argc, char **argv) {
    const int old[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN}, masked[] = {SIGHUP};
    sigset_t temporary, pending;
    (void)argc;
    install(SIGUSR1, handler, masked, 1, 0);
    install(SIGUSR2, handler, NULL, 0, 0);
    install(SIGRTMIN, handler, NULL, 0, 0);
    change_mask(SIG_SETMASK, old, COUNT(old));
    sigemptyset(&temporary);
    sigaddset(&temporary, SIGTERM);
    if (strcmp(argv[1], "one") == 0) {
        raise(SIGUSR1);
    } else if (strcmp(argv[1], "two") == 0) {
        raise(SIGUSR2);
        raise(SIGUSR1);
    } else {
        queue(SIGRTMIN, 0);
        queue(SIGRTMIN, 1);
    }
    sigsuspend(&temporary);
    say_mask("after");
    sigpending(&pending);
    say("pending", sigismember(&pending, SIGRTMIN));
    return 0;
}
