/* The system's headers from which constants.h takes its values, and what older ones of them lack. */
#ifndef UNIXIPC_SYSTEM_H
#define UNIXIPC_SYSTEM_H

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <linux/mman.h>
#include <linux/mqueue.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/un.h>
#include <linux/unix_diag.h>

/* shmget(2) names these, but the header that has them cannot stand beside the C library's. */
#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT MAP_HUGE_SHIFT
#define SHM_HUGE_MASK MAP_HUGE_MASK
#define SHM_HUGE_2MB MAP_HUGE_2MB
#define SHM_HUGE_1GB MAP_HUGE_1GB
#endif

/* The same of sigaltstack(2)... */
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

/* ...and of pidfd_open(2) and pidfd_send_signal(2): Linux has some of them only from 6.9 on, and says so when asked. */
#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#ifndef PIDFD_SIGNAL_THREAD
#define PIDFD_SIGNAL_THREAD (1U << 0)
#define PIDFD_SIGNAL_THREAD_GROUP (1U << 1)
#define PIDFD_SIGNAL_PROCESS_GROUP (1U << 2)
#endif

/* ...and of unshare(2), from Linux 5.6 on, and mount(2), from 5.10 on. */
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* ...and of fsopen(2), which glibc names from 2.36 on; the kernel's header cannot stand beside <sys/mount.h>. */
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 0x1
#define FSCONFIG_SET_FLAG 0
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_PATH 3
#define FSCONFIG_SET_FD 5
#define FSCONFIG_CMD_CREATE 6
#define FSCONFIG_CMD_RECONFIGURE 7
#define FSMOUNT_CLOEXEC 0x1
#define MOUNT_ATTR_RDONLY 0x1
#define MOUNT_ATTR_NOSUID 0x2
#define MOUNT_ATTR_NODEV 0x4
#define MOUNT_ATTR_NOEXEC 0x8
#define MOUNT_ATTR_NOATIME 0x10
#define MOUNT_ATTR_STRICTATIME 0x20
#define MOUNT_ATTR_NODIRATIME 0x80
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW /* from Linux 5.14 on */
#define MOUNT_ATTR_NOSYMFOLLOW 0x200000
#endif

/* ...and of unix(7), from Linux 6.5 on: an older one says so when asked. Some processors number them otherwise. */
#if !defined(__hppa__) && !defined(__sparc__)
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04
#endif

/* ...and of sigaction(2), in which the C library's lack these. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1
#endif
#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

/* What the headers of the build do not know yet: no call has room for this number, so none takes it for a flag. */
#define UIPC_ABSENT (1LL << 62)

#ifndef SI_DETHREAD
#define SI_DETHREAD UIPC_ABSENT
#endif
#ifndef SI_ASYNCNL
#define SI_ASYNCNL UIPC_ABSENT
#endif
#ifndef TRAP_UNK
#define TRAP_UNK UIPC_ABSENT
#endif
#ifndef FPE_FLTUNK
#define FPE_FLTUNK UIPC_ABSENT
#endif
#ifndef FPE_CONDTRAP
#define FPE_CONDTRAP UIPC_ABSENT
#endif
#ifndef ILL_BADIADDR
#define ILL_BADIADDR UIPC_ABSENT
#endif
#ifndef SEGV_PKUERR
#define SEGV_PKUERR UIPC_ABSENT
#endif
#ifndef SEGV_ACCADI
#define SEGV_ACCADI UIPC_ABSENT
#endif
#ifndef SEGV_ADIDERR
#define SEGV_ADIDERR UIPC_ABSENT
#endif
#ifndef SEGV_ADIPERR
#define SEGV_ADIPERR UIPC_ABSENT
#endif
#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR UIPC_ABSENT
#endif
#ifndef SEGV_MTESERR
#define SEGV_MTESERR UIPC_ABSENT
#endif
/* These have numbers of their own only where there is no ipc(2) for all of them. */
#ifndef SYS_msgsnd
#define SYS_msgsnd UIPC_ABSENT
#endif
#ifndef SYS_msgrcv
#define SYS_msgrcv UIPC_ABSENT
#endif
#ifndef SYS_semop
#define SYS_semop UIPC_ABSENT
#endif
#ifndef SYS_semtimedop
#define SYS_semtimedop UIPC_ABSENT
#endif
#ifndef UDIAG_SHOW_UID
#define UDIAG_SHOW_UID UIPC_ABSENT
#define UNIX_DIAG_UID UIPC_ABSENT
#endif
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY UIPC_ABSENT
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY UIPC_ABSENT
#endif
#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY UIPC_ABSENT
#endif
#ifndef MAP_32BIT
#define MAP_32BIT UIPC_ABSENT
#endif
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE UIPC_ABSENT
#endif
#ifndef MAP_SYNC
#define MAP_SYNC UIPC_ABSENT
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE UIPC_ABSENT
#endif
#ifndef MAP_UNINITIALIZED
#define MAP_UNINITIALIZED UIPC_ABSENT
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE UIPC_ABSENT
#endif
#ifndef MAP_HUGE_16KB
#define MAP_HUGE_16KB UIPC_ABSENT
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP UIPC_ABSENT
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE UIPC_ABSENT
#endif
#ifndef MADV_COLD
#define MADV_COLD UIPC_ABSENT
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT UIPC_ABSENT
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ UIPC_ABSENT
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE UIPC_ABSENT
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED UIPC_ABSENT
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL UIPC_ABSENT
#endif
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE UIPC_ABSENT
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD UIPC_ABSENT
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD UIPC_ABSENT
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT UIPC_ABSENT
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT UIPC_ABSENT
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE UIPC_ABSENT
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC UIPC_ABSENT
#endif
#ifndef PT_GNU_PROPERTY
#define PT_GNU_PROPERTY UIPC_ABSENT
#endif

#endif
