/* Message queues: msgop(2), mq_overview(7). */
#include <mqueue.h>
#include <sched.h>
#include <sys/msg.h>
#include <time.h>

#include "channels.h"

#define POLLS 50 /* as the polling side of ours */

static int system_v_send(struct channel *channel) {
    channel->mtype = 1; /* it was received into */
    return checked(msgsnd(channel->to, &channel->mtype, channel->size, 0));
}

static int system_v_receive(struct channel *channel) {
    return checked(msgrcv(channel->from, &channel->mtype, channel->size, 0, 0));
}

static int posix_send(struct channel *channel) {
    return checked(mq_send(channel->to, channel->text, channel->size, 0));
}

static int posix_receive(struct channel *channel) {
    unsigned int priority;
    return checked(mq_receive(channel->from, channel->text, channel->size, &priority));
}

static int system_v_poll(struct channel *channel) {
    for (int polls = 0; polls <= POLLS; polls++) {
        const ssize_t length = msgrcv(channel->from, &channel->mtype, channel->size, 0, IPC_NOWAIT);
        if (length >= 0 || errno != ENOMSG) {
            return checked(length);
        }
        sched_yield();
    }
    return system_v_receive(channel);
}

static int posix_poll(struct channel *channel) {
    const struct timespec long_ago = {0};
    for (int polls = 0; polls <= POLLS; polls++) {
        unsigned int priority;
        const ssize_t length = mq_timedreceive(channel->from, channel->text, channel->size, &priority, &long_ago);
        if (length >= 0 || errno != ETIMEDOUT) {
            return checked(length);
        }
        sched_yield();
    }
    return posix_receive(channel);
}

static struct channel *queue(size_t size, int id, int (*send)(struct channel *), int (*receive)(struct channel *)) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = send;
        made->receive = receive;
        made->to = made->from = id;
    }
    return made;
}

struct channel *system_v_queue(size_t size, int msqid) { return queue(size, msqid, system_v_send, system_v_receive); }

struct channel *system_v_polled_queue(size_t size, int msqid) {
    return queue(size, msqid, system_v_send, system_v_poll);
}

/* The queue must have been made for messages of exactly this size. */
struct channel *posix_queue(size_t size, mqd_t mqdes) { return queue(size, mqdes, posix_send, posix_receive); }

struct channel *posix_polled_queue(size_t size, mqd_t mqdes) { return queue(size, mqdes, posix_send, posix_poll); }
