/* Slots in shared memory, and a semaphore each for those that are free and those that are full. */
#include <string.h>
#include <sys/sem.h>

#include "channels.h"

static int change(int semid, short by) {
    struct sembuf operation = {.sem_op = by};
    return checked(semop(semid, &operation, 1));
}

static char *slot(struct channel *channel, unsigned int number) {
    return channel->ring.memory + number % channel->ring.slots * channel->size;
}

static void put(struct channel *channel) { memcpy(slot(channel, channel->ring.sent++), channel->text, channel->size); }

static void get(struct channel *channel) {
    memcpy(channel->text, slot(channel, channel->ring.received++), channel->size);
}

static int system_v_send(struct channel *channel) {
    const int result = change(channel->ring.free_set, -1);
    if (result < 0) {
        return result;
    }
    put(channel);
    return change(channel->ring.full_set, 1);
}

static int system_v_receive(struct channel *channel) {
    const int result = change(channel->ring.full_set, -1);
    if (result < 0) {
        return result;
    }
    get(channel);
    return change(channel->ring.free_set, 1);
}

static int posix_send(struct channel *channel) {
    const int result = checked(sem_wait(channel->ring.free_slots));
    if (result < 0) {
        return result;
    }
    put(channel);
    return checked(sem_post(channel->ring.full_slots));
}

static int posix_receive(struct channel *channel) {
    const int result = checked(sem_wait(channel->ring.full_slots));
    if (result < 0) {
        return result;
    }
    get(channel);
    return checked(sem_post(channel->ring.free_slots));
}

struct channel *system_v_ring(size_t size, char *memory, unsigned int slots, int free_set, int full_set) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = system_v_send;
        made->receive = system_v_receive;
        made->ring = (struct ring){.memory = memory, .slots = slots, .free_set = free_set, .full_set = full_set};
    }
    return made;
}

struct channel *posix_ring(size_t size, char *memory, unsigned int slots, sem_t *free_slots, sem_t *full_slots) {
    struct channel *made = channel_new(size);
    if (made != NULL) {
        made->send = posix_send;
        made->receive = posix_receive;
        made->ring =
            (struct ring){.memory = memory, .slots = slots, .free_slots = free_slots, .full_slots = full_slots};
    }
    return made;
}
