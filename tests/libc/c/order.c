/* Five real-time signals, each queued `times` times, become deliverable in one go. Arguments: empty|full, times. */
#include "common.h"

static void handler(int signum, siginfo_t *info, void *context) {
    (void)context;
    say("enter", 10 * (signum - SIGRTMIN) + info->si_value.sival_int);
    say("leave", 10 * (signum - SIGRTMIN) + info->si_value.sival_int);
}

int main(int argc, char **argv) {
    int five[5];
    (void)argc;
    for (int i = 0; i < 5; i++) {
        five[i] = SIGRTMIN + i;
    }
    for (int i = 0; i < 5; i++) {
        install_siginfo(five[i], handler, five, strcmp(argv[1], "full") == 0 ? 5 : 0, 0);
    }
    change_mask(SIG_BLOCK, five, 5);
    for (int n = 0; n < atoi(argv[2]); n++) {
        for (int i = 4; i >= 0; i--) {
            queue(five[i], n);
        }
    }
    change_mask(SIG_UNBLOCK, five, 5);
    say("end", -1);
    return 0;
}
