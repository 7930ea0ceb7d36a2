"""libc.fsopen: mounts at a descriptor."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unixipc.testing.plugin import Fork


@contextmanager
def closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def mounted(*, size: str = "64k", attributes: int = 0) -> Iterator[Path]:
    """Mount a tmpfs of so many bytes, or skip where nobody lets us."""
    try:
        making = libc.fsopen("tmpfs", libc.FSOPEN_CLOEXEC)
    except PermissionError as error:
        pytest.skip(str(error))
    with closing(making):
        libc.fsconfig(making, libc.FSCONFIG_SET_STRING, "size", size)
        libc.fsconfig(making, libc.FSCONFIG_CMD_CREATE)
        with closing(libc.fsmount(making, libc.FSMOUNT_CLOEXEC, attributes)) as mount:
            yield Path(f"/proc/self/fd/{mount}")


def test_what_is_mounted_is_a_file_system_of_its_own_that_nobody_else_sees() -> None:
    before = Path("/proc/self/mounts").read_text()
    with mounted() as folder:
        (folder / "file").write_text("text")
        assert [path.name for path in folder.iterdir()] == ["file"]
        with pytest.raises(OSError, match="No space left"):
            (folder / "large").write_bytes(bytes(1 << 17))
        assert Path("/proc/self/mounts").read_text() == before


def test_a_child_inherits_the_mount_with_its_descriptor(fork: Fork) -> None:
    with mounted() as folder:
        fork((folder / "file").touch).result()
        assert (folder / "file").exists()


def test_attributes_are_those_of_the_mount() -> None:
    with mounted(attributes=libc.MOUNT_ATTR_RDONLY) as folder, pytest.raises(OSError, match="Read-only") as refused:
        (folder / "file").touch()
    assert refused.value.errno == errno.EROFS


def test_errors_say_what_is_wrong() -> None:
    with mounted():
        pass
    with pytest.raises(
        OSError, match=r"fsopen\('no such', 0\): No such device: the kernel knows no file system"
    ) as raised:
        libc.fsopen("no such")
    assert raised.value.errno == errno.ENODEV
    with closing(libc.fsopen("tmpfs", libc.FSOPEN_CLOEXEC)) as making:
        with pytest.raises(OSError, match="the file system knows no such parameter"):
            libc.fsconfig(making, libc.FSCONFIG_SET_STRING, "no such", "1")
        with pytest.raises(OSError, match="fsmount"):
            libc.fsmount(making)
    with pytest.raises(ValueError, match="2 is not a valid FsconfigCommand"):
        libc.fsconfig(0, 2)


def test_without_rights_it_says_what_is_needed(fork: Fork) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take its rights away")

    def child() -> None:
        os.setuid(12345)
        with pytest.raises(PermissionError, match="it needs CAP_SYS_ADMIN"):
            libc.fsopen("tmpfs")

    fork(child).result()
