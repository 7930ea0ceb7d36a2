/* A handler forks: child and parent both return from it and go on; the parent waits in the handler until the child has
 * ended, so that the words keep their order. Arguments: defer|nodefer, and whether the handler was called by
 * raise|sigsuspend, or on top of another handler, nested. */
#include "common.h"

static int forked;

static void other(int signum) {
    say("enter", signum);
    say_mask("inside");
}

static void handler(int signum) {
    int status;
    sigset_t pending;
    say("enter", signum);
    if (forked) {
        return;
    }
    forked = 1;
    raise(SIGUSR2); /* sa_mask keeps it waiting: for the parent, but not for the child */
    say_mask("before");
    const pid_t pid = fork();
    if (pid != 0) {
        say("ended", waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 99);
    }
    say(pid == 0 ? "child" : "parent", -1);
    say_mask("after");
    sigpending(&pending);
    say("pending", sigismember(&pending, SIGUSR2));
    raise(signum);
    raise(SIGUSR2);
    say("leave", signum);
    if (pid == 0) {
        forked = 2;
    }
}

static void outer(int signum) {
    say("enter", signum);
    raise(SIGUSR1);
    say_mask("returned");
    say("leave", signum);
}

int main(int argc, char **argv) {
    const int hup[] = {SIGHUP}, masked[] = {SIGUSR2}, own[] = {SIGUSR1};
    sigset_t temporary;
    (void)argc;
    install(SIGUSR1, handler, masked, 1, strcmp(argv[1], "nodefer") == 0 ? SA_NODEFER : 0);
    install(SIGUSR2, other, NULL, 0, 0);
    install(SIGTERM, outer, hup, 1, 0);
    if (strcmp(argv[2], "raise") == 0) {
        change_mask(SIG_BLOCK, hup, 1);
        raise(SIGUSR1);
    } else if (strcmp(argv[2], "nested") == 0) {
        raise(SIGTERM);
    } else {
        change_mask(SIG_BLOCK, own, 1);
        raise(SIGUSR1);
        sigemptyset(&temporary);
        sigaddset(&temporary, SIGTERM);
        sigsuspend(&temporary);
    }
    say_mask("end");
    raise(SIGUSR2);
    return forked == 2 ? 7 : 0;
}
