/* A handler gets further instances of its own signal: queued before it runs, or sent from within. Arguments:
 * nodefer|defer, queued|within. */
#include "common.h"

static int within;

static void handler(int signum, siginfo_t *info, void *context) {
    const int value = info->si_value.sival_int;
    (void)context;
    say("enter", value);
    if (within && value < 3) {
        queue(signum, value + 1);
        say("sent", value + 1);
    }
    say("leave", value);
}

int main(int argc, char **argv) {
    const int own[] = {SIGRTMIN};
    (void)argc;
    within = strcmp(argv[2], "within") == 0;
    install_siginfo(SIGRTMIN, handler, NULL, 0, strcmp(argv[1], "nodefer") == 0 ? SA_NODEFER : 0);
    change_mask(SIG_BLOCK, own, 1);
    for (int value = 0; value < (within ? 1 : 5); value++) {
        queue(SIGRTMIN, value);
    }
    change_mask(SIG_UNBLOCK, own, 1);
    say("end", -1);
    return 0;
}
