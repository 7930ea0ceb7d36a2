"""Signals for everyday use: signal(7) with lifetimes, timeouts and with-blocks, over `unixipc.libc`."""

from unixipc.libc import Siginfo as Siginfo
from unixipc.libc import SignalSet as SignalSet
from unixipc.libc import bsd_signal as bsd_signal
from unixipc.libc import sysv_signal as sysv_signal
from unixipc.signals.handling import blocked as blocked
from unixipc.signals.handling import handling as handling
from unixipc.signals.native import counting as counting
from unixipc.signals.native import exiting as exiting
from unixipc.signals.native import flagging as flagging
from unixipc.signals.native import load_handler as load_handler
from unixipc.signals.native import recording as recording
from unixipc.signals.receiver import Receiver as Receiver
from unixipc.signals.receiver import receiver as receiver
from unixipc.signals.sending import queue as queue
from unixipc.signals.sending import send as send
from unixipc.signals.sending import send_to_group as send_to_group
from unixipc.signals.shutdown import Stop as Stop
from unixipc.signals.shutdown import Terminated as Terminated
from unixipc.signals.shutdown import die_of as die_of
from unixipc.signals.shutdown import stopping as stopping
from unixipc.signals.shutdown import terminating as terminating
from unixipc.signals.shutdown import trap as trap
from unixipc.signals.signalfile import SignalFile as SignalFile
from unixipc.signals.timers import Timer as Timer
from unixipc.signals.waiting import suspend as suspend
from unixipc.signals.waiting import wait as wait
