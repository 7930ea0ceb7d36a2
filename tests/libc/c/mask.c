/* The mask before, inside and after a handler that may change it by itself. Arguments: the flags, whether sa_mask names
 * own|another signal, alone|changing. */
#include "common.h"

static int changing;

static void look(int signum) {
    const int term[] = {SIGTERM}, hup[] = {SIGHUP};
    say_mask("inside");
    if (changing) {
        change_mask(SIG_BLOCK, term, 1);
        change_mask(SIG_UNBLOCK, hup, 1);
        change_mask(SIG_UNBLOCK, &signum, 1);
        say_mask("changed");
    }
}

static void look_closer(int signum, siginfo_t *info, void *context) {
    (void)context;
    say("code", info->si_code == SI_TKILL);
    look(signum);
}

int main(int argc, char **argv) {
    const int flags = (int)strtoul(argv[1], NULL, 10);
    const int hup[] = {SIGHUP}, masked[] = {strcmp(argv[2], "own") == 0 ? SIGUSR1 : SIGUSR2};
    struct sigaction now;
    (void)argc;
    changing = strcmp(argv[3], "changing") == 0;
    change_mask(SIG_BLOCK, hup, 1);
    say_mask("before");
    for (int n = 0; n < 2; n++) {
        if (flags & SA_SIGINFO) {
            install_siginfo(SIGUSR1, look_closer, masked, 1, flags);
        } else {
            install(SIGUSR1, look, masked, 1, flags);
        }
        raise(SIGUSR1);
        say_mask("after");
        sigaction(SIGUSR1, NULL, &now);
        say("default", now.sa_handler == SIG_DFL);
    }
    return 0;
}
