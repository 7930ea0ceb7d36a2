/* Message queues: msgop(2), mq_overview(7). */
#include <mqueue.h>
#include <sys/msg.h>

#include "channels.h"

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

struct channel *system_v_queue(size_t size, int msqid) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = system_v_send;
        made->receive = system_v_receive;
        made->to = made->from = msqid;
    }
    return made;
}

/* The queue must have been made for messages of exactly this size. */
struct channel *posix_queue(size_t size, mqd_t mqdes) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = posix_send;
        made->receive = posix_receive;
        made->to = made->from = mqdes;
    }
    return made;
}
