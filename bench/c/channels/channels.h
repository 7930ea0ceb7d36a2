/* Whatever carries messages is a channel, as in bench/channels: the loops know nothing else.

   A channel carries messages of one size, from its `text` and into it. What can fail gives >= 0 or -errno. The kernel
   objects are made in Python; a channel knows their ids, descriptors and addresses. */
#ifndef BENCH_CHANNELS_H
#define BENCH_CHANNELS_H

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/types.h>

struct channel {
    int (*send)(struct channel *);
    int (*receive)(struct channel *);
    /* What a process does before it uses the channel: it learns who sends and who receives. */
    int (*enter)(struct channel *, pid_t sender, pid_t receiver);
    int to;   /* where messages go: a descriptor, the id of a queue, a signal */
    int from; /* and where they come from */
    struct ring {
        char *memory;
        unsigned int slots, sent, received;
        int free_set, full_set;         /* of System V, */
        sem_t *free_slots, *full_slots; /* or of POSIX */
    } ring;
    pid_t receiver;
    size_t size;
    long mtype; /* right before the text, as msgsnd(2) wants it */
    char text[];
};

/* Make a channel for messages of this size; NULL if there is no memory. `channel_free` is free(3). */
struct channel *channel_new(size_t size);

static inline int checked(ssize_t result) { return result < 0 ? -errno : 0; }

#endif
