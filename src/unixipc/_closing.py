"""Objects that are used until they are closed."""

from __future__ import annotations

import warnings
from typing import Self

from unixipc._cpython import Restoring


class Closing(Restoring):
    """An object that leaving its with-block closes."""

    __slots__ = ()

    def close(self) -> None:
        """End the use of the object by this process; twice is fine."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def _restore(self) -> None:
        self.close()


class Holding(Closing):
    """One that holds something of the kernel's: when it is dropped open, it is closed with a ResourceWarning."""

    __slots__ = ()

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        raise NotImplementedError

    def __del__(self) -> None:
        try:
            if self.closed:
                return
            text = f"unclosed {self!r}"
        except AttributeError:  # it was never quite made
            return
        try:
            warnings.warn(text, ResourceWarning, source=self, stacklevel=1)
        finally:
            self.close()
