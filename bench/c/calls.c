/* The C side of bench/calls.py: what carries no messages, so many times within one process. */
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

static void require(int done) {
    if (!done) {
        abort();
    }
}

void send_nothing(pid_t pid, int turns) {
    for (int turn = 0; turn < turns; turn++) {
        require(kill(pid, 0) == 0);
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

void posix_semaphore(int turns) {
    sem_t semaphore;
    require(sem_init(&semaphore, 1, 1) == 0);
    for (int turn = 0; turn < turns; turn++) {
        require(sem_wait(&semaphore) == 0);
        require(sem_post(&semaphore) == 0);
    }
    require(sem_destroy(&semaphore) == 0);
}

/* The compiler must not see that all turns do the same. */
void copy(void *to, const void *from, size_t size, int turns) {
    for (int turn = 0; turn < turns; turn++) {
        memcpy(to, from, size);
        __asm__ volatile("" : : "r"(to), "r"(from) : "memory");
    }
}
