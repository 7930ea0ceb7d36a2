/* siginfo_t is a union: si_code says which member was written. sigaction(2) has the rules, the kernel's
 * siginfo_layout() the cases that the page leaves open. */
#include "internal.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(siginfo_t) == UIPC_SIGINFO_SIZE, "the kernel writes 128 bytes");
_Static_assert(sizeof(struct signalfd_siginfo) == UIPC_SIGINFO_SIZE, "so it does here, otherwise laid out");

static unsigned int members_of_fault(const siginfo_t *info) {
    unsigned int members = UIPC_SI_ADDR;
    if (info->si_signo == SIGBUS && (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO)) {
        members |= UIPC_SI_ADDR_LSB;
    }
    if (info->si_signo == SIGSEGV && info->si_code == SEGV_BNDERR) {
        members |= UIPC_SI_BOUNDS;
    }
    if (info->si_signo == SIGSEGV && info->si_code == SEGV_PKUERR) {
        members |= UIPC_SI_PKEY;
    }
    return members;
}

static unsigned int members_from_kernel(const siginfo_t *info) {
    switch (info->si_signo) {
    case SIGILL:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP:
        return members_of_fault(info);
    case SIGCHLD:
        return UIPC_SI_SENDER | UIPC_SI_CHILD;
    case SIGPOLL:
        return UIPC_SI_POLL;
    case SIGSYS:
        return UIPC_SI_SYS;
    default: /* fcntl(F_SETSIG) has any signal tell what SIGIO tells */
        return info->si_code <= POLL_HUP ? UIPC_SI_POLL : UIPC_SI_SENDER;
    }
}

static unsigned int members_of(const siginfo_t *info) {
    switch (info->si_code) {
    case SI_USER:
    case SI_TKILL:
        return UIPC_SI_SENDER;
    case SI_KERNEL:
        return 0;
    case SI_TIMER:
        return UIPC_SI_TIMER_ID | UIPC_SI_VALUE;
    case SI_SIGIO:
        return UIPC_SI_POLL;
    default:
        return info->si_code < 0 ? UIPC_SI_SENDER | UIPC_SI_VALUE : members_from_kernel(info);
    }
}

void uipc_siginfo(const siginfo_t *info, struct uipc_siginfo *decoded) {
    memset(decoded, 0, sizeof *decoded);
    const unsigned int members = members_of(info);
    decoded->signo = info->si_signo;
    decoded->error = info->si_errno;
    decoded->code = info->si_code;
    decoded->members = members;
    if (members & UIPC_SI_SENDER) {
        decoded->pid = info->si_pid;
        decoded->uid = info->si_uid;
    }
    if (members & UIPC_SI_CHILD) {
        decoded->status = info->si_status;
        decoded->utime = info->si_utime;
        decoded->stime = info->si_stime;
    }
    if (members & UIPC_SI_VALUE) {
        decoded->value_int = info->si_value.sival_int;
        decoded->value_ptr = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
    }
    if (members & UIPC_SI_TIMER_ID) {
        decoded->timerid = info->si_timerid;
        decoded->overrun = info->si_overrun;
    }
    if (members & UIPC_SI_ADDR) {
        decoded->addr = (uint64_t)(uintptr_t)info->si_addr;
    }
    if (members & UIPC_SI_ADDR_LSB) {
        decoded->addr_lsb = info->si_addr_lsb;
    }
    if (members & UIPC_SI_BOUNDS) {
        decoded->lower = (uint64_t)(uintptr_t)info->si_lower;
        decoded->upper = (uint64_t)(uintptr_t)info->si_upper;
    }
    if (members & UIPC_SI_PKEY) {
        decoded->pkey = info->si_pkey;
    }
    if (members & UIPC_SI_POLL) {
        decoded->band = info->si_band;
        decoded->fd = info->si_fd;
    }
    if (members & UIPC_SI_SYS) {
        decoded->call_addr = (uint64_t)(uintptr_t)info->si_call_addr;
        decoded->syscall = info->si_syscall;
        decoded->arch = info->si_arch;
    }
}

/* getpid(2) without the system call: the kernel zeroes the page in a child, however that was made. */
static int own_pid(void) {
    static _Atomic(atomic_int *) known;
    atomic_int *place = atomic_load(&known);
    if (place == NULL) {
        const size_t size = (size_t)sysconf(_SC_PAGESIZE);
        void *const page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return getpid();
        }
        if (madvise(page, size, MADV_WIPEONFORK) < 0 || !atomic_compare_exchange_strong(&known, &place, page)) {
            munmap(page, size);
            return getpid();
        }
        place = page;
    }
    int pid = atomic_load(place);
    if (pid == 0) {
        pid = getpid();
        atomic_store(place, pid);
    }
    return pid;
}

UIPC_HOT void uipc_siginfo_with_value(siginfo_t *info, int signum, int code, union sigval value) {
    memset(info, 0, sizeof *info);
    info->si_signo = signum;
    info->si_code = code;
    info->si_pid = own_pid();
    info->si_uid = getuid();
    info->si_value = value;
}

static int queued(int signum, int code, union sigval value, void *raw) {
    siginfo_t info;
    uipc_siginfo_with_value(&info, signum, code, value);
    memcpy(raw, &info, sizeof info);
    return 0;
}

int uipc_siginfo_queued(int signum, int code, int sival_int, void *raw) {
    union sigval value;
    memset(&value, 0, sizeof value);
    value.sival_int = sival_int;
    return queued(signum, code, value, raw);
}

int uipc_siginfo_queued_ptr(int signum, int code, uint64_t sival_ptr, void *raw) {
    return queued(signum, code, (union sigval){.sival_ptr = (void *)(uintptr_t)sival_ptr}, raw);
}

/* The way back from signalfd_copyinfo() of the kernel's: the siginfo_t that a handler would have been given. The kernel
 * writes more members than sigaction(2) promises. Bounds and protection keys do not get through a descriptor: only
 * faults have them, and no descriptor gets those. */
int uipc_siginfo_from_signalfd(const void *ssi, void *raw) {
    struct signalfd_siginfo from;
    siginfo_t info;
    memcpy(&from, ssi, sizeof from);
    memset(&info, 0, sizeof info);
    info.si_signo = (int)from.ssi_signo;
    info.si_errno = from.ssi_errno;
    info.si_code = from.ssi_code;
    unsigned int members = members_of(&info);
    if (info.si_code == SI_KERNEL) {
        members |= UIPC_SI_SENDER;
    } else if (info.si_code == SI_TKILL) {
        members |= UIPC_SI_VALUE;
    }
    if (members & UIPC_SI_SENDER) {
        info.si_pid = (pid_t)from.ssi_pid;
        info.si_uid = from.ssi_uid;
    }
    if (members & UIPC_SI_CHILD) {
        info.si_status = from.ssi_status;
        info.si_utime = (clock_t)from.ssi_utime;
        info.si_stime = (clock_t)from.ssi_stime;
    }
    if (members & UIPC_SI_TIMER_ID) {
        info.si_timerid = (int)from.ssi_tid;
        info.si_overrun = (int)from.ssi_overrun;
    }
    if (members & UIPC_SI_VALUE) {
        info.si_value.sival_ptr = (void *)(uintptr_t)from.ssi_ptr;
    }
    if (members & UIPC_SI_ADDR) {
        info.si_addr = (void *)(uintptr_t)from.ssi_addr;
    }
    if (members & UIPC_SI_ADDR_LSB) {
        info.si_addr_lsb = (short)from.ssi_addr_lsb;
    }
    if (members & UIPC_SI_POLL) {
        info.si_band = from.ssi_band;
        info.si_fd = from.ssi_fd;
    }
    if (members & UIPC_SI_SYS) {
        info.si_call_addr = (void *)(uintptr_t)from.ssi_call_addr;
        info.si_syscall = from.ssi_syscall;
        info.si_arch = from.ssi_arch;
    }
    memcpy(raw, &info, sizeof info);
    return 0;
}
