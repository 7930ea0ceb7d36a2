/* svipc(7): shared memory segments, message queues and semaphore sets. */
#include "hot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/* A small message has room on the stack. */
static struct uipc_message *room_for(size_t msgsz, struct uipc_message *small) {
    if (msgsz <= sizeof small->mtext) {
        return small;
    }
    return msgsz > (size_t)PTRDIFF_MAX - sizeof small->mtype ? NULL : malloc(sizeof small->mtype + msgsz);
}

/* -1 is a key that ftok(3) may well return, and its error value: only stat(2), which it calls, sets errno. */
int uipc_ftok(const char *pathname, int proj_id, int *key) {
    errno = 0;
    *key = (int)ftok(pathname, proj_id);
    return *key == -1 && errno != 0 ? -errno : 0;
}

static struct uipc_ipc_perm perm_out(const struct ipc_perm *perm) {
    const struct uipc_ipc_perm out = {
        .key = perm->__key,
        .uid = perm->uid,
        .gid = perm->gid,
        .cuid = perm->cuid,
        .cgid = perm->cgid,
        .mode = perm->mode,
        .seq = perm->__seq,
    };
    return out;
}

static void perm_in(struct ipc_perm *perm, const struct uipc_ipc_perm *in) {
    perm->uid = in->uid;
    perm->gid = in->gid;
    perm->mode = (__typeof__(perm->mode))in->mode;
}

int uipc_shmget(int key, size_t size, int shmflg) { return uipc_result(shmget(key, size, shmflg)); }

/* The size is read after attaching: from then on the segment cannot go away. */
int uipc_shmat(int shmid, uint64_t shmaddr, int shmflg, uint64_t *address, size_t *size) {
    struct shmid_ds ds;
    void *const attached = shmat(shmid, (const void *)(uintptr_t)shmaddr, shmflg);
    if ((intptr_t)attached == -1) {
        return -errno;
    }
    if (shmctl(shmid, IPC_STAT, &ds) < 0) {
        const int error = errno;
        (void)shmdt(attached);
        return -error;
    }
    *address = (uint64_t)(uintptr_t)attached;
    *size = ds.shm_segsz;
    return 0;
}

int uipc_shmdt(uint64_t shmaddr) { return uipc_result(shmdt((const void *)(uintptr_t)shmaddr)); }

int uipc_shmctl(int shmid, int cmd) { return uipc_result(shmctl(shmid, cmd, NULL)); }

int uipc_shmctl_stat(int shmid, int cmd, struct uipc_shmid_ds *ds) {
    struct shmid_ds kernel;
    const int result = uipc_result(shmctl(shmid, cmd, &kernel));
    if (result >= 0) {
        ds->perm = perm_out(&kernel.shm_perm);
        ds->segsz = kernel.shm_segsz;
        ds->atime = kernel.shm_atime;
        ds->dtime = kernel.shm_dtime;
        ds->ctime = kernel.shm_ctime;
        ds->cpid = kernel.shm_cpid;
        ds->lpid = kernel.shm_lpid;
        ds->nattch = kernel.shm_nattch;
    }
    return result;
}

int uipc_shmctl_set(int shmid, const struct uipc_shmid_ds *ds) {
    struct shmid_ds kernel;
    memset(&kernel, 0, sizeof kernel);
    perm_in(&kernel.shm_perm, &ds->perm);
    return uipc_result(shmctl(shmid, IPC_SET, &kernel));
}

int uipc_shmctl_limits(struct uipc_shminfo *info) {
    struct shminfo kernel;
    const int result = uipc_result(shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&kernel));
    if (result >= 0) {
        info->shmmax = kernel.shmmax;
        info->shmmin = kernel.shmmin;
        info->shmmni = kernel.shmmni;
        info->shmseg = kernel.shmseg;
        info->shmall = kernel.shmall;
    }
    return result;
}

int uipc_shmctl_usage(struct uipc_shm_info *info) {
    struct shm_info kernel;
    const int result = uipc_result(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&kernel));
    if (result >= 0) {
        info->used_ids = kernel.used_ids;
        info->tot = kernel.shm_tot;
        info->rss = kernel.shm_rss;
        info->swp = kernel.shm_swp;
    }
    return result;
}

int uipc_msgget(int key, int msgflg) { return uipc_result(msgget(key, msgflg)); }

/* msgsnd(2) or msgrcv(2), of which `msgtyp` is only the latter's. */
struct msgop {
    bool sends;
    int msqid;
    struct uipc_message *message;
    size_t msgsz;
    int64_t msgtyp;
    int msgflg;
};

static int64_t msgop(const struct msgop *op, int more) {
    const int msgflg = op->msgflg | more;
    return op->sends ? uipc_result(msgsnd(op->msqid, op->message, op->msgsz, msgflg))
                     : uipc_result64(msgrcv(op->msqid, op->message, op->msgsz, (long)op->msgtyp, msgflg));
}

static int64_t msgop_waiting(const void *op) { return msgop(op, 0); }

static int64_t msgop_within(const struct msgop *op, int64_t *left) {
    if (left == NULL || op->msgflg & IPC_NOWAIT) {
        return op->sends ? uipc_hot_msgsnd(op->msqid, op->message, op->msgsz, op->msgflg)
                         : uipc_hot_msgrcv(op->msqid, op->message, op->msgsz, op->msgtyp, op->msgflg);
    }
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    if (left[0] < 0) {
        return -EINVAL;
    }
    const int64_t result = msgop(op, IPC_NOWAIT);
    if (result != -EAGAIN && result != -ENOMSG) {
        return result;
    }
    return left[0] == 0 && left[1] == 0 ? -ETIMEDOUT : uipc_until_alarm(msgop_waiting, op, false, left);
}

int64_t uipc_msgsnd(int msqid, const int64_t *mtypes, const size_t *sizes, const void *texts, size_t count, int msgflg,
                    int64_t *left) {
    struct uipc_message small;
    struct msgop op = {.sends = true, .msqid = msqid, .msgflg = msgflg};
    const unsigned char *text = texts;
    size_t sent = 0;
    size_t longest = 0;
    int64_t result = 0;
    for (size_t i = 0; i < count; i++) {
        longest = sizes[i] > longest ? sizes[i] : longest;
    }
    if ((op.message = room_for(longest, &small)) == NULL) {
        return -ENOMEM;
    }
    while (sent < count) {
        op.msgsz = sizes[sent];
        op.message->mtype = (long)mtypes[sent];
        if (op.msgsz > 0) {
            memcpy(op.message->mtext, text, op.msgsz);
            text += op.msgsz;
        }
        if ((result = msgop_within(&op, left)) < 0) {
            break;
        }
        sent++;
    }
    if (op.message != &small) {
        free(op.message);
    }
    return sent > 0 ? (int64_t)sent : result;
}

/* Only the first message is waited for. */
int64_t uipc_msgrcv(int msqid, int64_t *mtypes, size_t *sizes, void *texts, size_t room, size_t count, size_t msgsz,
                    int64_t msgtyp, int msgflg, int64_t *left) {
    struct uipc_message small;
    struct msgop op = {
        .msqid = msqid, .msgsz = msgsz, .msgtyp = msgtyp, .msgflg = msgflg, .message = room_for(msgsz, &small)};
    unsigned char *text = texts;
    size_t received = 0;
    int64_t result = 0;
    if (op.message == NULL) {
        return -ENOMEM;
    }
    op.message->mtype = 0;
    while (received < count && msgsz <= room) {
        if ((result = msgop_within(&op, left)) < 0) {
            break;
        }
        mtypes[received] = op.message->mtype;
        sizes[received] = (size_t)result;
        memcpy(text, op.message->mtext, (size_t)result);
        text += result;
        room -= (size_t)result;
        received++;
        op.msgflg |= IPC_NOWAIT;
    }
    if (op.message != &small) {
        free(op.message);
    }
    return received > 0 ? (int64_t)received : result;
}

int uipc_msgctl(int msqid, int cmd) { return uipc_result(msgctl(msqid, cmd, NULL)); }

int uipc_msgctl_stat(int msqid, int cmd, struct uipc_msqid_ds *ds) {
    struct msqid_ds kernel;
    const int result = uipc_result(msgctl(msqid, cmd, &kernel));
    if (result >= 0) {
        ds->perm = perm_out(&kernel.msg_perm);
        ds->stime = kernel.msg_stime;
        ds->rtime = kernel.msg_rtime;
        ds->ctime = kernel.msg_ctime;
        ds->cbytes = kernel.__msg_cbytes;
        ds->qnum = kernel.msg_qnum;
        ds->qbytes = kernel.msg_qbytes;
        ds->lspid = kernel.msg_lspid;
        ds->lrpid = kernel.msg_lrpid;
    }
    return result;
}

int uipc_msgctl_set(int msqid, const struct uipc_msqid_ds *ds) {
    struct msqid_ds kernel;
    memset(&kernel, 0, sizeof kernel);
    perm_in(&kernel.msg_perm, &ds->perm);
    kernel.msg_qbytes = ds->qbytes;
    return uipc_result(msgctl(msqid, IPC_SET, &kernel));
}

int uipc_msgctl_info(int cmd, struct uipc_msginfo *info) {
    struct msginfo kernel;
    const int result = uipc_result(msgctl(0, cmd, (struct msqid_ds *)(void *)&kernel));
    if (result >= 0) {
        info->msgpool = kernel.msgpool;
        info->msgmap = kernel.msgmap;
        info->msgmax = kernel.msgmax;
        info->msgmnb = kernel.msgmnb;
        info->msgmni = kernel.msgmni;
        info->msgssz = kernel.msgssz;
        info->msgtql = kernel.msgtql;
        info->msgseg = kernel.msgseg;
    }
    return result;
}

int uipc_semget(int key, int nsems, int semflg) { return uipc_result(semget(key, nsems, semflg)); }

_Static_assert(sizeof(struct uipc_sembuf) == sizeof(struct sembuf), "the one is passed as the other");

int uipc_semop(int semid, struct uipc_sembuf *sops, size_t nsops) { return uipc_hot_semop(semid, sops, nsops); }

int uipc_semtimedop(int semid, struct uipc_sembuf *sops, size_t nsops, int64_t left[2]) {
    const struct timespec timeout = {.tv_sec = (time_t)left[0], .tv_nsec = (long)left[1]};
    struct timespec start;
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    int result = uipc_result(semtimedop(semid, (struct sembuf *)(void *)sops, nsops, &timeout));
    result = (int)uipc_after_blocking(result, false);
    if (result == -ERESTART) {
        uipc_shorten(left, &start);
    }
    return result;
}

/* semctl(2) has its caller define it. */
union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

int uipc_semctl(int semid, int semnum, int cmd, int val) {
    return uipc_result(semctl(semid, semnum, cmd, (union semun){.val = val}));
}

/* The kernel reads or writes as many values as the set has, and no id comes to mean another set soon. */
int uipc_semctl_all(int semid, int cmd, unsigned short *array, size_t nsems) {
    struct semid_ds kernel;
    const int result = uipc_result(semctl(semid, 0, IPC_STAT, (union semun){.buf = &kernel}));
    if (result < 0) {
        return result;
    }
    return kernel.sem_nsems != nsems ? -EINVAL : uipc_result(semctl(semid, 0, cmd, (union semun){.array = array}));
}

int uipc_semctl_stat(int semid, int cmd, struct uipc_semid_ds *ds) {
    struct semid_ds kernel;
    const int result = uipc_result(semctl(semid, 0, cmd, (union semun){.buf = &kernel}));
    if (result >= 0) {
        ds->perm = perm_out(&kernel.sem_perm);
        ds->otime = kernel.sem_otime;
        ds->ctime = kernel.sem_ctime;
        ds->nsems = kernel.sem_nsems;
    }
    return result;
}

int uipc_semctl_set(int semid, const struct uipc_semid_ds *ds) {
    struct semid_ds kernel;
    memset(&kernel, 0, sizeof kernel);
    perm_in(&kernel.sem_perm, &ds->perm);
    return uipc_result(semctl(semid, 0, IPC_SET, (union semun){.buf = &kernel}));
}

int uipc_semctl_info(int cmd, struct uipc_seminfo *info) {
    struct seminfo kernel;
    const int result = uipc_result(semctl(0, 0, cmd, (union semun){.info = &kernel}));
    if (result >= 0) {
        info->semmap = kernel.semmap;
        info->semmni = kernel.semmni;
        info->semmns = kernel.semmns;
        info->semmnu = kernel.semmnu;
        info->semmsl = kernel.semmsl;
        info->semopm = kernel.semopm;
        info->semume = kernel.semume;
        info->semusz = kernel.semusz;
        info->semvmx = kernel.semvmx;
        info->semaem = kernel.semaem;
    }
    return result;
}
