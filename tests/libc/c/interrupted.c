/* A call that blocks is interrupted by SIGRTMIN, or by SIGRTMIN and SIGRTMIN+1 in one go. Arguments: the call; the pipe
 * or queue that it uses; the descriptor that gets a byte before the call and one for each signal handled; for each
 * signal restart|none. */
#include "common.h"

#include <sys/msg.h>

static int progress;

static void tell(void) {
    if (write(progress, "!", 1) != 1) {
        _exit(100);
    }
}

static void handler(int signum) {
    say("handled", signum - SIGRTMIN);
    tell();
}

static long call(const char *name, int object) {
    struct {
        long type;
        char text[8];
    } message = {1, "message"};
    const struct timespec timeout = {.tv_sec = 1000};
    const int usr1[] = {SIGUSR1};
    sigset_t awaited;
    char byte = 'x';
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR1);
    change_mask(SIG_BLOCK, usr1, 1);
    tell();
    return strcmp(name, "read") == 0           ? read(object, &byte, 1)
           : strcmp(name, "write") == 0        ? write(object, &byte, 1)
           : strcmp(name, "msgrcv") == 0       ? msgrcv(object, &message, sizeof message.text, 0, 0)
           : strcmp(name, "msgsnd") == 0       ? msgsnd(object, &message, sizeof message.text, 0)
           : strcmp(name, "sigtimedwait") == 0 ? sigtimedwait(&awaited, NULL, &timeout)
                                               : sigwaitinfo(&awaited, NULL);
}

int main(int argc, char **argv) {
    progress = atoi(argv[3]);
    for (int i = 4; i < argc; i++) {
        install(SIGRTMIN + i - 4, handler, NULL, 0, strcmp(argv[i], "restart") == 0 ? SA_RESTART : 0);
    }
    const long result = call(argv[1], atoi(argv[2]));
    if (result < 0) {
        say("error", errno);
    } else {
        say("returned", (int)result);
    }
    return 0;
}
