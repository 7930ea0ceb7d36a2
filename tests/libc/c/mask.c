/* The mask before, inside and after a handler that may change it by itself. Arguments: defer|nodefer,
 * alone|changing. */
#include "common.h"

static int changing;

static void handler(int signum) {
    const int term[] = {SIGTERM}, hup[] = {SIGHUP};
    say_mask("inside");
    if (changing) {
        change_mask(SIG_BLOCK, term, 1);
        change_mask(SIG_UNBLOCK, hup, 1);
        change_mask(SIG_UNBLOCK, &signum, 1);
        say_mask("changed");
    }
}

int main(int argc, char **argv) {
    const int hup[] = {SIGHUP}, masked[] = {SIGUSR2};
    (void)argc;
    changing = strcmp(argv[2], "changing") == 0;
    install(SIGUSR1, handler, masked, 1, strcmp(argv[1], "nodefer") == 0 ? SA_NODEFER : 0);
    change_mask(SIG_BLOCK, hup, 1);
    say_mask("before");
    for (int n = 0; n < 2; n++) {
        raise(SIGUSR1);
        say_mask("after");
    }
    return 0;
}
