/* The loops of bench/channels/loops.py: each does so many turns, and gives 0 or -errno. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "channels.h"

static int no_preparation(struct channel *channel, pid_t sender, pid_t receiver) {
    (void)channel, (void)sender, (void)receiver;
    return 0;
}

struct channel *channel_new(size_t size) {
    struct channel *made = calloc(1, sizeof *made + size);
    if (made != NULL) {
        made->enter = no_preparation;
        made->size = size;
        made->mtype = 1;
        memset(made->text, 'x', size); /* pages of its own: zeros would all be read from one */
    }
    return made;
}

void channel_free(struct channel *channel) { free(channel); }

char *channel_text(struct channel *channel) { return channel->text; }

int channel_enter(struct channel *channel, pid_t sender, pid_t receiver) {
    return channel->enter(channel, sender, receiver);
}

int send_all(struct channel *channel, int turns) {
    int result = 0;
    for (int i = 0; i < turns && result >= 0; i++) {
        result = channel->send(channel);
    }
    return result;
}

int receive_all(struct channel *channel, int turns) {
    int result = 0;
    for (int i = 0; i < turns && result >= 0; i++) {
        result = channel->receive(channel);
    }
    return result;
}

/* `batch` messages are sent, and then received. */
int send_and_receive(struct channel *channel, int batch, int turns) {
    int result = 0;
    for (int i = 0; i < turns && result >= 0; i += batch) {
        result = send_all(channel, batch);
        if (result >= 0) {
            result = receive_all(channel, batch);
        }
    }
    return result;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* `moments` gets turns + 1 of them: when it began, and when each answer had come. */
int ask(struct channel *there, struct channel *back, int turns, int64_t *moments) {
    moments[0] = now();
    for (int i = 1; i <= turns; i++) {
        int result = there->send(there);
        if (result >= 0) {
            result = back->receive(back);
        }
        if (result < 0) {
            return result;
        }
        moments[i] = now();
    }
    return 0;
}

int answer(struct channel *there, struct channel *back, int turns) {
    int result = 0;
    for (int i = 0; i < turns && result >= 0; i++) {
        result = there->receive(there);
        if (result >= 0) {
            result = back->send(back);
        }
    }
    return result;
}
