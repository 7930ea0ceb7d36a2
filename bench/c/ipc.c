/* The C side of bench/ipc.py: each does a mechanism's two halves so many times, within one process. */
#include <mqueue.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { MOST = 8192 };

static void require(int done) {
    if (!done) {
        abort();
    }
}

/* `batch` messages are sent, and then received. */
void sysv_messages(int msqid, size_t size, int batch, int turns) {
    struct {
        long mtype;
        char mtext[MOST];
    } message = {.mtype = 1};
    for (int turn = 0; turn < turns; turn++) {
        for (int i = 0; i < batch; i++) {
            message.mtype = 1;
            require(msgsnd(msqid, &message, size, 0) == 0);
        }
        for (int i = 0; i < batch; i++) {
            require(msgrcv(msqid, &message, MOST, 0, 0) == (ssize_t)size);
        }
    }
}

void posix_messages(int mqdes, size_t size, int batch, int turns) {
    char text[MOST] = {0};
    unsigned int priority;
    for (int turn = 0; turn < turns; turn++) {
        for (int i = 0; i < batch; i++) {
            require(mq_send(mqdes, text, size, 0) == 0);
        }
        for (int i = 0; i < batch; i++) {
            require(mq_receive(mqdes, text, MOST, &priority) == (ssize_t)size);
        }
    }
}

void sysv_semaphore(int semid, int turns) {
    struct sembuf down = {.sem_op = -1};
    struct sembuf up = {.sem_op = 1};
    for (int turn = 0; turn < turns; turn++) {
        require(semop(semid, &down, 1) == 0);
        require(semop(semid, &up, 1) == 0);
    }
}

void posix_semaphore(sem_t *semaphore, int turns) {
    for (int turn = 0; turn < turns; turn++) {
        require(sem_wait(semaphore) == 0);
        require(sem_post(semaphore) == 0);
    }
}
