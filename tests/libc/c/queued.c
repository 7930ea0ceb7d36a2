/* Three standard and three real-time signals wait, and become deliverable in one go. Arguments: empty|full, and who
 * comes in which order: 0-5 are sent to the process by sigqueue(), each with its place as value, a-f to the thread by
 * raise(). */
#include "common.h"

static int six[6];

static int which(int signum) {
    int i = 0;
    while (six[i] != signum) {
        i++;
    }
    return i;
}

static void handler(int signum, siginfo_t *info, void *context) {
    (void)context;
    say("enter", which(signum));
    if (info->si_code == SI_QUEUE) {
        say("value", info->si_value.sival_int);
    }
    say("leave", which(signum));
}

int main(int argc, char **argv) {
    const int all[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2};
    (void)argc;
    memcpy(six, all, sizeof six);
    for (int i = 0; i < 6; i++) {
        install_siginfo(six[i], handler, six, strcmp(argv[1], "full") == 0 ? 6 : 0, 0);
    }
    change_mask(SIG_BLOCK, six, 6);
    for (int place = 0; argv[2][place] != '\0'; place++) {
        const char letter = argv[2][place];
        if (letter >= 'a') {
            raise(six[letter - 'a']);
        } else {
            queue(six[letter - '0'], place);
        }
    }
    change_mask(SIG_UNBLOCK, six, 6);
    say("end", -1);
    return 0;
}
