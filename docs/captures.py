"""Make docs/captures anew: every view of the command line in a terminal, at 80 and 140 columns, light and dark.

It takes root, tmux and the extra `cli`: `python docs/captures.py [VIEW …]`. The views are taken in namespaces of their
own, so that they show objects and processes made for them, and nothing of the machine but its limits.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from unixipc import libc, memory, posix, testing
from unixipc.processes import die_with_parent, mount_namespace

CAPTURES = Path(__file__).parent / "captures"
LINES = 44
CREATE = libc.IPC_CREAT | libc.IPC_EXCL | 0o600
VIEWS = {
    "tour": "tour",
    "ls": "ls",
    "rm": "rm --orphans --likely --dry-run",
    "signals": "signals --threads {server}",
    "kill": "kill -l",
    "limits": "limits",
    "top": "top --interval 0.5",
}
"""The commands; in the signals of the server there is something to see."""

# The sixteen colours as xterm has them, but the blue, on white and on black.
NORMAL = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
]
BRIGHT = [
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255,) * 3,
]
THEMES = {
    "light": TerminalTheme((255, 255, 255), (0, 0, 0), NORMAL, BRIGHT),
    "dark": TerminalTheme((0, 0, 0), (229, 229, 229), NORMAL, BRIGHT),
}
FORMAT = re.sub(r"<!--.*?-->|@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""That of rich, which would ask a server for its font."""


def tmux(*arguments: str) -> str:
    """Have a terminal in a server of our own."""
    command = ["tmux", "-L", "unixipc-captures", "-f", os.devnull, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def capture(view: str, columns: int) -> list[str]:
    """Run a view in a terminal of so many columns, and take the lines of its screen."""
    inside = f"{sys.executable} {__file__} --inside {view}"
    tmux("new-session", "-d", "-x", str(columns), "-y", str(LINES), inside)
    try:
        tmux("set-option", "status", "off")
        tmux("resize-window", "-x", str(columns), "-y", str(LINES))
        tmux("wait-for", "seen")
        return tmux("capture-pane", "-p", "-e", "-S", "-").rstrip("\n").split("\n")
    finally:
        tmux("kill-session")


def draw(view: str, columns: int, lines: list[str]) -> None:
    """Draw the lines as images, without what comes below the screen."""
    for name, theme in THEMES.items():
        console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="standard")
        shown = lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
        for text in AnsiDecoder().decode("\n".join(shown)):  # what one line sets, holds for the next
            text.rstrip()
            console.print(text, overflow="crop", no_wrap=True)
        title, file = f"unixipc {VIEWS[view].format(server=3)}", f"{view}-{columns}-{name}"
        drawn = console.export_svg(title=title, theme=theme, code_format=FORMAT, unique_id=file)
        (CAPTURES / f"{file}.svg").write_text(re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE))


def main(views: list[str]) -> None:
    """Make all views anew, or those that are named."""
    CAPTURES.mkdir(exist_ok=True)
    for view in views or VIEWS:
        for columns in (80, 140):
            draw(view, columns, capture(view, columns))


def inside(view: str) -> None:
    """Be alone, with objects to show, and run the view here."""
    libc.unshare(libc.CLONE_NEWPID | libc.CLONE_NEWNET)
    os.waitpid(start(alone, view), 0)  # the first process of a pid namespace, with which all others end


def start(function: Callable[..., object], *arguments: object) -> int:
    """Run it in a child that is named after it; the harness of the package would show among the memfds."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        die_with_parent(parent)
        Path("/proc/self/comm").write_text(function.__name__)
        function(*arguments)
        os._exit(0)
    return pid


def alone(view: str) -> None:
    """Make the objects, run the view, and stay until the terminal is closed."""
    with testing.private_ipc(shm_size=1 << 26), mount_namespace() as mounts:
        libc.mount("proc", "/proc", "proc")
        mounts.tmpfs("/run", None)
        os.waitpid(start(leave), 0)
        told, ready = os.pipe()
        pids = {"server": start(server, ready), "waiter": start(waiter), "worker": start(worker, ready)}
        os.read(told, 1), os.read(told, 1)
        os.close(told), os.close(ready)
        command = VIEWS[view].format(**pids)
        print(f"$ unixipc {command}", flush=True)
        program = subprocess.Popen([sys.executable, "-m", "unixipc", *command.split()])
        if view == "top":
            time.sleep(4)
        else:
            program.wait()
        subprocess.run(["tmux", "wait-for", "-S", "seen"], check=True)
        signal.pause()


def leave() -> None:
    """Make what is left behind."""
    libc.shmget(libc.IPC_PRIVATE, 1 << 20, CREATE)
    libc.semop(libc.semget(libc.IPC_PRIVATE, 3, CREATE), [(0, 1)])
    posix.Semaphore.create("/turn", 1).close()


def server(ready: int) -> None:
    """Hold one object of each kind, block, ignore and catch some signals, and receive what the worker sends."""
    attached = libc.shmat(libc.shmget(0x5EA, 1 << 16, CREATE))
    queue = libc.msgget(0x5EB, libc.IPC_CREAT | 0o600)
    held = [
        posix.SharedMemory.create("/frame", 1 << 20),
        posix.Semaphore.create("/idle", 0),
        posix.MessageQueue.create("/jobs", max_messages=10, max_size=64),
        memory.MemoryFile.create(5000, name="picture"),
    ]
    os.mkfifo("/run/news")
    news = os.open("/run/news", os.O_RDWR)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1, libc.SIGRTMIN + 3})
    os.kill(os.getpid(), libc.SIGUSR1)
    os.write(ready, b"!")
    while attached and held and news:
        for _ in range(3):
            libc.msgrcv(queue, 100)
        time.sleep(0.4)


def waiter() -> None:
    """Wait for a semaphore that nobody gives."""
    libc.semop(libc.semget(0x5EC, 2, libc.IPC_CREAT | 0o600), [(0, -1)])


def worker(ready: int) -> None:
    """Send faster than the server receives."""
    queue, semaphores = libc.msgget(0x5EB, libc.IPC_CREAT | 0o600), libc.semget(0x5EC, 2, libc.IPC_CREAT | 0o600)
    os.write(ready, b"!")
    while True:
        libc.msgsnd(queue, 1, b"x" * 80)
        libc.semop(semaphores, [(1, 1)])
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2])
    else:
        main(sys.argv[1:])
