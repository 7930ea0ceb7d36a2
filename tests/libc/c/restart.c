/* read() from an empty pipe is interrupted by SIGRTMIN, or by SIGRTMIN and SIGRTMIN+1 in one go. Arguments: the
 * descriptor that gets a byte before it reads and one for each signal handled, the one to read, and for each signal
 * restart|none. */
#include "common.h"

static int progress;

static void handler(int signum) {
    say("handled", signum - SIGRTMIN);
    if (write(progress, "!", 1) != 1) {
        _exit(100);
    }
}

int main(int argc, char **argv) {
    char byte;
    progress = atoi(argv[1]);
    for (int i = 3; i < argc; i++) {
        install(SIGRTMIN + i - 3, handler, NULL, 0, strcmp(argv[i], "restart") == 0 ? SA_RESTART : 0);
    }
    if (write(progress, "!", 1) != 1) {
        _exit(100);
    }
    const ssize_t result = read(atoi(argv[2]), &byte, 1);
    if (result < 0) {
        say("error", errno);
    } else {
        say("read", byte);
    }
    return 0;
}
