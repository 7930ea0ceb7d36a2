"""libc.dl: dlopen(3) and what it tells about itself."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from maps import SANITIZED, span_at

from unixipc import libc
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

LIBM = "libm.so.6"

untyped: Any = libc


@pytest.fixture
def library(c_library: Path) -> Iterator[libc.Library]:
    """Load the library of tests/libc/c until the test ends."""
    loaded = libc.dlopen(c_library, libc.RTLD_NOW)
    yield loaded
    if not loaded.closed:
        libc.dlclose(loaded)


def _names() -> list[str]:
    return [loaded.dlpi_name for loaded in libc.dl_iterate_phdr()]


def _int_at(address: int) -> int:
    return ctypes.c_int.from_address(address).value


# -- libraries and symbols --


def test_a_symbol_s_address_is_that_of_the_thing(library: libc.Library) -> None:
    assert _int_at(libc.dlsym(library, "number")) == 42
    assert libc.dlsym(library, b"number") == libc.dlsym(library, "number")
    negate = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)(libc.dlsym(libc.RTLD_DEFAULT, "labs"))
    assert negate(-5) == 5


def test_a_symbol_at_address_0_is_found(library: libc.Library) -> None:
    assert libc.dlsym(library, "at_zero") == 0


@pytest.mark.parametrize("as_path", [str, os.fsencode, Path], ids=["str", "bytes", "PathLike"])
def test_a_library_is_named_as_any_path_is(c_library: Path, as_path: Callable[[Path], Any]) -> None:
    loaded = libc.dlopen(as_path(c_library), libc.RTLD_LAZY)
    assert repr(loaded) == f"<Library {c_library}>"
    libc.dlclose(loaded)


def test_none_is_the_program_with_all_that_it_shares() -> None:
    program = libc.dlopen(None, libc.RTLD_NOW)
    assert libc.dlsym(program, "labs") == libc.dlsym(libc.RTLD_DEFAULT, "labs")
    libc.dlclose(program)


def test_a_library_loaded_twice_is_the_same_and_goes_with_the_last(c_library: Path, library: libc.Library) -> None:
    second = libc.dlopen(c_library, libc.RTLD_NOW)
    assert libc.dlsym(second, "number") == libc.dlsym(library, "number")
    libc.dlclose(second)
    assert str(c_library) in _names()
    libc.dlclose(library)
    assert str(c_library) not in _names()


def test_dlclose_runs_what_the_library_wants_done_at_its_end(library: libc.Library) -> None:
    reader, writer = libc.pipe()
    ctypes.c_int.from_address(libc.dlsym(library, "closing")).value = writer
    libc.dlclose(library)
    os.close(writer)
    assert libc.read(reader, 10) == b"bye"
    os.close(reader)


def test_only_what_is_global_is_found_by_default(fork: Fork, c_library: Path) -> None:
    def child() -> int:
        libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_LOCAL)
        with pytest.raises(OSError, match="undefined symbol: on_signal_with_info"):
            libc.dlsym(libc.RTLD_DEFAULT, "on_signal_with_info")
        found = libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_GLOBAL)
        assert libc.dlsym(libc.RTLD_DEFAULT, "on_signal_with_info") == libc.dlsym(found, "on_signal_with_info")
        return len([name for name in _names() if name == str(c_library)])

    assert fork(child).result() == 1


def test_with_rtld_noload_only_what_is_loaded_is_opened(c_library: Path) -> None:
    with pytest.raises(OSError, match="it is not loaded, and RTLD_NOLOAD does not load it") as caught:
        libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_NOLOAD)
    assert caught.value.errno == errno.ELIBACC
    first = libc.dlopen(c_library, libc.RTLD_NOW)
    second = libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_NOLOAD)
    libc.dlclose(first)
    assert _int_at(libc.dlsym(second, "number")) == 42
    libc.dlclose(second)


def test_with_rtld_nodelete_a_library_stays_although_it_is_closed(fork: Fork, c_library: Path) -> None:
    def child() -> int:
        loaded = libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_NODELETE)
        address = libc.dlsym(loaded, "number")
        libc.dlclose(loaded)
        assert str(c_library) in _names()
        return _int_at(address)

    assert fork(child).result() == 42


@pytest.mark.skipif(SANITIZED, reason="the address sanitizer does not take RTLD_DEEPBIND")
def test_with_rtld_deepbind_a_library_still_finds_its_own(c_library: Path) -> None:
    loaded = libc.dlopen(c_library, libc.RTLD_NOW | libc.RTLD_DEEPBIND)
    assert _int_at(libc.dlsym(loaded, "number")) == 42
    libc.dlclose(loaded)


def test_a_library_that_is_dropped_stays_loaded(fork: Fork, c_library: Path) -> None:
    def child() -> int:
        address = libc.dlsym(libc.dlopen(c_library, libc.RTLD_NOW), "number")
        gc.collect()
        return _int_at(address)

    assert fork(child).result() == 42


def test_a_version_of_a_symbol_is_found_and_a_wrong_one_is_not() -> None:
    mathematics = libc.dlopen(LIBM, libc.RTLD_LAZY)
    versions = {f"GLIBC_2.{minor}" for minor in range(50)} | {"GLIBC_2.2.5", "GLIBC_2.0"}
    found = set()
    for version in versions:
        with suppress(OSError):
            found.add(libc.dlvsym(mathematics, "cbrt", version))
    with pytest.raises(OSError, match="undefined symbol: cbrt, version GLIBC_1") as caught:
        libc.dlvsym(mathematics, "cbrt", "GLIBC_1")
    assert caught.value.errno == errno.ELIBACC
    assert found == {libc.dlsym(mathematics, "cbrt")}
    libc.dlclose(mathematics)


# -- what is refused --


def test_a_path_that_leads_nowhere_is_filenotfounderror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dlopen\(.*/absent.so, RTLD_NOW\): .*cannot open shared object file"):
        libc.dlopen(tmp_path / "absent.so", libc.RTLD_NOW)


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF", b"\x7fELF\2\1\1" + bytes(200)])
def test_a_file_that_is_no_library_is_refused_in_the_loader_s_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wrong.so").write_bytes(content)
    with pytest.raises(OSError, match=r"dlopen\(.*wrong.so") as caught:
        libc.dlopen(tmp_path / "wrong.so", libc.RTLD_NOW)
    assert caught.value.errno == errno.ELIBACC


def test_a_name_that_the_loader_does_not_find_is_refused() -> None:
    with pytest.raises(OSError, match=r"cannot open shared object file: No such file") as caught:
        libc.dlopen("libunixipc-absent.so.1", libc.RTLD_NOW)
    assert caught.value.errno == errno.ELIBACC


@pytest.mark.parametrize("flags", [0, libc.RTLD_GLOBAL, 0x40000001, 0x80000001, 2**40 + 1, -1, 1 << 20 | 1])
def test_flags_that_dlopen_does_not_have_are_refused(flags: int) -> None:
    with pytest.raises(OSError, match="give RTLD_LAZY or RTLD_NOW") as caught:
        libc.dlopen(LIBM, flags)
    assert caught.value.errno == errno.EINVAL


def test_an_absent_symbol_is_refused_by_its_name(library: libc.Library) -> None:
    with pytest.raises(OSError, match=r"dlsym\(<Library .*>, absent\): .*undefined symbol: absent") as caught:
        libc.dlsym(library, "absent")
    assert caught.value.errno == errno.ELIBACC


def test_a_closed_library_says_so(library: libc.Library) -> None:
    libc.dlclose(library)
    assert library.closed
    assert repr(library).endswith(", closed>")
    uses: list[Callable[[], object]] = [
        lambda: libc.dlsym(library, "number"),
        lambda: libc.dlvsym(library, "number", "V1"),
        lambda: libc.dlclose(library),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"the library .*own.so is closed"):
            use()


def test_the_default_handle_is_never_closed() -> None:
    with pytest.raises(ValueError, match="RTLD_DEFAULT is not a library that was opened"):
        libc.dlclose(libc.RTLD_DEFAULT)
    assert libc.dlsym(libc.RTLD_DEFAULT, "labs")


def test_a_handle_cannot_be_made_of_anything() -> None:
    for wrong in (0, 5, -1, None, "libm", object(), libc.dlsym(libc.RTLD_DEFAULT, "labs")):
        for use in (lambda handle: untyped.dlsym(handle, "labs"), untyped.dlclose):
            with pytest.raises(TypeError, match="Library"):
                use(wrong)
    with pytest.raises(TypeError, match="cannot create"):
        untyped.Library()
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Own", (untyped.Library,), {})
    with pytest.raises(AttributeError):
        untyped.RTLD_DEFAULT.closed = True
    with pytest.raises(TypeError):
        untyped.Library.__new__(untyped.Library)


@pytest.mark.deadline(600)  # which takes long where every load is looked at by a sanitizer
def test_threads_that_load_and_unload_at_once_disturb_nobody(fork: Fork, c_library: Path) -> None:
    def child() -> list[str]:
        wrong: list[str] = []

        def work() -> None:
            for number in range(200):
                loaded = libc.dlopen(c_library, libc.RTLD_NOW)
                address = libc.dlsym(loaded, "on_signal")
                info = libc.dladdr(address)
                if info is None or info.dli_sname != "on_signal":
                    wrong.append(repr(info))
                if number % 10 == 0 and str(c_library) not in _names():
                    wrong.append("nowhere")
                libc.dlclose(loaded)
                libc.dladdr(address)  # may lie in nothing now

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return wrong

    assert fork(child).result() == []


# -- where things are --


def test_an_address_tells_its_library_and_symbol(library: libc.Library, c_library: Path) -> None:
    address = libc.dlsym(library, "on_signal")
    info = libc.dladdr(address + 1)
    assert info is not None
    assert (info.dli_fname, info.dli_sname, info.dli_saddr) == (str(c_library), "on_signal", address)
    span = span_at(info.dli_fbase)
    assert span is not None
    assert span.file == str(c_library)


def test_an_address_that_no_symbol_is_near_tells_the_library(library: libc.Library, c_library: Path) -> None:
    here = libc.dladdr(libc.dlsym(library, "on_signal"))
    assert here is not None
    assert libc.dladdr(here.dli_fbase) == libc.DlInfo(str(c_library), here.dli_fbase, None, None)


def test_an_address_of_no_library_tells_nothing() -> None:
    memory = libc.mmap(None, 1, libc.PROT_READ, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)
    for address in (0, 1, memory.address, 2**47, 2**63, 2**64 - 1):
        assert libc.dladdr(address) is None
    libc.munmap(memory)
    for beyond in (-1, 2**64):
        with pytest.raises(OverflowError):
            libc.dladdr(beyond)


def test_the_segments_of_a_library_lie_where_the_kernel_says(library: libc.Library, c_library: Path) -> None:
    (found,) = (loaded for loaded in libc.dl_iterate_phdr() if loaded.dlpi_name == str(c_library))
    segments = [phdr for phdr in found.dlpi_phdr if phdr.p_type == libc.PT_LOAD]
    assert len(segments) > 1
    for segment in segments:
        span = span_at(found.dlpi_addr + segment.p_vaddr)
        assert span is not None
        assert span.file == str(c_library)
        assert ("x" in span.access) == bool(segment.p_flags & libc.PF_X)
    address = libc.dlsym(library, "on_signal")
    (code,) = (segment for segment in segments if segment.p_flags & libc.PF_X)
    assert 0 <= address - found.dlpi_addr - code.p_vaddr < code.p_memsz
    assert all(isinstance(phdr.p_flags, libc.SegmentFlag) for phdr in found.dlpi_phdr)


def test_the_counts_of_what_was_loaded_and_unloaded_grow(c_library: Path) -> None:
    before = libc.dl_iterate_phdr()[0]
    assert before.dlpi_name == ""
    libc.dlclose(libc.dlopen(c_library, libc.RTLD_NOW))
    after = libc.dl_iterate_phdr()[0]
    assert after.dlpi_adds > before.dlpi_adds
    assert after.dlpi_subs > before.dlpi_subs


def _base(path: Path) -> int:
    (base,) = (loaded.dlpi_addr for loaded in libc.dl_iterate_phdr() if loaded.dlpi_name == str(path))
    return base


WHERE = """
import sys
from unixipc import libc
library = libc.dlopen(sys.argv[1], libc.RTLD_NOW)
address = libc.dlsym(library, "on_signal")
info = libc.dladdr(address)
(base,) = (loaded.dlpi_addr for loaded in libc.dl_iterate_phdr() if loaded.dlpi_name == sys.argv[1])
print(info.dli_fname, info.dli_fbase, info.dli_sname, base, address)
"""


def test_a_forked_process_has_the_library_where_its_parent_has_it(
    fork: Fork, library: libc.Library, c_library: Path
) -> None:
    address = libc.dlsym(library, "on_signal")
    child = fork(lambda: (libc.dlsym(library, "on_signal"), libc.dladdr(address), _base(c_library)))
    assert child.result() == (address, libc.dladdr(address), _base(c_library))


def test_an_executed_process_has_the_library_at_the_same_distances(library: libc.Library, c_library: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WHERE, c_library], capture_output=True, text=True, check=True, timeout=DEADLINE
    )
    fname, fbase, sname, base, address = done.stdout.split()
    assert (fname, sname) == (str(c_library), "on_signal")
    assert int(base) == int(fbase)
    assert int(address) - int(base) == libc.dlsym(library, "on_signal") - _base(c_library)
