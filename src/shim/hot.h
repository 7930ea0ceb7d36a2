/* The hot calls, to be had in one piece. After a system call the processor no longer knows where the functions around
 * it return to, so that each return costs as a wrong guess does; without those of ours, a pair of calls of a semaphore
 * takes a twentieth of C's time less. The functions of shim.h are these. */
#ifndef UNIXIPC_HOT_H
#define UNIXIPC_HOT_H

#include "internal.h"

#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

/* -- signals.c -- */

UIPC_INLINE int uipc_hot_kill(int pid, int signum) {
    return uipc_is_reserved(signum) ? -EINVAL : uipc_result(kill(pid, signum));
}

/* As sigqueue(3), which spends a third of its time on asking for the pid and the uid. */
UIPC_INLINE int uipc_hot_sigqueue(int pid, int signum, union sigval value) {
    siginfo_t info;
    uipc_siginfo_with_value(&info, signum, SI_QUEUE, value);
    return uipc_is_reserved(signum) ? -EINVAL : uipc_result((int)syscall(SYS_rt_sigqueueinfo, pid, signum, &info));
}

/* The waits call the kernel by themselves: glibc's report SI_TKILL as SI_USER, and its sigwait swallows EINTR. */
UIPC_INLINE int uipc_hot_sigtimedwait(uint64_t set, siginfo_t *info, const struct timespec *timeout) {
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    const int result = uipc_result((int)syscall(SYS_rt_sigtimedwait, &set, info, timeout, sizeof set));
    return result >= 0 && uipc_is_poke(info) ? -ERESTART : (int)uipc_after_blocking(result, false);
}

/* -- sysv.c -- */

enum { UIPC_MSGMAX = 8192 }; /* kernel.msgmax, where nobody changed it */

/* msgop(2) wants type and text side by side. */
struct uipc_message {
    long mtype;
    char mtext[UIPC_MSGMAX];
};

UIPC_INLINE int64_t uipc_hot_msgsnd(int msqid, const struct uipc_message *message, size_t msgsz, int msgflg) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : uipc_after_blocking(uipc_result(msgsnd(msqid, message, msgsz, msgflg)), false);
}

UIPC_INLINE int64_t uipc_hot_msgrcv(int msqid, struct uipc_message *message, size_t msgsz, int64_t msgtyp, int msgflg) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy
                    : uipc_after_blocking(uipc_result64(msgrcv(msqid, message, msgsz, (long)msgtyp, msgflg)), false);
}

UIPC_INLINE int uipc_hot_semop(int semid, struct uipc_sembuf *sops, size_t nsops) {
    const int busy = uipc_before_blocking();
    if (busy < 0) {
        return busy;
    }
    return (int)uipc_after_blocking(uipc_result(semop(semid, (struct sembuf *)(void *)sops, nsops)), false);
}

/* -- mqueue.c -- */

UIPC_INLINE int uipc_hot_mq_send(int mqdes, const void *msg, size_t len, unsigned int prio) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : (int)uipc_after_blocking(uipc_result(mq_send((mqd_t)mqdes, msg, len, prio)), true);
}

UIPC_INLINE int uipc_hot_mq_timedsend(int mqdes, const void *msg, size_t len, unsigned int prio, int64_t sec,
                                      int64_t nsec) {
    const struct timespec until = {.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy
                    : (int)uipc_after_blocking(uipc_result(mq_timedsend((mqd_t)mqdes, msg, len, prio, &until)), true);
}

UIPC_INLINE int64_t uipc_hot_mq_receive(int mqdes, void *msg, size_t len, unsigned int *prio) {
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy : uipc_after_blocking(uipc_result64(mq_receive((mqd_t)mqdes, msg, len, prio)), true);
}

UIPC_INLINE int64_t uipc_hot_mq_timedreceive(int mqdes, void *msg, size_t len, unsigned int *prio, int64_t sec,
                                             int64_t nsec) {
    const struct timespec until = {.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
    const int busy = uipc_before_blocking();
    return busy < 0 ? busy
                    : uipc_after_blocking(uipc_result64(mq_timedreceive((mqd_t)mqdes, msg, len, prio, &until)), true);
}

#endif
