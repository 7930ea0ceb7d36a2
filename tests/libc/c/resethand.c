/* SA_RESETHAND: the action falls back at delivery. Arguments: defer|nodefer, and the number of the signal. */
#include "common.h"

static void handler(int signum) {
    struct sigaction now;
    sigset_t pending;
    say("enter", signum);
    sigaction(signum, NULL, &now);
    say("default", now.sa_handler == SIG_DFL);
    raise(signum);
    sigpending(&pending);
    say("pending", sigismember(&pending, signum));
    say("leave", signum);
}

int main(int argc, char **argv) {
    const int signum = atoi(argv[2]);
    (void)argc;
    install(signum, handler, NULL, 0, (int)SA_RESETHAND | (strcmp(argv[1], "nodefer") == 0 ? SA_NODEFER : 0));
    raise(signum);
    say("survived", -1);
    raise(signum);
    say("end", -1);
    return 0;
}
