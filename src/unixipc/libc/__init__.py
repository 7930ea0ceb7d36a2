"""The calls themselves, under their man-page names, arguments in man-page order (docs/ledger.md lists them).

Output pointers become return values, and a pointer with its length becomes the object that owns the memory. Failure is
OSError with errno set. No call retries: an interrupted one raises InterruptedError, after the Python handlers have run.
"""

from unixipc._check import IdentifierRemovedError as IdentifierRemovedError
from unixipc._check import NotRecoverableError as NotRecoverableError
from unixipc._check import OwnerDiedError as OwnerDiedError
from unixipc.constants import *
from unixipc.libc.delivery import Handler as Handler
from unixipc.libc.delivery import NativeHandler as NativeHandler
from unixipc.libc.delivery import Sigaction as Sigaction
from unixipc.libc.delivery import bsd_signal as bsd_signal
from unixipc.libc.delivery import sigaction as sigaction
from unixipc.libc.delivery import signal as signal
from unixipc.libc.delivery import signals_lost as signals_lost
from unixipc.libc.delivery import sysv_signal as sysv_signal
from unixipc.libc.mapping import PAGE_SIZE as PAGE_SIZE
from unixipc.libc.mapping import Mapping as Mapping
from unixipc.libc.mapping import madvise as madvise
from unixipc.libc.mapping import mincore as mincore
from unixipc.libc.mapping import mlock as mlock
from unixipc.libc.mapping import mmap as mmap
from unixipc.libc.mapping import mprotect as mprotect
from unixipc.libc.mapping import mremap as mremap
from unixipc.libc.mapping import msync as msync
from unixipc.libc.mapping import munlock as munlock
from unixipc.libc.mapping import munmap as munmap
from unixipc.libc.pipes import mkfifo as mkfifo
from unixipc.libc.pipes import mknod as mknod
from unixipc.libc.pipes import pipe as pipe
from unixipc.libc.pipes import read as read
from unixipc.libc.pipes import write as write
from unixipc.libc.processes import prctl as prctl
from unixipc.libc.siginfo import Siginfo as Siginfo
from unixipc.libc.signals import abort as abort
from unixipc.libc.signals import alarm as alarm
from unixipc.libc.signals import kill as kill
from unixipc.libc.signals import killpg as killpg
from unixipc.libc.signals import pause as pause
from unixipc.libc.signals import pidfd_open as pidfd_open
from unixipc.libc.signals import pidfd_send_signal as pidfd_send_signal
from unixipc.libc.signals import ppoll as ppoll
from unixipc.libc.signals import pthread_sigmask as pthread_sigmask
from unixipc.libc.signals import raise_ as raise_
from unixipc.libc.signals import sigpending as sigpending
from unixipc.libc.signals import sigprocmask as sigprocmask
from unixipc.libc.signals import sigqueue as sigqueue
from unixipc.libc.signals import sigsuspend as sigsuspend
from unixipc.libc.signals import sigtimedwait as sigtimedwait
from unixipc.libc.signals import sigwait as sigwait
from unixipc.libc.signals import sigwaitinfo as sigwaitinfo
from unixipc.libc.signals import tgkill as tgkill
from unixipc.libc.sigsetops import SignalSet as SignalSet
from unixipc.libc.sysv import Attachment as Attachment
from unixipc.libc.sysv import IpcPerm as IpcPerm
from unixipc.libc.sysv import Msginfo as Msginfo
from unixipc.libc.sysv import MsqidDs as MsqidDs
from unixipc.libc.sysv import ShmidDs as ShmidDs
from unixipc.libc.sysv import ShmInfo as ShmInfo
from unixipc.libc.sysv import Shminfo as Shminfo
from unixipc.libc.sysv import ftok as ftok
from unixipc.libc.sysv import msgctl as msgctl
from unixipc.libc.sysv import msgget as msgget
from unixipc.libc.sysv import msgrcv as msgrcv
from unixipc.libc.sysv import msgsnd as msgsnd
from unixipc.libc.sysv import shmat as shmat
from unixipc.libc.sysv import shmctl as shmctl
from unixipc.libc.sysv import shmdt as shmdt
from unixipc.libc.sysv import shmget as shmget
