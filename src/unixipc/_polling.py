"""A bounded look for what may come at any moment, before a wait that sleeps."""

from __future__ import annotations

from operator import index

from unixipc._cpython import Fronted

_MOST = 1000


class Polling(Fronted):
    """What queues have in common that can look for a message before they sleep."""

    @property
    def polls(self) -> int:
        """How often a receiver looks again, yielding the processor in between, before it sleeps: 0, unless it is set.

        To wake a process on another processor takes several times as long as to send it a message. Where an answer
        comes at once, 50 looks save that; where none comes, they cost some microseconds of processor time. It belongs
        to this object, not to the queue.
        """
        return getattr(self, "_polls", 0)

    @polls.setter
    def polls(self, polls: int) -> None:
        polls = index(polls)
        if not 0 <= polls <= _MOST:
            raise ValueError(f"polls is {polls}: a receiver looks 0 to {_MOST} times before it sleeps")
        self._polls = polls
