/* What is written and read: pipes, eventfd(2), files; and sockets, which are sent and received. */
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channels.h"

static int write_text(struct channel *channel) {
    size_t written = 0;
    while (written < channel->size) {
        const ssize_t result = write(channel->to, channel->text + written, channel->size - written);
        if (result < 0) {
            return -errno;
        }
        written += (size_t)result;
    }
    return 0;
}

static int write_and_sync(struct channel *channel) {
    const int result = write_text(channel);
    return result < 0 ? result : checked(fdatasync(channel->to));
}

/* At the end of a file more is to come. A pipe has no end here: every process has both sides of it. */
static int read_text(struct channel *channel) {
    size_t came = 0;
    while (came < channel->size) {
        const ssize_t result = read(channel->from, channel->text + came, channel->size - came);
        if (result < 0) {
            return -errno;
        }
        if (result == 0) {
            sched_yield();
        }
        came += (size_t)result;
    }
    return 0;
}

static int send_text(struct channel *channel) {
    return checked(send(channel->to, channel->text, channel->size, MSG_NOSIGNAL));
}

static int receive_text(struct channel *channel) {
    return checked(recv(channel->from, channel->text, channel->size, MSG_WAITALL));
}

static struct channel *between(size_t size, int to, int from, int (*send)(struct channel *),
                               int (*receive)(struct channel *)) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = send;
        made->receive = receive;
        made->to = to;
        made->from = from;
    }
    return made;
}

struct channel *written(size_t size, int to, int from) { return between(size, to, from, write_text, read_text); }

struct channel *synced(size_t size, int to, int from) { return between(size, to, from, write_and_sync, read_text); }

struct channel *socket_pair(size_t size, int to, int from) { return between(size, to, from, send_text, receive_text); }
