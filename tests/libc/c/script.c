/* Four signals whose handlers follow a script: each handler takes the next letter when it begins, and another before it
 * ends. 0-3 queue a signal, u unblocks all four, b blocks them, p tells which are pending, w takes one of these if
 * there is one, s waits in sigsuspend() if it could end, i ignores the first for a moment, r installs all again, . does
 * nothing. Arguments: for each signal the bits of its sa_mask, the bits of those with SA_NODEFER and with SA_RESETHAND,
 * the signals that become deliverable in one go, the script. */
#include "common.h"

static char **arguments;
static const char *script;
static int four[4];

static void handler(int signum);

static int bits(const sigset_t *set) {
    int found = 0;
    for (int i = 0; i < 4; i++) {
        found |= sigismember(set, four[i]) << i;
    }
    return found;
}

static int blocked(void) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    return bits(&mask);
}

static int pending(void) {
    sigset_t set;
    sigpending(&set);
    return bits(&set);
}

static void install_all(void) {
    for (int i = 0; i < 4; i++) {
        int mask[4], count = 0;
        for (int other = 0; other < 4; other++) {
            if (atoi(arguments[i]) >> other & 1) {
                mask[count++] = four[other];
            }
        }
        install(four[i], handler, mask, count,
                (atoi(arguments[4]) >> i & 1 ? SA_NODEFER : 0) | (atoi(arguments[5]) >> i & 1 ? (int)SA_RESETHAND : 0));
    }
}

static void step(void) {
    sigset_t set;
    siginfo_t info;
    const char letter = *script == '\0' ? '.' : *script++;
    switch (letter) {
    case 'u':
        change_mask(SIG_UNBLOCK, four, 4);
        break;
    case 'b':
        change_mask(SIG_BLOCK, four, 4);
        break;
    case 's':
        if (pending() != 0) {
            sigemptyset(&set);
            sigsuspend(&set);
            say("suspended", blocked());
        }
        break;
    case 'p':
        say("pending", pending());
        break;
    case 'w':
        sigpending(&set);
        if (pending() != 0) {
            sigwaitinfo(&set, &info);
            say("took", info.si_signo - SIGRTMIN);
        }
        break;
    case 'i':
        install(four[0], SIG_IGN, NULL, 0, 0);
        say("pending", pending());
        install_all();
        break;
    case 'r':
        install_all();
        break;
    case '.':
        break;
    default:
        queue(four[letter - '0'], 0);
    }
}

static void handler(int signum) {
    say("enter", signum - SIGRTMIN);
    say("mask", blocked());
    step();
    say("middle", blocked());
    step();
    say("leave", signum - SIGRTMIN);
}

int main(int argc, char **argv) {
    (void)argc;
    arguments = argv + 1;
    for (int i = 0; i < 4; i++) {
        four[i] = SIGRTMIN + i;
    }
    install_all();
    change_mask(SIG_BLOCK, four, 4);
    for (const char *letter = arguments[6]; *letter != '\0'; letter++) {
        queue(four[*letter - '0'], 0);
    }
    script = arguments[7];
    change_mask(SIG_UNBLOCK, four, 4);
    say("end", blocked());
    return 0;
}
