"""libc.Exporter: a class whose objects show memory that is another object's."""

from __future__ import annotations

import gc

import pytest

from unixipc import libc


class Window(libc.Exporter):
    def __init__(self, shown: object) -> None:
        self.shown = shown

    @property
    def _exported(self) -> object:  # type: ignore[override]  # what is no buffer is tried, too
        if self.shown is None:
            raise LookupError("nothing is shown")
        return self.shown


def mapping() -> libc.Mapping:
    return libc.mmap(None, libc.PAGE_SIZE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)


def test_the_view_shows_and_pins_what_is_exported() -> None:
    memory = mapping()
    window = Window(memory)
    with memoryview(window) as view:
        assert (view.format, view.shape, view.readonly) == ("B", (libc.PAGE_SIZE,), False)
        view[:3] = b"abc"
        window.shown = None
        libc.munmap(memory)
        assert bytes(view[:3]) == b"abc"
        assert view.obj is memory
    window.shown = mapping()
    assert bytes(window) == bytes(bytearray(window)) == bytes(libc.PAGE_SIZE)
    libc.munmap(window.shown)


def test_what_is_readonly_is_shown_readonly() -> None:
    with memoryview(Window(b"bytes")) as view:
        assert view.readonly
        assert bytes(view) == b"bytes"


def test_the_error_of_who_has_nothing_to_show_comes_through() -> None:
    with pytest.raises(LookupError, match="nothing is shown"):
        memoryview(Window(None))
    with pytest.raises(AttributeError, match="_exported"):
        memoryview(libc.Exporter())
    with pytest.raises(TypeError, match="bytes-like object"):
        memoryview(Window(5))


def test_who_shows_himself_without_end_is_stopped() -> None:
    window = Window(None)
    window.shown = window
    with pytest.raises(RecursionError):
        memoryview(window)
    window.shown = None


def test_exporters_are_let_go_with_their_class() -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, type) and thing.__name__ == "Passing" for thing in gc.get_objects())

    for _ in range(20):
        kind = type("Passing", (libc.Exporter,), {"_exported": b"x", "__slots__": ()})
        assert bytes(memoryview(kind())) == b"x"
    del kind
    assert alive() == 0
