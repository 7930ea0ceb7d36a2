/* mq_overview(7): POSIX message queues. */
#include "hot.h"

#include <mqueue.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#define mq_attr linux_mq_attr /* the C library has its own */
#include <linux/mqueue.h>
#undef mq_attr

static void attr_out(const struct mq_attr *from, struct uipc_mq_attr *to) {
    to->flags = from->mq_flags;
    to->maxmsg = from->mq_maxmsg;
    to->msgsize = from->mq_msgsize;
    to->curmsgs = from->mq_curmsgs;
}

static struct mq_attr attr_in(const struct uipc_mq_attr *from) {
    struct mq_attr to;
    memset(&to, 0, sizeof to);
    to.mq_flags = (__typeof__(to.mq_flags))from->flags;
    to.mq_maxmsg = (__typeof__(to.mq_maxmsg))from->maxmsg;
    to.mq_msgsize = (__typeof__(to.mq_msgsize))from->msgsize;
    return to;
}

int uipc_mq_open(const char *name, int oflag, unsigned int mode, const struct uipc_mq_attr *attr) {
    struct mq_attr wanted;
    if (attr != NULL) {
        wanted = attr_in(attr);
    }
    return uipc_result((int)mq_open(name, oflag, (mode_t)mode, attr == NULL ? NULL : &wanted));
}

int uipc_mq_close(int mqdes) { return uipc_result(mq_close((mqd_t)mqdes)); }

int uipc_mq_unlink(const char *name) { return uipc_result(mq_unlink(name)); }

int uipc_mq_send(int mqdes, const void *msg, size_t len, unsigned int prio) {
    return uipc_hot_mq_send(mqdes, msg, len, prio);
}

int uipc_mq_timedsend(int mqdes, const void *msg, size_t len, unsigned int prio, int64_t sec, int64_t nsec) {
    return uipc_hot_mq_timedsend(mqdes, msg, len, prio, sec, nsec);
}

int64_t uipc_mq_receive(int mqdes, void *msg, size_t len, unsigned int *prio) {
    return uipc_hot_mq_receive(mqdes, msg, len, prio);
}

int64_t uipc_mq_timedreceive(int mqdes, void *msg, size_t len, unsigned int *prio, int64_t sec, int64_t nsec) {
    return uipc_hot_mq_timedreceive(mqdes, msg, len, prio, sec, nsec);
}

int64_t uipc_mq_send_many(int mqdes, const int64_t *prios, const size_t *sizes, const void *texts, size_t count,
                          const int64_t *until) {
    const unsigned char *text = texts;
    size_t sent = 0;
    int result = 0;
    while (sent < count) {
        const unsigned int prio = (unsigned int)prios[sent];
        result = until == NULL ? uipc_hot_mq_send(mqdes, text, sizes[sent], prio)
                               : uipc_hot_mq_timedsend(mqdes, text, sizes[sent], prio, until[0], until[1]);
        if (result < 0) {
            break;
        }
        text += sizes[sent];
        sent++;
    }
    return sent > 0 ? (int64_t)sent : result;
}

/* Only the first message is waited for. */
int64_t uipc_mq_receive_many(int mqdes, int64_t *prios, size_t *sizes, void *texts, size_t room, size_t count,
                             size_t msgsize, const int64_t *until) {
    unsigned char *text = texts;
    size_t received = 0;
    int64_t result = 0;
    while (received < count && msgsize <= room) {
        unsigned int prio = 0;
        if (received > 0) {
            result = uipc_hot_mq_timedreceive(mqdes, text, msgsize, &prio, 0, 0);
        } else if (until != NULL) {
            result = uipc_hot_mq_timedreceive(mqdes, text, msgsize, &prio, until[0], until[1]);
        } else {
            result = uipc_hot_mq_receive(mqdes, text, msgsize, &prio);
        }
        if (result < 0) {
            break;
        }
        prios[received] = prio;
        sizes[received] = (size_t)result;
        text += result;
        room -= (size_t)result;
        received++;
    }
    return received > 0 ? (int64_t)received : result;
}

int uipc_mq_getattr(int mqdes, struct uipc_mq_attr *attr) {
    struct mq_attr now;
    const int result = uipc_result(mq_getattr((mqd_t)mqdes, &now));
    if (result == 0) {
        attr_out(&now, attr);
    }
    return result;
}

int uipc_mq_setattr(int mqdes, const struct uipc_mq_attr *newattr, struct uipc_mq_attr *oldattr) {
    const struct mq_attr next = attr_in(newattr);
    struct mq_attr before;
    const int result = uipc_result(mq_setattr((mqd_t)mqdes, &next, &before));
    if (result == 0) {
        attr_out(&before, oldattr);
    }
    return result;
}

/* The kernel's own call: the C library's would start threads for SIGEV_THREAD. */
int uipc_mq_notify(int mqdes, const struct uipc_sigevent *event) {
    struct sigevent sevp;
    if (event != NULL) {
        uipc_sigevent_in(event, &sevp);
    }
    return uipc_result((int)syscall(SYS_mq_notify, mqdes, event == NULL ? NULL : &sevp));
}

/* What the C library waits at for SIGEV_THREAD: the kernel sends the cookie to a netlink socket. */
int uipc_mq_notify_fd(int mqdes) {
    char cookie[NOTIFY_COOKIE_LEN] = {0};
    struct sigevent sevp;
    const int fd = uipc_result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (fd < 0) {
        return fd;
    }
    memset(&sevp, 0, sizeof sevp);
    sevp.sigev_notify = SIGEV_THREAD;
    sevp.sigev_signo = fd;
    sevp.sigev_value.sival_ptr = cookie;
    const int result = uipc_result((int)syscall(SYS_mq_notify, mqdes, &sevp));
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    return fd;
}
