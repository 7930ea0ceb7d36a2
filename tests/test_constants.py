"""unixipc.constants: the names that the headers define, with the compiler's values."""

import re
import shutil
import signal
import subprocess
from enum import IntEnum, IntFlag

import pytest

from unixipc import _native, constants, libc

HEADERS = """
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <linux/mman.h>
#include <sys/shm.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
"""
FAMILIES = re.compile(
    r"(SIG(?!ST|RT|_|EV)[A-Z0-9]+|(SA|SI|CLD|ILL|FPE|SEGV|BUS|TRAP|POLL|SIG(?!_ATOMIC)|IPC|SHM|MSG|SEM|MAP|PROT|MS|MADV|MREMAP|MLOCK|MCL|F_SEAL|SFD|SS|SIGEV|CLOCK|TIMER|ITIMER|RTLD)_\w+|(GET|SET)(VAL|ALL|PID|NCNT|ZCNT))"
)
NOT_BOUND = {
    "MAP_FAILED": "mmap() raises",
    "RTLD_BINDING_MASK": "RTLD_LAZY | RTLD_NOW",
    "RTLD_NEXT": "it would mean what lies behind the shim",
    "SIG_ERR": "signal() raises",
    "SIG_HOLD": "sigset(3) is not bound",
}


def _enumerations() -> list[type[IntEnum] | type[IntFlag]]:
    return [
        value
        for value in vars(constants).values()
        if isinstance(value, type) and issubclass(value, IntEnum | IntFlag) and value not in (IntEnum, IntFlag)
    ]


def test_every_name_that_the_headers_define_is_bound() -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    command = [compiler, "-E", "-dM", "-D_GNU_SOURCE=1", "-"]
    text = subprocess.run(command, input=HEADERS, capture_output=True, text=True, check=True).stdout
    defined = {name for line in text.splitlines() if FAMILIES.fullmatch(name := line.split()[1].partition("(")[0])}
    assert len(defined) > 150
    assert defined - set(vars(libc)) == set(NOT_BOUND) & defined


def test_every_member_stands_in_libc_under_its_c_name_with_the_compiler_s_value() -> None:
    enumerations = _enumerations()
    assert len(enumerations) > 20
    for enumeration in enumerations:
        for name, member in enumeration.__members__.items():
            assert getattr(libc, name) is member
            assert member == getattr(_native.lib, name, member)


def test_values_agree_with_the_standard_library() -> None:
    for member in signal.Signals:
        assert getattr(libc, member.name) == member
    for name in ("SIG_DFL", "SIG_IGN", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK"):
        assert getattr(libc, name) == getattr(signal, name)


def test_the_door_to_c_is_not_exported() -> None:
    assert not {"lib", "ffi"} & set(vars(libc))


@pytest.mark.parametrize(
    ("signum", "name"),
    [
        (libc.SIGINT, "SIGINT"),
        (libc.SIGIO, "SIGIO"),
        (libc.SIGRTMIN, "SIGRTMIN"),
        (libc.SIGRTMIN + 3, "SIGRTMIN+3"),
        (32, "32"),
        (0, "0"),
    ],
)
def test_signals_are_named_as_signal_7_does(signum: int, name: str) -> None:
    assert constants.signal_name(signum) == name
