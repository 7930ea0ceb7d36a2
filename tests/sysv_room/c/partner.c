/* The other side of tests/sysv_room/test_sysv_interoperability.py: what a C program does with an object that it knows
 * by its key. Prints what it found; 1 with errno's text where a call failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
};

struct message {
    long mtype;
    char mtext[4096];
};

static long must(long result, const char *call) {
    if (result == -1) {
        fprintf(stderr, "%s: %s\n", call, strerror(errno));
        exit(1);
    }
    return result;
}

static int is(const char *given, const char *name) { return strcmp(given, name) == 0; }

int main(int argc, char **argv) {
    const char *const what = argv[1];
    const key_t key = (key_t)strtoul(argv[2], NULL, 0);
    const long number = argc > 3 ? strtol(argv[3], NULL, 0) : 0;
    const char *const text = argc > 4 ? argv[4] : "";
    if (is(what, "send") || is(what, "create-queue")) {
        const int flags = is(what, "create-queue") ? IPC_CREAT | IPC_EXCL | 0600 : 0;
        struct message message = {.mtype = number};
        strcpy(message.mtext, text);
        must(msgsnd((int)must(msgget(key, flags), "msgget"), &message, strlen(text), 0), "msgsnd");
    } else if (is(what, "receive")) {
        struct message message;
        const long length =
            must(msgrcv((int)must(msgget(key, 0), "msgget"), &message, sizeof message.mtext, number, 0), "msgrcv");
        printf("%ld %.*s\n", message.mtype, (int)length, message.mtext);
    } else if (is(what, "remove-queue")) {
        must(msgctl((int)must(msgget(key, 0), "msgget"), IPC_RMID, NULL), "msgctl");
    } else if (is(what, "create-set")) { /* as Stevens has it: one operation gives the value, and sets sem_otime */
        struct sembuf up = {.sem_op = (short)number};
        must(semop((int)must(semget(key, 1, IPC_CREAT | IPC_EXCL | 0600), "semget"), &up, 1), "semop");
    } else if (is(what, "operate")) {
        struct sembuf change = {.sem_num = (unsigned short)atoi(text), .sem_op = (short)number, .sem_flg = SEM_UNDO};
        const int semid = (int)must(semget(key, 0, 0), "semget");
        struct semid_ds ds;
        must(semctl(semid, 0, IPC_STAT, (union semun){.buf = &ds}), "semctl");
        if (ds.sem_otime == 0) {
            fprintf(stderr, "the set has not been initialised\n");
            return 1;
        }
        must(semop(semid, &change, 1), "semop");
        printf("%ld\n", must(semctl(semid, change.sem_num, GETVAL), "semctl"));
    } else if (is(what, "remove-set")) {
        must(semctl((int)must(semget(key, 0, 0), "semget"), 0, IPC_RMID), "semctl");
    } else if (is(what, "write") || is(what, "create-segment")) {
        const int flags = is(what, "create-segment") ? IPC_CREAT | IPC_EXCL | 0600 : 0;
        const size_t size = is(what, "create-segment") ? 4096 : 0;
        char *const memory = shmat((int)must(shmget(key, size, flags), "shmget"), NULL, 0);
        must((long)memory, "shmat");
        strcpy(memory + number, text);
        must(shmdt(memory), "shmdt");
    } else if (is(what, "read")) {
        char *const memory = shmat((int)must(shmget(key, 0, 0), "shmget"), NULL, SHM_RDONLY);
        must((long)memory, "shmat");
        printf("%s\n", memory + number);
    } else if (is(what, "remove-segment")) {
        must(shmctl((int)must(shmget(key, 0, 0), "shmget"), IPC_RMID, NULL), "shmctl");
    } else {
        return 2;
    }
    return 0;
}
