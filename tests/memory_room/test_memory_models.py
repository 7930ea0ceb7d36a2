"""unixipc.memory: what mappings show, against a plain bytearray."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memory_room.helpers import PAGE, READ, WRITE, put

from unixipc import libc
from unixipc.memory import Mapping, MemoryFile

SIZES = st.integers(1, 6 * PAGE)
DATA = st.binary(min_size=1, max_size=PAGE + 10)
PLACES = st.integers(0, 6 * PAGE - 1)


def whole_pages(size: int) -> int:
    return -(-size // PAGE) * PAGE


class FileMachine(RuleBasedStateMachine):
    """A file and two mappings of it: all show the same bytes, whoever wrote them."""

    def __init__(self) -> None:
        super().__init__()
        self.views: list[memoryview] = []

    @initialize(size=SIZES, in_memory=st.booleans())
    def begin(self, *, size: int, in_memory: bool) -> None:
        self.model = bytearray(size)
        if in_memory:
            with MemoryFile.create(size) as made:
                self.fd = os.dup(made.fileno())
        else:
            self.fd, path = tempfile.mkstemp()
            os.unlink(path)  # noqa: PTH108 - a path of mkstemp
            os.ftruncate(self.fd, size)
        self.writer = Mapping.of(self.fd, access="write")
        self.reader = Mapping.of(self.fd)
        self.writable = True

    @rule(place=PLACES, data=DATA)
    def write(self, place: int, data: bytes) -> None:
        data = data[: max(0, len(self.writer) - place)]
        if not self.writable:
            with memoryview(self.writer) as view, pytest.raises(TypeError, match="read-only"):
                view[:1] = b"x"
        elif data:
            put(self.writer, data, place)
            self.model[place : place + len(data)] = data

    @rule(place=PLACES, data=DATA)
    def write_to_the_file(self, place: int, data: bytes) -> None:
        data = data[: max(0, len(self.model) - place)]
        os.pwrite(self.fd, data, place)
        self.model[place : place + len(data)] = data

    @rule(size=SIZES)
    def make_the_file_longer(self, size: int) -> None:
        if size > len(self.model):
            os.posix_fallocate(self.fd, 0, size)
            self.model.extend(bytes(size - len(self.model)))

    @rule(size=SIZES, which=st.sampled_from(["writer", "reader"]))
    def resize(self, size: int, which: str) -> None:
        mapping: Mapping = getattr(self, which)
        before = len(mapping)
        if which == "writer" and self.views:
            with pytest.raises(BufferError, match="release"):
                mapping.resize(size)
        elif size > len(self.model):
            with pytest.raises(ValueError, match="make it longer first"):
                mapping.resize(size)
        else:
            mapping.resize(size)
            before = size
        assert len(mapping) == before

    @rule(writable=st.booleans())
    def protect(self, *, writable: bool) -> None:
        if self.writable and not writable and self.views:
            with pytest.raises(BufferError, match="release"):
                self.writer.protect(READ)
        else:
            self.writer.protect(READ | WRITE if writable else READ)
            self.writable = writable

    @rule(size=SIZES, page=st.integers(0, 5))
    def map_another_part(self, size: int, page: int) -> None:
        offset = page * PAGE
        if offset + size > len(self.model):
            with pytest.raises(ValueError, match="make it longer first"):
                Mapping.of(self.fd, size, offset=offset)
        else:
            with Mapping.of(self.fd, size, offset=offset) as part:
                assert bytes(part) == self.model[offset : offset + size]

    @rule()
    def map_again(self) -> None:
        self.reader.close()
        self.reader = Mapping.of(self.fd)
        assert len(self.reader) == len(self.model)

    @rule(data=DATA)
    def write_to_a_copy(self, data: bytes) -> None:
        with Mapping.of(self.fd, access="copy") as own:
            data = data[: len(own)]
            put(own, data)
            assert bytes(own) == data + self.model[len(data) :]

    @rule()
    def hold_a_view(self) -> None:
        self.views.append(memoryview(self.writer))

    @precondition(lambda self: self.views)
    @rule()
    def release_a_view(self) -> None:
        self.views.pop().release()

    @rule()
    def flush(self) -> None:
        self.writer.flush()
        self.writer.advise(libc.MADV_DONTNEED)

    @invariant()
    def all_show_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        assert os.fstat(self.fd).st_size == len(self.model)
        assert os.pread(self.fd, len(self.model), 0) == self.model
        for mapping in (self.writer, self.reader):
            assert bytes(mapping) == self.model[: len(mapping)]
        for view in self.views:
            assert view == self.model[: len(view)]

    def teardown(self) -> None:
        for view in self.views:
            view.release()
        if hasattr(self, "model"):
            self.writer.close()
            self.reader.close()
            os.close(self.fd)


class AnonymousMachine(RuleBasedStateMachine):
    """Private memory, of which each page is its own: what is written, given back, resized and protected."""

    @initialize(size=SIZES)
    def begin(self, size: int) -> None:
        self.mapping = Mapping.anonymous(size, shared=False)
        self.pages = bytearray(whole_pages(size))

    @rule(place=PLACES, data=DATA)
    def write(self, place: int, data: bytes) -> None:
        data = data[: max(0, len(self.mapping) - place)]
        put(self.mapping, data, place)
        self.pages[place : place + len(data)] = data

    @rule(size=SIZES)
    def resize(self, size: int) -> None:
        self.mapping.resize(size)
        self.pages = self.pages[: whole_pages(size)].ljust(whole_pages(size), b"\0")

    @rule(start=st.none() | st.integers(-6, 6), stop=st.none() | st.integers(-6 * PAGE, 6 * PAGE))
    def give_back(self, start: int | None, stop: int | None) -> None:
        size = len(self.mapping)
        part = slice(None if start is None else start * PAGE, stop)
        begin = 0 if part.start is None else part.start + size if part.start < 0 else part.start
        end = size if stop is None else stop + size if stop < 0 else stop
        if begin % PAGE or not 0 <= begin <= end <= whole_pages(size):
            with pytest.raises(ValueError, match=r"is not within|no multiple of"):
                self.mapping.advise(libc.MADV_DONTNEED, part)
        else:
            self.mapping.advise(libc.MADV_DONTNEED, part)
            if begin < end:
                self.pages[begin : whole_pages(end)] = bytes(whole_pages(end) - begin)

    @rule(page=st.integers(0, 5))
    def protect_and_back(self, page: int) -> None:
        part = slice(page * PAGE, (page + 1) * PAGE)
        if part.stop > len(self.pages):
            with pytest.raises(ValueError, match="is not within"):
                self.mapping.protect(READ, part)
            return
        self.mapping.protect(READ, part)
        with memoryview(self.mapping) as view:
            assert view.readonly
            assert view == self.pages[: len(view)]
        self.mapping.protect(libc.PROT_NONE, part)
        with pytest.raises(BufferError, match="cannot be read"):
            memoryview(self.mapping)
        self.mapping.protect(READ | WRITE)

    @invariant()
    def it_shows_what_was_written(self) -> None:
        if hasattr(self, "mapping"):
            assert bytes(self.mapping) == self.pages[: len(self.mapping)]
            assert len(self.mapping.resident()) == len(self.pages) // PAGE

    def teardown(self) -> None:
        if hasattr(self, "mapping"):
            self.mapping.close()


FEW: Any = settings(max_examples=40, stateful_step_count=25)
FileMachine.TestCase.settings = FEW
AnonymousMachine.TestCase.settings = FEW
TestAFileAndItsMappings = FileMachine.TestCase
TestPrivateMemory = AnonymousMachine.TestCase
