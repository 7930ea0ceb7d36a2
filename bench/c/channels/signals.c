/* Signals: kill(2), sigqueue(3), sigwaitinfo(2), and a handler. They carry no message, so that the size is 0. */
#include <signal.h>
#include <unistd.h>

#include "channels.h"

static volatile sig_atomic_t arrived;

static void handler(int signum) {
    (void)signum;
    arrived = 1;
}

static int block(const struct channel *channel, int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, channel->to);
    return checked(sigprocmask(how, &set, NULL));
}

static int send_signal(struct channel *channel) { return checked(kill(channel->receiver, channel->to)); }

static int queue_signal(struct channel *channel) {
    const union sigval value = {.sival_int = 0};
    return checked(sigqueue(channel->receiver, channel->to, value));
}

static int wait_for_signal(struct channel *channel) {
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, channel->from);
    return checked(sigwaitinfo(&set, &info));
}

/* The signal is blocked but in here; in one process it is not, and the handler has run already. */
static int wait_for_handler(struct channel *channel) {
    (void)channel;
    sigset_t none;
    sigemptyset(&none);
    while (!arrived) {
        sigsuspend(&none);
    }
    arrived = 0;
    return 0;
}

static int enter_and_block(struct channel *channel, pid_t sender, pid_t receiver) {
    (void)sender;
    channel->receiver = receiver;
    return block(channel, SIG_BLOCK);
}

static int enter_and_handle(struct channel *channel, pid_t sender, pid_t receiver) {
    const struct sigaction action = {.sa_handler = handler};
    channel->receiver = receiver;
    if (sigaction(channel->to, &action, NULL) < 0) {
        return -errno;
    }
    return block(channel, sender == receiver ? SIG_UNBLOCK : SIG_BLOCK);
}

static struct channel *of_signal(int signum, int (*send)(struct channel *), int (*receive)(struct channel *),
                                 int (*enter)(struct channel *, pid_t, pid_t)) {
    struct channel *made = channel_new(0);
    if (made != NULL) {
        made->send = send;
        made->receive = receive;
        made->enter = enter;
        made->to = made->from = signum;
    }
    return made;
}

struct channel *sent_signal(size_t size, int signum) {
    (void)size;
    return of_signal(signum, send_signal, wait_for_signal, enter_and_block);
}

struct channel *queued_signal(size_t size, int signum) {
    (void)size;
    return of_signal(signum, queue_signal, wait_for_signal, enter_and_block);
}

struct channel *handled_signal(size_t size, int signum) {
    (void)size;
    return of_signal(signum, send_signal, wait_for_handler, enter_and_handle);
}
