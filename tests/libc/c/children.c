/* What SIGCHLD tells about children: one exits, one is killed, one dumps its core, one is stopped, continued and
 * killed. Arguments: none|nocldstop|nocldwait, and the folder for the core file, or nothing, and then none is dumped.
 */
#include "common.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static pid_t child;
static volatile sig_atomic_t caught;

static void handler(int signum, siginfo_t *info, void *context) {
    (void)signum;
    (void)context;
    say("code", info->si_code);
    say("status", info->si_status);
    say("ours", info->si_pid == child);
    caught = 1;
}

static void await_handler(void) {
    sigset_t nothing;
    sigemptyset(&nothing);
    for (caught = 0; !caught;) {
        sigsuspend(&nothing);
    }
}

static void reap(void) {
    int status;
    if (waitpid(child, &status, 0) == child) {
        say("reaped", WCOREDUMP(status) != 0);
    } else {
        say("nobody", errno);
    }
}

static void start(int signum) {
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (signum == 0) {
            _exit(7);
        }
        raise(signum);
        for (;;) {
            pause();
        }
    }
}

static void change(int signum, int options, int reports) {
    siginfo_t info;
    if (signum != SIGSTOP) {
        kill(child, signum);
    }
    if (reports) {
        await_handler();
    }
    waitid(P_PID, (id_t)child, &info, options);
    say("changed", info.si_code);
}

int main(int argc, char **argv) {
    const int own[] = {SIGCHLD}, ends[] = {0, SIGTERM, SIGQUIT};
    const int flags = strcmp(argv[1], "nocldstop") == 0   ? SA_NOCLDSTOP
                      : strcmp(argv[1], "nocldwait") == 0 ? SA_NOCLDWAIT
                                                          : 0;
    const struct rlimit core = {65536, 65536};
    if (argc > 2 && (setrlimit(RLIMIT_CORE, &core) != 0 || chdir(argv[2]) != 0)) {
        return 104;
    }
    signal(SIGQUIT, SIG_DFL); /* a shell ignores it for what it runs in the background */
    change_mask(SIG_BLOCK, own, 1);
    install_siginfo(SIGCHLD, handler, NULL, 0, flags);
    for (int i = 0; i < (argc > 2 ? 3 : 2); i++) {
        start(ends[i]);
        await_handler();
        reap();
    }
    start(SIGSTOP);
    change(SIGSTOP, WSTOPPED, flags != SA_NOCLDSTOP);
    change(SIGCONT, WCONTINUED, flags != SA_NOCLDSTOP);
    kill(child, SIGKILL);
    await_handler();
    reap();
    return 0;
}
