"""What processes have for themselves, and whose children they are: namespaces(7), mount(2), prctl(2)."""

from __future__ import annotations

import os

from unixipc import libc, processes
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, Side, expect, median_time
from unixipc.cli.tour import Family

family = Family()

_KEY = 0x756E6978
_PING, _PONG = 1, 2
_FEW_ROUNDS = 20
_DIGITS = 20
_MESSAGES = f"{ROUNDS} x {SIZE} bytes each way"


def _tell_pid(writes: int) -> None:
    libc.write(writes, str(os.getpid()).zfill(_DIGITS).encode())


def _enter(reads: int, name: str, nstype: int) -> None:
    """Enter a namespace of the process that tells its pid."""
    pid = int(libc.read(reads, _DIGITS))
    namespace = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
    libc.setns(namespace, nstype)
    os.close(namespace)


@family.mechanism("IPC namespace", calls="unshare setns msgget msgsnd msgrcv", travels=_MESSAGES)
def ipc_namespace(exchange: Exchange) -> float:
    """Have a queue where nobody else sees it; the other child enters to use it, and it goes with them."""
    reads, writes = exchange.pipe()

    def side(flags: int, sends: int, receives: int) -> Side:
        queue = libc.msgget(_KEY, flags)
        return Side(lambda data: libc.msgsnd(queue, sends, data), lambda: libc.msgrcv(queue, SIZE, receives)[1])

    def ping() -> Side:
        libc.unshare(libc.CLONE_NEWIPC)
        side_of_ping = side(libc.IPC_CREAT | libc.IPC_EXCL | 0o600, _PING, _PONG)
        _tell_pid(writes)
        return side_of_ping

    def pong() -> Side:
        _enter(reads, "ipc", libc.CLONE_NEWIPC)
        return side(0, _PONG, _PING)

    exchange.object = f"key {_KEY:#x} in a namespace of its own"
    return exchange.ping_pong(ping, pong)


@family.mechanism("mount namespace", calls="unshare setns mount umount2 mkfifo read write", travels=_MESSAGES)
def mount_namespace(exchange: Exchange) -> float:
    """Have FIFOs in a tmpfs that nobody else sees; the other child enters to open them."""
    reads, writes = exchange.pipe()
    there = exchange.path("ping")
    folder, back = there.parent, there.with_name("pong")
    exchange.object = f"tmpfs on {folder}"

    def ping() -> Side:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("tmpfs", folder, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0700")
        for fifo in (there, back):
            libc.mkfifo(fifo, 0o600)
        _tell_pid(writes)
        asks, answers = os.open(there, os.O_WRONLY), os.open(back, os.O_RDONLY)

        def close() -> None:
            libc.umount2(folder, libc.MNT_DETACH)  # the other may still have them open
            expect(list(folder.iterdir()), [], "what the folder has under the tmpfs")

        return Side(lambda data: libc.write(asks, data), lambda: libc.read(answers, SIZE), close)

    def pong() -> Side:
        _enter(reads, "mnt", libc.CLONE_NEWNS)
        asked, answers = os.open(there, os.O_RDONLY), os.open(back, os.O_WRONLY)
        return Side(lambda data: libc.write(answers, data), lambda: libc.read(asked, SIZE))

    return exchange.ping_pong(ping, pong)


@family.mechanism("detached mount", calls="fsopen fsconfig fsmount mkfifo read write", travels=_MESSAGES)
def detached_mount(exchange: Exchange) -> float:
    """Have FIFOs in a tmpfs that is mounted nowhere, and goes with the descriptor that both children inherit."""
    making = libc.fsopen("tmpfs")
    exchange.defer(os.close, making)
    libc.fsconfig(making, libc.FSCONFIG_CMD_CREATE)
    mounted = libc.fsmount(making)
    exchange.defer(os.close, mounted)
    there, back = f"/proc/self/fd/{mounted}/ping", f"/proc/self/fd/{mounted}/pong"
    for fifo in (there, back):
        libc.mkfifo(fifo, 0o600)
    exchange.object = f"tmpfs at descriptor {mounted}"

    def ping() -> Side:
        asks, answers = os.open(there, os.O_WRONLY), os.open(back, os.O_RDONLY)
        return Side(lambda data: libc.write(asks, data), lambda: libc.read(answers, SIZE))

    def pong() -> Side:
        asked, answers = os.open(there, os.O_RDONLY), os.open(back, os.O_WRONLY)
        return Side(lambda data: libc.write(answers, data), lambda: libc.read(asked, SIZE))

    return exchange.ping_pong(ping, pong)


@family.mechanism("adoption of orphans", calls="prctl", travels=f"{_FEW_ROUNDS} exit statuses")
def adoption_of_orphans(exchange: Exchange) -> float:
    """Become the parent of grandchildren whose parents have ended, and learn how these end."""

    def abandons(status: int) -> int:
        orphan = os.fork()
        if orphan == 0:
            os._exit(status)
        return orphan

    def adopts() -> float:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        expect(libc.prctl(libc.PR_GET_CHILD_SUBREAPER), 1, "PR_GET_CHILD_SUBREAPER")

        def adopt(number: int) -> None:
            with processes.fork(abandons, number) as parent:
                orphan = parent.result()
            _, status = os.waitpid(orphan, 0)
            expect(os.waitstatus_to_exitcode(status), number, "exit status of an orphan")

        return median_time(adopt, _FEW_ROUNDS)

    adopting = exchange.fork(adopts)
    exchange.object = f"pid {adopting.pid}"
    exchange.finish(adopting)
    return adopting.result()
