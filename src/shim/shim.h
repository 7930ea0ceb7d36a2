/* Every call of the shim. This file is the C header and, less its directives, the cdef that cffi reads.
 *
 * A function returns >= 0, or -errno; structs and addresses go out through pointers. Signal sets are 64-bit masks in
 * which bit (n - 1) is signal n. A call that a signal interrupted returns -EINTR, or -ERESTART where the handler that
 * did so was installed with SA_RESTART and signal(7) calls the call restartable: dispatch, then call again.
 */
#ifndef UNIXIPC_SHIM_H
#define UNIXIPC_SHIM_H

#include <stddef.h>
#include <stdint.h>

/* signals.c: signal(7) */
int uipc_sigrtmin(void);
int uipc_sigrtmax(void);
int uipc_kill(int pid, int signum);
int uipc_killpg(int pgrp, int signum);
int uipc_tgkill(int tgid, int tid, int signum);
int uipc_raise(int signum);
int uipc_sigqueue(int pid, int signum, int sival_int);
int uipc_sigqueue_ptr(int pid, int signum, uint64_t sival_ptr);
int uipc_pidfd_open(int pid, unsigned int flags);
int uipc_pidfd_send_signal(int pidfd, int signum, const void *siginfo, unsigned int flags);
int uipc_sigprocmask(int how, const uint64_t *set, uint64_t *oldset);
int uipc_sigpending(uint64_t *set);
int uipc_sigsuspend(uint64_t mask);
int uipc_pause(void);
int uipc_sigwaitinfo(uint64_t set, void *siginfo);
/* -ERESTART leaves in `left`, seconds and nanoseconds, what the next call has to wait. */
int uipc_sigtimedwait(uint64_t set, void *siginfo, int64_t left[2]);
struct uipc_pollfd {
    int fd;
    short events;
    short revents;
};
/* `left` as above, also after EINTR; NULL waits for ever. `mask` NULL: the present one. */
int uipc_ppoll(struct uipc_pollfd *fds, unsigned int count, int64_t left[2], const uint64_t *mask);
int64_t uipc_alarm(unsigned int seconds);
int uipc_abort(void);
int uipc_rt_sigqueueinfo(int tgid, int signum, const void *siginfo);
int uipc_rt_tgsigqueueinfo(int tgid, int tid, int signum, const void *siginfo);
int uipc_signalfd(int fd, uint64_t mask, int flags);
int64_t uipc_sigstksz(void);

enum { UIPC_SIGINFO_SIZE = 128 };

/* siginfo.c */
int uipc_siginfo_queued(int signum, int code, int sival_int, void *raw);
int uipc_siginfo_queued_ptr(int signum, int code, uint64_t sival_ptr, void *raw);
int uipc_siginfo_from_signalfd(const void *ssi, void *raw);

/* delivery.c: sigaction(2), and the way of a signal from the kernel to a Python handler */
struct uipc_action {
    uint64_t handler;
    uint64_t mask;
    unsigned int flags;
    int ours;     /* the C handler behind Python handlers */
    int cpythons; /* CPython's own */
};
uint64_t uipc_sig_dfl(void);
uint64_t uipc_sig_ign(void);
int uipc_sigaction_get(int signum, struct uipc_action *action);
int uipc_sigaction_ours(int signum, struct uipc_action *action);
int uipc_sigaction_set(int signum, uint64_t handler, uint64_t mask, unsigned int flags);
int uipc_sigaction_python(int signum, uint64_t mask, unsigned int flags);
int64_t uipc_signals_lost(void);

/* timers.c: timer_create(2), setitimer(2) */
struct uipc_itimerspec {
    int64_t interval_sec;
    int64_t interval_nsec;
    int64_t value_sec;
    int64_t value_nsec;
};
struct uipc_sigevent {
    int notify;
    int signo;
    int value_is_ptr;
    int value_int;
    uint64_t value_ptr;
    int notify_thread_id;
};
int uipc_setitimer(int which, const struct uipc_itimerspec *value, struct uipc_itimerspec *old);
int uipc_getitimer(int which, struct uipc_itimerspec *value);
int uipc_timer_create(int clockid, const struct uipc_sigevent *event, int *timerid);
int uipc_timer_settime(int timerid, int flags, const struct uipc_itimerspec *value, struct uipc_itimerspec *old);
int uipc_timer_gettime(int timerid, struct uipc_itimerspec *value);
int uipc_timer_getoverrun(int timerid);
int uipc_timer_delete(int timerid);

/* handlers.c: ready-made signal handlers. What one counts lies at its argument, in memory that must stay mapped: 64
 * bits and, for those that write records, the descriptor. */
enum { UIPC_ON_COUNT, UIPC_ON_FLAG, UIPC_ON_RECORD, UIPC_ON_EXIT, UIPC_ON_CRASH, UIPC_HANDLERS };
uint64_t uipc_handler(int kind);
uint64_t uipc_handler_argument(int signum, uint64_t handler);
uint64_t uipc_counter_value(uint64_t address);
uint64_t uipc_counter_take(uint64_t address);
int uipc_counter_record(uint64_t address, int fd);
uint64_t uipc_crash_mark(void);
int uipc_counter_crash(uint64_t address, int fd);
int uipc_crash_displaces(int signum);
int uipc_crash_watch(uint64_t signals, uint64_t argument);
int uipc_crash_unwatched(uint64_t signals, uint64_t over, uint64_t *unwatched);

/* sysv.c: svipc(7) */
struct uipc_ipc_perm {
    int key;
    unsigned int uid;
    unsigned int gid;
    unsigned int cuid;
    unsigned int cgid;
    unsigned int mode;
    unsigned int seq;
};
struct uipc_shmid_ds {
    struct uipc_ipc_perm perm;
    uint64_t segsz;
    int64_t atime;
    int64_t dtime;
    int64_t ctime;
    int cpid;
    int lpid;
    uint64_t nattch;
};
struct uipc_shminfo {
    uint64_t shmmax;
    uint64_t shmmin;
    uint64_t shmmni;
    uint64_t shmseg;
    uint64_t shmall;
};
struct uipc_shm_info {
    int used_ids;
    uint64_t tot;
    uint64_t rss;
    uint64_t swp;
};
struct uipc_msqid_ds {
    struct uipc_ipc_perm perm;
    int64_t stime;
    int64_t rtime;
    int64_t ctime;
    uint64_t cbytes;
    uint64_t qnum;
    uint64_t qbytes;
    int lspid;
    int lrpid;
};
struct uipc_msginfo {
    int msgpool;
    int msgmap;
    int msgmax;
    int msgmnb;
    int msgmni;
    int msgssz;
    int msgtql;
    int msgseg;
};
struct uipc_sembuf {
    unsigned short sem_num;
    short sem_op;
    short sem_flg;
};
struct uipc_semid_ds {
    struct uipc_ipc_perm perm;
    int64_t otime;
    int64_t ctime;
    uint64_t nsems;
};
struct uipc_seminfo {
    int semmap;
    int semmni;
    int semmns;
    int semmnu;
    int semmsl;
    int semopm;
    int semume;
    int semusz;
    int semvmx;
    int semaem;
};
int uipc_ftok(const char *pathname, int proj_id, int *key);
int uipc_shmget(int key, size_t size, int shmflg);
int uipc_shmat(int shmid, uint64_t shmaddr, int shmflg, uint64_t *address, size_t *size);
int uipc_shmdt(uint64_t shmaddr);
int uipc_shmctl(int shmid, int cmd);
int uipc_shmctl_stat(int shmid, int cmd, struct uipc_shmid_ds *ds);
int uipc_shmctl_set(int shmid, const struct uipc_shmid_ds *ds);
int uipc_shmctl_limits(struct uipc_shminfo *info);
int uipc_shmctl_usage(struct uipc_shm_info *info);
int uipc_msgget(int key, int msgflg);
/* Texts lie one behind the other. The result is the number of messages that went or came, or the first one's -errno:
 * -ETIMEDOUT where the time is up, and -EAGAIN without IPC_NOWAIT where nothing is left to tell the time with. `left`
 * are seconds and nanoseconds, and then what the next call has to wait; NULL waits for ever. */
int64_t uipc_msgsnd(int msqid, const int64_t *mtypes, const size_t *sizes, const void *texts, size_t count, int msgflg,
                    int64_t *left);
/* Texts of at most `msgsz` bytes, as long as `room` is left for one; only the first message is waited for. */
int64_t uipc_msgrcv(int msqid, int64_t *mtypes, size_t *sizes, void *texts, size_t room, size_t count, size_t msgsz,
                    int64_t msgtyp, int msgflg, int64_t *left);
int uipc_msgctl(int msqid, int cmd);
int uipc_msgctl_stat(int msqid, int cmd, struct uipc_msqid_ds *ds);
int uipc_msgctl_set(int msqid, const struct uipc_msqid_ds *ds);
int uipc_msgctl_info(int cmd, struct uipc_msginfo *info);
int uipc_semget(int key, int nsems, int semflg);
int uipc_semop(int semid, struct uipc_sembuf *sops, size_t nsops);
/* -ERESTART leaves in `left`, seconds and nanoseconds, what the next call has to wait. */
int uipc_semtimedop(int semid, struct uipc_sembuf *sops, size_t nsops, int64_t left[2]);
int uipc_semctl(int semid, int semnum, int cmd, int val);
/* GETALL and SETALL, of a set that has so many semaphores: -EINVAL otherwise. */
int uipc_semctl_all(int semid, int cmd, unsigned short *array, size_t nsems);
int uipc_semctl_stat(int semid, int cmd, struct uipc_semid_ds *ds);
int uipc_semctl_set(int semid, const struct uipc_semid_ds *ds);
int uipc_semctl_info(int cmd, struct uipc_seminfo *info);

/* mqueue.c: mq_overview(7). Times are CLOCK_REALTIME's. */
struct uipc_mq_attr {
    int64_t flags;
    int64_t maxmsg;
    int64_t msgsize;
    int64_t curmsgs;
};
int uipc_mq_open(const char *name, int oflag, unsigned int mode, const struct uipc_mq_attr *attr);
int uipc_mq_close(int mqdes);
int uipc_mq_unlink(const char *name);
int uipc_mq_send(int mqdes, const void *msg, size_t len, unsigned int prio);
int uipc_mq_timedsend(int mqdes, const void *msg, size_t len, unsigned int prio, int64_t sec, int64_t nsec);
int64_t uipc_mq_receive(int mqdes, void *msg, size_t len, unsigned int *prio);
int64_t uipc_mq_timedreceive(int mqdes, void *msg, size_t len, unsigned int *prio, int64_t sec, int64_t nsec);
/* Messages one after the other, and how many there were before something stopped them; `until` NULL waits for ever. */
int64_t uipc_mq_send_many(int mqdes, const int64_t *prios, const size_t *sizes, const void *texts, size_t count,
                          const int64_t *until);
int64_t uipc_mq_receive_many(int mqdes, int64_t *prios, size_t *sizes, void *texts, size_t room, size_t count,
                             size_t msgsize, const int64_t *until);
int uipc_mq_getattr(int mqdes, struct uipc_mq_attr *attr);
int uipc_mq_setattr(int mqdes, const struct uipc_mq_attr *newattr, struct uipc_mq_attr *oldattr);
int uipc_mq_notify(int mqdes, const struct uipc_sigevent *event);
int uipc_mq_notify_fd(int mqdes);

/* semaphore.c: sem_overview(7). What lies at an address is looked at before each use, and -EINVAL when it is none. */
int64_t uipc_sem_size(void);
int64_t uipc_sem_alignment(void);
int uipc_sem_open(const char *name, int oflag, unsigned int mode, unsigned int value, uint64_t *address);
int uipc_sem_close(uint64_t address);
int uipc_sem_unlink(const char *name);
int uipc_sem_init(uint64_t address, int pshared, unsigned int value);
int uipc_sem_destroy(uint64_t address);
int uipc_sem_trywait(uint64_t address);
int uipc_sem_wait(uint64_t address);
int uipc_sem_timedwait(uint64_t address, int64_t sec, int64_t nsec);
int uipc_sem_clockwait(uint64_t address, int clockid, int64_t sec, int64_t nsec);
int uipc_sem_post(uint64_t address);
int uipc_sem_getvalue(uint64_t address, int *sval);

/* shm.c: shm_overview(7) */
int uipc_shm_open(const char *name, int oflag, unsigned int mode);
int uipc_shm_unlink(const char *name);

/* mapping.c: mmap(2) and what is done to mappings */
int64_t uipc_page_size(void);
int uipc_mmap(uint64_t hint, size_t length, int prot, int flags, int fd, int64_t offset, uint64_t *address);
int uipc_munmap(uint64_t address, size_t length);
int uipc_mprotect(uint64_t address, size_t length, int prot);
int uipc_msync(uint64_t address, size_t length, int flags);
int uipc_mremap(uint64_t address, size_t old_size, size_t new_size, int flags, uint64_t new_address, uint64_t *moved);
int uipc_madvise(uint64_t address, size_t length, int advice);
int uipc_mlock(uint64_t address, size_t length);
int uipc_mlock2(uint64_t address, size_t length, int flags);
int uipc_munlock(uint64_t address, size_t length);
int uipc_mlockall(int flags);
int uipc_munlockall(void);
int uipc_mincore(uint64_t address, size_t length, unsigned char *vec);

/* pipes.c: pipe(7), fifo(7) */
int uipc_pipe(int flags, int *read_end, int *write_end);
int uipc_mkfifo(const char *pathname, unsigned int mode);
int uipc_mknod(const char *pathname, unsigned int mode, uint64_t dev);
/* `left` as that of uipc_msgsnd, with the same -ETIMEDOUT and -EAGAIN. */
int uipc_open(const char *pathname, int flags, unsigned int mode, int64_t *left);
int64_t uipc_read(int fd, void *buffer, size_t count, int64_t *left);
int64_t uipc_write(int fd, const void *buffer, size_t count, int64_t *left);
struct uipc_iovec {
    void *base;
    size_t len;
};
int64_t uipc_tee(int fd_in, int fd_out, size_t len, unsigned int flags);
int64_t uipc_vmsplice(int fd, const struct uipc_iovec *iov, size_t nr_segs, unsigned int flags);

/* processes.c: prctl(2) */
int uipc_prctl(int option, uint64_t argument);
int uipc_prctl_get(int option, int *value);

/* namespaces.c: namespaces(7), mount(2) */
int uipc_unshare(int flags);
int uipc_setns(int fd, int nstype);
int uipc_mount(const char *source, const char *target, const char *filesystemtype, uint64_t mountflags,
               const char *data);
int uipc_umount2(const char *target, int flags);

/* fsopen.c: fsopen(2), fsconfig(2), fsmount(2) */
int uipc_fsopen(const char *fsname, unsigned int flags);
int uipc_fsconfig(int fd, unsigned int cmd, const char *key, const char *value, int aux);
int uipc_fsmount(int fs_fd, unsigned int flags, unsigned int attr_flags);

#endif
