"""The compiled shim, as shim.h and constants.h declare it; tests/test_native.py holds the two together."""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, Self, overload, type_check_only

from typing_extensions import Buffer

@type_check_only
class _CInt(Protocol):
    def __getitem__(self, index: Literal[0], /) -> int: ...
    def __setitem__(self, index: Literal[0], value: int, /) -> None: ...

@type_check_only
class _CInts(Protocol):
    def __getitem__(self, index: int, /) -> int: ...

@type_check_only
class _CTime(Protocol):
    def __getitem__(self, index: Literal[0, 1], /) -> int: ...

@type_check_only
class _Pollfd(Protocol):
    fd: int
    events: int
    revents: int

@type_check_only
class _Pollfds(Protocol):
    def __getitem__(self, index: int, /) -> _Pollfd: ...

@type_check_only
class _CBytes(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def __len__(self) -> int: ...

@type_check_only
class _Itimerspec(Protocol):
    interval_sec: int
    interval_nsec: int
    value_sec: int
    value_nsec: int

@type_check_only
class _Sigevent(Protocol):
    notify: int
    signo: int
    value_is_ptr: int
    value_int: int
    value_ptr: int
    notify_thread_id: int

@type_check_only
class _MqAttr(Protocol):
    flags: int
    maxmsg: int
    msgsize: int
    curmsgs: int

@type_check_only
class _Action(Protocol):
    handler: int
    mask: int
    flags: int
    ours: int
    cpythons: int

@type_check_only
class _IpcPerm(Protocol):
    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int

@type_check_only
class _ShmidDs(Protocol):
    perm: _IpcPerm
    segsz: int
    atime: int
    dtime: int
    ctime: int
    cpid: int
    lpid: int
    nattch: int

@type_check_only
class _Shminfo(Protocol):
    shmmax: int
    shmmin: int
    shmmni: int
    shmseg: int
    shmall: int

@type_check_only
class _ShmInfo(Protocol):
    used_ids: int
    tot: int
    rss: int
    swp: int

@type_check_only
class _MsqidDs(Protocol):
    perm: _IpcPerm
    stime: int
    rtime: int
    ctime: int
    cbytes: int
    qnum: int
    qbytes: int
    lspid: int
    lrpid: int

@type_check_only
class _Msginfo(Protocol):
    msgpool: int
    msgmap: int
    msgmax: int
    msgmnb: int
    msgmni: int
    msgssz: int
    msgtql: int
    msgseg: int

@type_check_only
class _Sembuf(Protocol):
    sem_num: int
    sem_op: int
    sem_flg: int

@type_check_only
class _Sembufs(Protocol):
    def __getitem__(self, index: int, /) -> _Sembuf: ...
    def __len__(self) -> int: ...

@type_check_only
class _Iovec(Protocol):
    base: _CBytes
    len: int

@type_check_only
class _Iovecs(Protocol):
    def __getitem__(self, index: int, /) -> _Iovec: ...
    def __len__(self) -> int: ...

@type_check_only
class _CShorts(Protocol):
    def __iter__(self) -> Iterator[int]: ...

@type_check_only
class _SemidDs(Protocol):
    perm: _IpcPerm
    otime: int
    ctime: int
    nsems: int

@type_check_only
class _Seminfo(Protocol):
    semmap: int
    semmni: int
    semmns: int
    semmnu: int
    semmsl: int
    semopm: int
    semume: int
    semusz: int
    semvmx: int
    semaem: int

@type_check_only
class _Lib(Protocol):
    SIGHUP: int
    SIGINT: int
    SIGQUIT: int
    SIGILL: int
    SIGTRAP: int
    SIGABRT: int
    SIGBUS: int
    SIGFPE: int
    SIGKILL: int
    SIGUSR1: int
    SIGSEGV: int
    SIGUSR2: int
    SIGPIPE: int
    SIGALRM: int
    SIGTERM: int
    SIGSTKFLT: int
    SIGCHLD: int
    SIGCONT: int
    SIGSTOP: int
    SIGTSTP: int
    SIGTTIN: int
    SIGTTOU: int
    SIGURG: int
    SIGXCPU: int
    SIGXFSZ: int
    SIGVTALRM: int
    SIGPROF: int
    SIGWINCH: int
    SIGIO: int
    SIGPWR: int
    SIGSYS: int
    SIGIOT: int
    SIGCLD: int
    SIGPOLL: int
    SIG_BLOCK: int
    SIG_UNBLOCK: int
    SIG_SETMASK: int
    SA_NOCLDSTOP: int
    SA_NOCLDWAIT: int
    SA_SIGINFO: int
    SA_ONSTACK: int
    SA_RESTART: int
    SA_NODEFER: int
    SA_RESETHAND: int
    SA_INTERRUPT: int
    SA_NOMASK: int
    SA_ONESHOT: int
    SA_STACK: int
    SI_USER: int
    SI_KERNEL: int
    SI_QUEUE: int
    SI_TIMER: int
    SI_MESGQ: int
    SI_ASYNCIO: int
    SI_SIGIO: int
    SI_TKILL: int
    SI_DETHREAD: int
    SI_ASYNCNL: int
    ILL_ILLOPC: int
    ILL_ILLOPN: int
    ILL_ILLADR: int
    ILL_ILLTRP: int
    ILL_PRVOPC: int
    ILL_PRVREG: int
    ILL_COPROC: int
    ILL_BADSTK: int
    ILL_BADIADDR: int
    FPE_INTDIV: int
    FPE_INTOVF: int
    FPE_FLTDIV: int
    FPE_FLTOVF: int
    FPE_FLTUND: int
    FPE_FLTRES: int
    FPE_FLTINV: int
    FPE_FLTSUB: int
    FPE_FLTUNK: int
    FPE_CONDTRAP: int
    SEGV_MAPERR: int
    SEGV_ACCERR: int
    SEGV_BNDERR: int
    SEGV_PKUERR: int
    SEGV_ACCADI: int
    SEGV_ADIDERR: int
    SEGV_ADIPERR: int
    SEGV_MTEAERR: int
    SEGV_MTESERR: int
    BUS_ADRALN: int
    BUS_ADRERR: int
    BUS_OBJERR: int
    BUS_MCEERR_AR: int
    BUS_MCEERR_AO: int
    TRAP_BRKPT: int
    TRAP_TRACE: int
    TRAP_BRANCH: int
    TRAP_HWBKPT: int
    TRAP_UNK: int
    CLD_EXITED: int
    CLD_KILLED: int
    CLD_DUMPED: int
    CLD_TRAPPED: int
    CLD_STOPPED: int
    CLD_CONTINUED: int
    SYS_SECCOMP: int
    SYS_USER_DISPATCH: int
    POLL_IN: int
    POLL_OUT: int
    POLL_MSG: int
    POLL_ERR: int
    POLL_PRI: int
    POLL_HUP: int
    PIDFD_NONBLOCK: int
    PIDFD_THREAD: int
    PIDFD_SIGNAL_THREAD: int
    PIDFD_SIGNAL_THREAD_GROUP: int
    PIDFD_SIGNAL_PROCESS_GROUP: int
    SFD_CLOEXEC: int
    SFD_NONBLOCK: int
    SS_ONSTACK: int
    SS_DISABLE: int
    SS_AUTODISARM: int
    CLOCK_REALTIME: int
    CLOCK_MONOTONIC: int
    CLOCK_PROCESS_CPUTIME_ID: int
    CLOCK_THREAD_CPUTIME_ID: int
    CLOCK_MONOTONIC_RAW: int
    CLOCK_REALTIME_COARSE: int
    CLOCK_MONOTONIC_COARSE: int
    CLOCK_BOOTTIME: int
    CLOCK_REALTIME_ALARM: int
    CLOCK_BOOTTIME_ALARM: int
    CLOCK_TAI: int
    TIMER_ABSTIME: int
    ITIMER_REAL: int
    ITIMER_VIRTUAL: int
    ITIMER_PROF: int
    SIGEV_SIGNAL: int
    SIGEV_NONE: int
    SIGEV_THREAD: int
    SIGEV_THREAD_ID: int
    IPC_PRIVATE: int
    IPC_CREAT: int
    IPC_EXCL: int
    IPC_NOWAIT: int
    IPC_RMID: int
    IPC_SET: int
    IPC_STAT: int
    IPC_INFO: int
    SHM_R: int
    SHM_W: int
    SHM_HUGETLB: int
    SHM_NORESERVE: int
    SHM_HUGE_SHIFT: int
    SHM_HUGE_MASK: int
    SHM_HUGE_2MB: int
    SHM_HUGE_1GB: int
    SHM_RDONLY: int
    SHM_RND: int
    SHM_REMAP: int
    SHM_EXEC: int
    SHM_LOCK: int
    SHM_UNLOCK: int
    SHM_STAT: int
    SHM_INFO: int
    SHM_STAT_ANY: int
    SHM_DEST: int
    SHM_LOCKED: int
    MSG_NOERROR: int
    MSG_EXCEPT: int
    MSG_COPY: int
    MSG_STAT: int
    MSG_INFO: int
    MSG_STAT_ANY: int
    SEM_UNDO: int
    GETVAL: int
    SETVAL: int
    GETALL: int
    SETALL: int
    GETPID: int
    GETNCNT: int
    GETZCNT: int
    SEM_STAT: int
    SEM_INFO: int
    SEM_STAT_ANY: int
    O_RDONLY: int
    O_WRONLY: int
    O_RDWR: int
    O_CREAT: int
    O_EXCL: int
    O_TRUNC: int
    MQ_PRIO_MAX: int
    SEM_VALUE_MAX: int
    NOTIFY_NONE: int
    NOTIFY_WOKENUP: int
    NOTIFY_REMOVED: int
    NOTIFY_COOKIE_LEN: int
    PROT_NONE: int
    PROT_READ: int
    PROT_WRITE: int
    PROT_EXEC: int
    PROT_SEM: int
    PROT_GROWSDOWN: int
    PROT_GROWSUP: int
    MAP_FILE: int
    MAP_SHARED: int
    MAP_PRIVATE: int
    MAP_SHARED_VALIDATE: int
    MAP_TYPE: int
    MAP_FIXED: int
    MAP_ANONYMOUS: int
    MAP_ANON: int
    MAP_32BIT: int
    MAP_GROWSDOWN: int
    MAP_DENYWRITE: int
    MAP_EXECUTABLE: int
    MAP_LOCKED: int
    MAP_NORESERVE: int
    MAP_POPULATE: int
    MAP_NONBLOCK: int
    MAP_STACK: int
    MAP_HUGETLB: int
    MAP_SYNC: int
    MAP_FIXED_NOREPLACE: int
    MAP_UNINITIALIZED: int
    MAP_DROPPABLE: int
    MAP_HUGE_SHIFT: int
    MAP_HUGE_MASK: int
    MAP_HUGE_16KB: int
    MAP_HUGE_64KB: int
    MAP_HUGE_512KB: int
    MAP_HUGE_1MB: int
    MAP_HUGE_2MB: int
    MAP_HUGE_8MB: int
    MAP_HUGE_16MB: int
    MAP_HUGE_32MB: int
    MAP_HUGE_256MB: int
    MAP_HUGE_512MB: int
    MAP_HUGE_1GB: int
    MAP_HUGE_2GB: int
    MAP_HUGE_16GB: int
    MS_ASYNC: int
    MS_INVALIDATE: int
    MS_SYNC: int
    MREMAP_MAYMOVE: int
    MREMAP_FIXED: int
    MREMAP_DONTUNMAP: int
    MADV_NORMAL: int
    MADV_RANDOM: int
    MADV_SEQUENTIAL: int
    MADV_WILLNEED: int
    MADV_DONTNEED: int
    MADV_FREE: int
    MADV_REMOVE: int
    MADV_DONTFORK: int
    MADV_DOFORK: int
    MADV_HWPOISON: int
    MADV_SOFT_OFFLINE: int
    MADV_MERGEABLE: int
    MADV_UNMERGEABLE: int
    MADV_HUGEPAGE: int
    MADV_NOHUGEPAGE: int
    MADV_COLLAPSE: int
    MADV_DONTDUMP: int
    MADV_DODUMP: int
    MADV_WIPEONFORK: int
    MADV_KEEPONFORK: int
    MADV_COLD: int
    MADV_PAGEOUT: int
    MADV_POPULATE_READ: int
    MADV_POPULATE_WRITE: int
    MADV_DONTNEED_LOCKED: int
    MADV_GUARD_INSTALL: int
    MADV_GUARD_REMOVE: int
    MLOCK_ONFAULT: int
    MCL_CURRENT: int
    MCL_FUTURE: int
    MCL_ONFAULT: int
    F_ADD_SEALS: int
    F_GET_SEALS: int
    F_SEAL_SEAL: int
    F_SEAL_SHRINK: int
    F_SEAL_GROW: int
    F_SEAL_WRITE: int
    F_SEAL_FUTURE_WRITE: int
    F_SEAL_EXEC: int
    O_CLOEXEC: int
    O_NONBLOCK: int
    O_DIRECT: int
    S_IFREG: int
    S_IFCHR: int
    S_IFBLK: int
    S_IFIFO: int
    S_IFSOCK: int
    SO_PEERGROUPS: int
    SO_PASSPIDFD: int
    SO_PEERPIDFD: int
    SCM_PIDFD: int
    UNIX_PATH_MAX: int
    NETLINK_SOCK_DIAG: int
    SOCK_DIAG_BY_FAMILY: int
    NLM_F_REQUEST: int
    NLM_F_DUMP: int
    NLMSG_DONE: int
    NLMSG_ERROR: int
    UDIAG_SHOW_NAME: int
    UDIAG_SHOW_VFS: int
    UDIAG_SHOW_PEER: int
    UDIAG_SHOW_ICONS: int
    UDIAG_SHOW_RQLEN: int
    UDIAG_SHOW_UID: int
    UNIX_DIAG_NAME: int
    UNIX_DIAG_VFS: int
    UNIX_DIAG_PEER: int
    UNIX_DIAG_ICONS: int
    UNIX_DIAG_RQLEN: int
    UNIX_DIAG_UID: int
    SYS_msgsnd: int
    SYS_msgrcv: int
    SYS_semop: int
    SYS_semtimedop: int
    SPLICE_F_MOVE: int
    SPLICE_F_NONBLOCK: int
    SPLICE_F_MORE: int
    SPLICE_F_GIFT: int
    PR_SET_PDEATHSIG: int
    PR_SET_CHILD_SUBREAPER: int
    PR_GET_PDEATHSIG: int
    PR_GET_CHILD_SUBREAPER: int
    CLONE_FILES: int
    CLONE_FS: int
    CLONE_NEWCGROUP: int
    CLONE_NEWIPC: int
    CLONE_NEWNET: int
    CLONE_NEWNS: int
    CLONE_NEWPID: int
    CLONE_NEWTIME: int
    CLONE_NEWUSER: int
    CLONE_NEWUTS: int
    CLONE_SYSVSEM: int
    MS_RDONLY: int
    MS_NOSUID: int
    MS_NODEV: int
    MS_NOEXEC: int
    MS_SYNCHRONOUS: int
    MS_REMOUNT: int
    MS_MANDLOCK: int
    MS_DIRSYNC: int
    MS_NOSYMFOLLOW: int
    MS_NOATIME: int
    MS_NODIRATIME: int
    MS_BIND: int
    MS_MOVE: int
    MS_REC: int
    MS_SILENT: int
    MS_POSIXACL: int
    MS_UNBINDABLE: int
    MS_PRIVATE: int
    MS_SLAVE: int
    MS_SHARED: int
    MS_RELATIME: int
    MS_STRICTATIME: int
    MS_LAZYTIME: int
    MNT_FORCE: int
    MNT_DETACH: int
    MNT_EXPIRE: int
    UMOUNT_NOFOLLOW: int
    FSOPEN_CLOEXEC: int
    FSCONFIG_SET_FLAG: int
    FSCONFIG_SET_STRING: int
    FSCONFIG_SET_PATH: int
    FSCONFIG_SET_FD: int
    FSCONFIG_CMD_CREATE: int
    FSCONFIG_CMD_RECONFIGURE: int
    FSMOUNT_CLOEXEC: int
    MOUNT_ATTR_RDONLY: int
    MOUNT_ATTR_NOSUID: int
    MOUNT_ATTR_NODEV: int
    MOUNT_ATTR_NOEXEC: int
    MOUNT_ATTR_NOATIME: int
    MOUNT_ATTR_STRICTATIME: int
    MOUNT_ATTR_NODIRATIME: int
    MOUNT_ATTR_NOSYMFOLLOW: int
    RTLD_LAZY: int
    RTLD_NOW: int
    RTLD_GLOBAL: int
    RTLD_LOCAL: int
    RTLD_NODELETE: int
    RTLD_NOLOAD: int
    RTLD_DEEPBIND: int
    PT_NULL: int
    PT_LOAD: int
    PT_DYNAMIC: int
    PT_INTERP: int
    PT_NOTE: int
    PT_SHLIB: int
    PT_PHDR: int
    PT_TLS: int
    PT_GNU_EH_FRAME: int
    PT_GNU_STACK: int
    PT_GNU_RELRO: int
    PT_GNU_PROPERTY: int
    PF_X: int
    PF_W: int
    PF_R: int
    ERESTART: int
    UIPC_SIGINFO_SIZE: int
    UIPC_ON_COUNT: int
    UIPC_ON_FLAG: int
    UIPC_ON_RECORD: int
    UIPC_ON_EXIT: int
    UIPC_ON_CRASH: int
    UIPC_HANDLERS: int
    def uipc_sigrtmin(self) -> int: ...
    def uipc_sigrtmax(self) -> int: ...
    def uipc_kill(self, pid: int, signum: int, /) -> int: ...
    def uipc_killpg(self, pgrp: int, signum: int, /) -> int: ...
    def uipc_tgkill(self, tgid: int, tid: int, signum: int, /) -> int: ...
    def uipc_raise(self, signum: int, /) -> int: ...
    def uipc_sigqueue(self, pid: int, signum: int, sival_int: int, /) -> int: ...
    def uipc_sigqueue_ptr(self, pid: int, signum: int, sival_ptr: int, /) -> int: ...
    def uipc_pidfd_open(self, pid: int, flags: int, /) -> int: ...
    def uipc_pidfd_send_signal(self, pidfd: int, signum: int, siginfo: bytes | None, flags: int, /) -> int: ...
    def uipc_sigprocmask(self, how: int, set: _CInt | None, oldset: _CInt | None, /) -> int: ...
    def uipc_sigpending(self, set: _CInt, /) -> int: ...
    def uipc_sigsuspend(self, mask: int, /) -> int: ...
    def uipc_pause(self) -> int: ...
    def uipc_sigwaitinfo(self, set: int, siginfo: _CBytes, /) -> int: ...
    def uipc_sigtimedwait(self, set: int, siginfo: _CBytes, left: _CTime, /) -> int: ...
    def uipc_ppoll(self, fds: _Pollfds, count: int, left: _CTime | None, mask: _CInt | None, /) -> int: ...
    def uipc_alarm(self, seconds: int, /) -> int: ...
    def uipc_abort(self) -> int: ...
    def uipc_rt_sigqueueinfo(self, tgid: int, signum: int, siginfo: bytes, /) -> int: ...
    def uipc_rt_tgsigqueueinfo(self, tgid: int, tid: int, signum: int, siginfo: bytes, /) -> int: ...
    def uipc_signalfd(self, fd: int, mask: int, flags: int, /) -> int: ...
    def uipc_sigstksz(self) -> int: ...
    def uipc_siginfo_queued(self, signum: int, code: int, sival_int: int, raw: _CBytes, /) -> int: ...
    def uipc_siginfo_queued_ptr(self, signum: int, code: int, sival_ptr: int, raw: _CBytes, /) -> int: ...
    def uipc_siginfo_from_signalfd(self, ssi: bytes, raw: _CBytes, /) -> int: ...
    def uipc_sig_dfl(self) -> int: ...
    def uipc_sig_ign(self) -> int: ...
    def uipc_sigaction_get(self, signum: int, action: _Action, /) -> int: ...
    def uipc_sigaction_ours(self, signum: int, action: _Action, /) -> int: ...
    def uipc_sigaction_set(self, signum: int, handler: int, mask: int, flags: int, /) -> int: ...
    def uipc_sigaction_python(self, signum: int, mask: int, flags: int, /) -> int: ...
    def uipc_signals_lost(self) -> int: ...
    def uipc_setitimer(self, which: int, value: _Itimerspec, old: _Itimerspec, /) -> int: ...
    def uipc_getitimer(self, which: int, value: _Itimerspec, /) -> int: ...
    def uipc_timer_create(self, clockid: int, event: _Sigevent | None, timerid: _CInt, /) -> int: ...
    def uipc_timer_settime(self, timerid: int, flags: int, value: _Itimerspec, old: _Itimerspec, /) -> int: ...
    def uipc_timer_gettime(self, timerid: int, value: _Itimerspec, /) -> int: ...
    def uipc_timer_getoverrun(self, timerid: int, /) -> int: ...
    def uipc_timer_delete(self, timerid: int, /) -> int: ...
    def uipc_handler(self, kind: int, /) -> int: ...
    def uipc_handler_argument(self, signum: int, handler: int, /) -> int: ...
    def uipc_counter_value(self, address: int, /) -> int: ...
    def uipc_counter_take(self, address: int, /) -> int: ...
    def uipc_counter_record(self, address: int, fd: int, /) -> int: ...
    def uipc_crash_mark(self) -> int: ...
    def uipc_counter_crash(self, address: int, fd: int, /) -> int: ...
    def uipc_crash_displaces(self, signum: int, /) -> int: ...
    def uipc_crash_watch(self, signals: int, argument: int, /) -> int: ...
    def uipc_crash_unwatched(self, signals: int, over: int, unwatched: _CInt, /) -> int: ...
    def uipc_ftok(self, pathname: bytes, proj_id: int, key: _CInt, /) -> int: ...
    def uipc_shmget(self, key: int, size: int, shmflg: int, /) -> int: ...
    def uipc_shmat(self, shmid: int, shmaddr: int, shmflg: int, address: _CInt, size: _CInt, /) -> int: ...
    def uipc_shmdt(self, shmaddr: int, /) -> int: ...
    def uipc_shmctl(self, shmid: int, cmd: int, /) -> int: ...
    def uipc_shmctl_stat(self, shmid: int, cmd: int, ds: _ShmidDs, /) -> int: ...
    def uipc_shmctl_set(self, shmid: int, ds: _ShmidDs, /) -> int: ...
    def uipc_shmctl_limits(self, info: _Shminfo, /) -> int: ...
    def uipc_shmctl_usage(self, info: _ShmInfo, /) -> int: ...
    def uipc_msgget(self, key: int, msgflg: int, /) -> int: ...
    def uipc_msgsnd(
        self,
        msqid: int,
        mtypes: _CInts | list[int],
        sizes: _CInts | list[int],
        texts: _CBytes | bytes,
        count: int,
        msgflg: int,
        left: _CTime | None,
        /,
    ) -> int: ...
    def uipc_msgrcv(
        self,
        msqid: int,
        mtypes: _CInts,
        sizes: _CInts,
        texts: _CBytes,
        room: int,
        count: int,
        msgsz: int,
        msgtyp: int,
        msgflg: int,
        left: _CTime | None,
        /,
    ) -> int: ...
    def uipc_msgctl(self, msqid: int, cmd: int, /) -> int: ...
    def uipc_msgctl_stat(self, msqid: int, cmd: int, ds: _MsqidDs, /) -> int: ...
    def uipc_msgctl_set(self, msqid: int, ds: _MsqidDs, /) -> int: ...
    def uipc_msgctl_info(self, cmd: int, info: _Msginfo, /) -> int: ...
    def uipc_semget(self, key: int, nsems: int, semflg: int, /) -> int: ...
    def uipc_semop(self, semid: int, sops: _Sembufs, nsops: int, /) -> int: ...
    def uipc_semtimedop(self, semid: int, sops: _Sembufs, nsops: int, left: _CTime, /) -> int: ...
    def uipc_semctl(self, semid: int, semnum: int, cmd: int, val: int, /) -> int: ...
    def uipc_semctl_all(self, semid: int, cmd: int, array: _CShorts, nsems: int, /) -> int: ...
    def uipc_semctl_stat(self, semid: int, cmd: int, ds: _SemidDs, /) -> int: ...
    def uipc_semctl_set(self, semid: int, ds: _SemidDs, /) -> int: ...
    def uipc_semctl_info(self, cmd: int, info: _Seminfo, /) -> int: ...
    def uipc_mq_open(self, name: bytes, oflag: int, mode: int, attr: _MqAttr | None, /) -> int: ...
    def uipc_mq_close(self, mqdes: int, /) -> int: ...
    def uipc_mq_unlink(self, name: bytes, /) -> int: ...
    def uipc_mq_send(self, mqdes: int, msg: _CBytes, len: int, prio: int, /) -> int: ...
    def uipc_mq_timedsend(self, mqdes: int, msg: _CBytes, len: int, prio: int, sec: int, nsec: int, /) -> int: ...
    def uipc_mq_receive(self, mqdes: int, msg: _CBytes, len: int, prio: _CInt, /) -> int: ...
    def uipc_mq_timedreceive(self, mqdes: int, msg: _CBytes, len: int, prio: _CInt, sec: int, nsec: int, /) -> int: ...
    def uipc_mq_send_many(
        self,
        mqdes: int,
        prios: _CInts,
        sizes: _CInts,
        texts: _CBytes | bytes,
        count: int,
        until: _CTime | None,
        /,
    ) -> int: ...
    def uipc_mq_receive_many(
        self,
        mqdes: int,
        prios: _CInts,
        sizes: _CInts,
        texts: _CBytes,
        room: int,
        count: int,
        msgsize: int,
        until: _CTime | None,
        /,
    ) -> int: ...
    def uipc_mq_getattr(self, mqdes: int, attr: _MqAttr, /) -> int: ...
    def uipc_mq_setattr(self, mqdes: int, newattr: _MqAttr, oldattr: _MqAttr, /) -> int: ...
    def uipc_mq_notify(self, mqdes: int, event: _Sigevent | None, /) -> int: ...
    def uipc_mq_notify_fd(self, mqdes: int, /) -> int: ...
    def uipc_sem_size(self) -> int: ...
    def uipc_sem_alignment(self) -> int: ...
    def uipc_sem_open(self, name: bytes, oflag: int, mode: int, value: int, address: _CInt, /) -> int: ...
    def uipc_sem_close(self, address: int, /) -> int: ...
    def uipc_sem_unlink(self, name: bytes, /) -> int: ...
    def uipc_sem_init(self, address: int, pshared: int, value: int, /) -> int: ...
    def uipc_sem_destroy(self, address: int, /) -> int: ...
    def uipc_sem_trywait(self, address: int, /) -> int: ...
    def uipc_sem_wait(self, address: int, /) -> int: ...
    def uipc_sem_timedwait(self, address: int, sec: int, nsec: int, /) -> int: ...
    def uipc_sem_clockwait(self, address: int, clockid: int, sec: int, nsec: int, /) -> int: ...
    def uipc_sem_post(self, address: int, /) -> int: ...
    def uipc_sem_getvalue(self, address: int, sval: _CInt, /) -> int: ...
    def uipc_shm_open(self, name: bytes, oflag: int, mode: int, /) -> int: ...
    def uipc_shm_unlink(self, name: bytes, /) -> int: ...
    def uipc_page_size(self) -> int: ...
    def uipc_mmap(
        self, hint: int, length: int, prot: int, flags: int, fd: int, offset: int, address: _CInt, /
    ) -> int: ...
    def uipc_munmap(self, address: int, length: int, /) -> int: ...
    def uipc_mprotect(self, address: int, length: int, prot: int, /) -> int: ...
    def uipc_msync(self, address: int, length: int, flags: int, /) -> int: ...
    def uipc_mremap(
        self, address: int, old_size: int, new_size: int, flags: int, new_address: int, moved: _CInt, /
    ) -> int: ...
    def uipc_madvise(self, address: int, length: int, advice: int, /) -> int: ...
    def uipc_mlock(self, address: int, length: int, /) -> int: ...
    def uipc_mlock2(self, address: int, length: int, flags: int, /) -> int: ...
    def uipc_munlock(self, address: int, length: int, /) -> int: ...
    def uipc_mlockall(self, flags: int, /) -> int: ...
    def uipc_munlockall(self) -> int: ...
    def uipc_mincore(self, address: int, length: int, vec: _CBytes, /) -> int: ...
    def uipc_pipe(self, flags: int, read_end: _CInt, write_end: _CInt, /) -> int: ...
    def uipc_mkfifo(self, pathname: bytes, mode: int, /) -> int: ...
    def uipc_mknod(self, pathname: bytes, mode: int, dev: int, /) -> int: ...
    def uipc_open(self, pathname: bytes, flags: int, mode: int, left: _CTime | None, /) -> int: ...
    def uipc_read(self, fd: int, buffer: _CBytes, count: int, left: _CTime | None, /) -> int: ...
    def uipc_write(self, fd: int, buffer: _CBytes, count: int, left: _CTime | None, /) -> int: ...
    def uipc_tee(self, fd_in: int, fd_out: int, len: int, flags: int, /) -> int: ...
    def uipc_vmsplice(self, fd: int, iov: _Iovecs, nr_segs: int, flags: int, /) -> int: ...
    def uipc_prctl(self, option: int, argument: int, /) -> int: ...
    def uipc_prctl_get(self, option: int, value: _CInt, /) -> int: ...
    def uipc_unshare(self, flags: int, /) -> int: ...
    def uipc_setns(self, fd: int, nstype: int, /) -> int: ...
    def uipc_mount(
        self, source: bytes, target: bytes, filesystemtype: bytes, mountflags: int, data: bytes, /
    ) -> int: ...
    def uipc_umount2(self, target: bytes, flags: int, /) -> int: ...
    def uipc_fsopen(self, fsname: bytes, flags: int, /) -> int: ...
    def uipc_fsconfig(self, fd: int, cmd: int, key: bytes | None, value: bytes | None, aux: int, /) -> int: ...
    def uipc_fsmount(self, fs_fd: int, flags: int, attr_flags: int, /) -> int: ...

@type_check_only
class _FFI(Protocol):
    NULL: None
    @overload
    def new(self, cdecl: Literal["struct uipc_action *"], /) -> _Action: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_itimerspec *"], init: tuple[int, ...] = ..., /) -> _Itimerspec: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_sigevent *"], init: tuple[int, ...] = ..., /) -> _Sigevent: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_mq_attr *"], init: tuple[int, ...] = ..., /) -> _MqAttr: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_ipc_perm *"], /) -> _IpcPerm: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_shmid_ds *"], /) -> _ShmidDs: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_shminfo *"], /) -> _Shminfo: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_shm_info *"], /) -> _ShmInfo: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_msqid_ds *"], /) -> _MsqidDs: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_msginfo *"], /) -> _Msginfo: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_sembuf[]"], init: Sequence[tuple[int, int, int]], /) -> _Sembufs: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_iovec[]"], init: Sequence[tuple[_CBytes, int]], /) -> _Iovecs: ...
    @overload
    def new(self, cdecl: Literal["unsigned short[]"], init: int | list[int], /) -> _CShorts: ...
    @overload
    def new(self, cdecl: Literal["int64_t[]", "size_t[]"], init: int | list[int], /) -> _CInts: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_semid_ds *"], /) -> _SemidDs: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_seminfo *"], /) -> _Seminfo: ...
    @overload
    def new(self, cdecl: Literal["int *", "unsigned int *"], init: int = ..., /) -> _CInt: ...
    @overload
    def new(self, cdecl: Literal["struct uipc_pollfd[]"], init: list[tuple[int, int, int]], /) -> _Pollfds: ...
    @overload
    def new(self, cdecl: Literal["int64_t[2]"], init: tuple[int, int], /) -> _CTime: ...
    @overload
    def new(self, cdecl: Literal["int64_t *"], init: int = ..., /) -> _CInt: ...
    @overload
    def new(self, cdecl: Literal["uint64_t *"], init: int = ..., /) -> _CInt: ...
    @overload
    def new(self, cdecl: Literal["size_t *"], init: int = ..., /) -> _CInt: ...
    @overload
    def new(self, cdecl: Literal["unsigned char[]", "char[]"], length: int, /) -> _CBytes: ...
    def from_buffer(self, python_buffer: Buffer, require_writable: bool = ...) -> _CBytes: ...
    def buffer(self, cdata: _CBytes, size: int = ..., /) -> memoryview: ...

lib: _Lib
ffi: _FFI
