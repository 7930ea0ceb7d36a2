"""What was measured, for readers: tables for a terminal, and a report in Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from bench.bars import judge
from bench.reasons import UNEXPLAINED, UNSURE, reason
from bench.records import Kind
from bench.results import OURS, Spread, digits, is_c, is_ours, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.bars import Judgement
    from bench.records import Measured, Row
    from bench.results import Change, Results

TYPICAL = 64
"""The bytes of a message that stands for all where there is room for one size only."""

_WIDE = 120
"""From so many columns on, the table of a mechanism is one."""

_MET, _MISSED, _UNKNOWN, _SLOWER, _FASTER = "met", "not met", "not measured", "slower", "faster"
_STYLES = {_MISSED: "red", _UNKNOWN: "dim", _SLOWER: "red", _FASTER: "green"}
_WIDTHS = {"measured": 21, "side": 27, "size": 7, "time": 8, "to C": 5, "8 in 10": 14, "p99": 7, "MB/s": 6}

_LAST = {UNEXPLAINED: 1, UNSURE: 2}

_Key = TypeVar("_Key")


def time_text(nanoseconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, length in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= length:
            return f"{digits(nanoseconds / length)} {unit}"
    return f"{nanoseconds:.1f} ns" if nanoseconds < 10 else f"{nanoseconds:.0f} ns"


def size_text(size: int) -> str:
    """Write a size as powers of 1024; nothing for 0."""
    for unit, length in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= length and size % length == 0:
            return f"{size // length} {unit}"
    return f"{size} B" if size else ""


def rate(row: Row, nanoseconds: float) -> float:
    """Tell how many megabytes a second it is."""
    return row.size / nanoseconds * 1e3


def cores_text(cores: int) -> str:
    """Write a number of processors."""
    return {1: "one core", 2: "two cores"}.get(cores, f"{cores} cores")


def _what(row: Row) -> str:
    return str(row.kind) if row.kind is Kind.CALL else f"{row.kind}, {cores_text(row.cores)}"


def _side(row: Row) -> str:
    """Name a row where it stands alone; that it is ours goes without saying."""
    return row.mechanism + row.side.removeprefix(OURS) if is_ours(row.side) else f"{row.mechanism}, {row.side}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, before anybody knows what it is shown on; the columns from `numbers` on are figures."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int
    grouped: bool = False
    """On a terminal, what the first column repeats is shown once."""

    def rich(self, widths: Mapping[str, int]) -> Table:
        """Make it a table for a terminal; columns of the same heading get the same width in all tables."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
        table.title = Text(self.title, "bold")
        for i, heading in enumerate(self.headings):
            width = widths.get(heading)
            table.add_column(
                heading, min_width=width, overflow="fold", justify="right" if i >= self.numbers else "left"
            )
        first = ""
        for row in self.rows:
            style = _STYLES.get(row[-1]) or ("bold" if any(map(is_ours, row[: self.numbers])) else "")
            cells = list(row)
            if self.grouped and cells[0] == first:
                cells[0] = ""
            elif self.grouped:
                first = cells[0]
                table.add_section()
            table.add_row(*(Text(cell, style) for cell in cells))
        return table

    def markdown(self) -> str:
        """Write it in Markdown; nothing where it has no rows."""
        if not self.rows:
            return ""
        line = ["---:" if i >= self.numbers else "---" for i in range(len(self.headings))]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in (self.headings, line, *self.rows))


# -- the figures --

_FIGURES = "time", "to C", "8 in 10", "p99", "MB/s"


def tables(results: Results, width: int) -> Iterator[Table]:
    """Give the figures of the typical size and of the largest, as tables for a terminal of so many columns.

    Where it is narrow, a mechanism has one for each way in which it was measured.
    """
    shown = [each for each in results.measured if each.row.size in _outstanding(results, each.row)]
    grids = _wide(results, shown) if width >= _WIDE else _narrow(results, shown)
    return (grid.rich(_WIDTHS) for grid in grids)


def _wide(results: Results, measured: Iterable[Measured]) -> Iterator[Grid]:
    for mechanism, rows in _grouped(measured, lambda row: row.mechanism):
        lines = [[_what(each.row), *_figures(results, each)] for each in sorted(rows, key=_order)]
        yield Grid(mechanism, ("measured", "side", "size", *_FIGURES), lines, 2, grouped=True)


def _narrow(results: Results, measured: Iterable[Measured]) -> Iterator[Grid]:
    for mechanism, rows in _grouped(measured, lambda row: row.mechanism):
        for what, part in _grouped(sorted(rows, key=_order), _what):
            lines = [_figures(results, each) for each in part]
            # What a table for one way has nothing of is left out.
            kept = [i for i in range(len(lines[0])) if i < 2 or any(line[i] for line in lines)]
            headings = [("side", "size", *_FIGURES)[i] for i in kept]
            yield Grid(f"{mechanism}: {what}", headings, [[line[i] for i in kept] for line in lines], 1)


def _figures(results: Results, each: Measured) -> list[str]:
    row, typical = each.row, Spread.of(each.values).median
    to_c = results.to_c(row)
    return [
        row.side,
        size_text(row.size),
        time_text(typical),
        "" if to_c is None else digits(to_c.median),
        "" if to_c is None else to_c.range,
        time_text(Spread.of(each.tails).median) if each.tails else "",
        _rate_text(rate(row, typical)) if row.kind is Kind.THROUGHPUT else "",
    ]


def _rate_text(rate: float) -> str:
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"


def _outstanding(results: Results, row: Row) -> set[int]:
    """Choose the sizes of a mechanism that are shown where not all can be."""
    sizes = {each.row.size for each in results.measured if each.row.mechanism == row.mechanism}
    return {min(sizes, key=lambda size: abs(size - TYPICAL)), max(sizes)}


def _order(each: Measured) -> tuple[int, int, int]:
    return list(Kind).index(each.row.kind), each.row.cores, each.row.size


def _grouped(measured: Iterable[Measured], key: Callable[[Row], _Key]) -> Iterable[tuple[_Key, list[Measured]]]:
    groups: dict[_Key, list[Measured]] = {}
    for each in measured:
        groups.setdefault(key(each.row), []).append(each)
    return groups.items()


# -- the bars --


def bars(results: Results, width: int) -> Table:
    """Say of each ratio that is wanted whether it is met, in a table for a terminal of so many columns."""
    grid = _bars(results)
    if width < _WIDE:
        # Measured so, what, and of which size go into one column; the spread is left out.
        lines = [
            [", ".join(filter(None, (row[1], row[0], row[3]))), row[2], row[4], row[5], row[7]] for row in grid.rows
        ]
        grid = Grid(grid.title, ("side", "against", "at most", "is", ""), lines, 2)
    return grid.rich({})


def _bars(results: Results) -> Grid:
    lines = [_bar(judgement) for judgement in judge(results)]
    head = "measured", "side", "against", "size", "at most", "is", "8 in 10", "least", ""
    return Grid("What is wanted", head, lines, 3)


def _bar(judgement: Judgement) -> list[str]:
    bar, spread = judgement.bar, judgement.ratio
    verdict = {True: _MET, False: _MISSED, None: _UNKNOWN}[judgement.met]
    known = ["", ""] if spread is None else [digits(spread.median), spread.range]
    known.append("" if judgement.least is None else digits(judgement.least.median))
    return [_what(bar.row), _side(bar.row), bar.against, size_text(bar.size), digits(bar.most), *known, verdict]


def verdict(results: Results) -> str:
    """Count the bars that are met, and those that are not."""
    judged = judge(results)
    counts = Counter(judgement.met for judgement in judged)
    if not counts:
        return "no ratio is wanted of what was measured"
    unknown = f", {counts[None]} were not measured" if counts[None] else ""
    beyond = sum(judgement.met is False and judgement.beyond_reach for judgement in judged)
    least = f" ({beyond} of them out of reach here, as the least shows)" if beyond else ""
    met = f"{counts[True]} are met, {counts[False]} are not"
    return f"of the {counts.total()} ratios that are wanted {met}{least}{unknown}"


# -- who is ahead --


@dataclass(frozen=True, slots=True)
class Ahead:
    """A row of ours, and somebody who takes less time for the same; the ratio is our time to his."""

    row: Row
    rival: str
    ratio: Spread


def ahead(results: Results) -> list[Ahead]:
    """Name every row where C or a peer is ahead."""
    ours = (each for each in results.measured if is_ours(each.row.side))
    pairs = ((each, rival) for each in ours for rival in results.rivals(each.row))
    compared = (Ahead(each.row, rival.row.side, ratio(each, rival)) for each, rival in pairs)
    return [each for each in compared if each.ratio.median > 1]


def _lagging(results: Results) -> Iterator[str]:
    """Write, for each reason, what it is a reason for."""
    reasons: dict[str, list[Ahead]] = {}
    for each in ahead(results):
        reasons.setdefault(reason(each.row, each.rival, each.ratio), []).append(each)
    for text, rows in sorted(reasons.items(), key=lambda item: _LAST.get(item[0], 0)):
        sizes = sorted({each.row.size for each in rows})
        cells: dict[tuple[str, str, str], dict[int, str]] = {}
        for each in rows:
            cells.setdefault((_what(each.row), _side(each.row), each.rival), {})[each.row.size] = str(each.ratio)
        lines = [[*who, *(ratios.get(size, "") for size in sizes)] for who, ratios in cells.items()]
        headings = ("measured", "ours", "ahead", *(size_text(size) or "ratio" for size in sizes))
        yield f"{text}\n\n{Grid('', headings, lines, 3).markdown()}"


# -- at a glance --


@dataclass(frozen=True, slots=True)
class Glance:
    """A mechanism in short: a round trip on one core, of the typical size or of nothing, by us, C and the best peer."""

    ours: Measured
    c: Measured | None
    peer: Measured | None


GLANCE = f"Round trip of {TYPICAL} bytes, or of a signal, between two processes on one core"


def glances(results: Results) -> list[Glance]:
    """Take one of each mechanism that has a round trip, the fastest first."""
    found = []
    for each in results.measured:
        row = each.row
        if (row.kind, row.side, row.cores) != (Kind.ROUND_TRIP, OURS, 1) or row.size not in (TYPICAL, 0):
            continue
        rivals = sorted(results.rivals(row), key=lambda rival: Spread.of(rival.values).median)
        c = next((rival for rival in rivals if is_c(rival.row.side)), None)
        found.append(Glance(each, c, next((rival for rival in rivals if not is_c(rival.row.side)), None)))
    return sorted(found, key=lambda glance: Spread.of(glance.ours.values).median)


def glance_table(results: Results) -> Grid:
    """Make the one table that a README has room for."""
    lines = []
    for glance in glances(results):
        mine = glance.ours
        others = [["", ""] if it is None else [_typical(it), str(ratio(mine, it))] for it in (glance.c, glance.peer)]
        peer = "" if glance.peer is None else glance.peer.row.side
        lines.append([mine.row.mechanism, peer, _typical(mine), *others[0], *others[1]])
    headings = "mechanism", "best peer", "unixipc", "C", "ratio to C", "peer", "ratio to the peer"
    return Grid(GLANCE, headings, lines, 2)


def _typical(each: Measured) -> str:
    return time_text(Spread.of(each.values).median)


# -- the whole --

_INTRODUCTION = """\
Made by `{command}` on {machine}. A time is the median over the rounds of a run; of a round trip
each round has a median and a 99th percentile (p99) of its own. A ratio is the median over the rounds of two
times from the same round, and beside it stands where eight in ten of the rounds lie. Absolute times say little on a
shared machine, and ratios of two cores little where both sides sleep.
"""


def command(results: Results) -> str:
    """Say how the bench was called."""
    arguments = str(results.machine.get("arguments", "none"))
    return "python -m bench" + ("" if arguments == "none" else f" {arguments}")


def machine(results: Results) -> str:
    """Name the machine and the interpreter."""
    known = results.machine
    parts = f"{known.get('cpu_count', '?')} x {known.get('cpu_model_name', 'an unknown processor')}"
    python = str(known.get("python_version", "?")).split(" ")[0]
    return f"{parts}, {known.get('platform', 'an unknown system')}, Python {python}, {str(known.get('date', '?'))[:10]}"


def markdown(results: Results, charts: Mapping[str, Sequence[str]]) -> str:
    """Write the report; `charts` are the names of files, by mechanism, with "" for what shows all of them."""
    about = _INTRODUCTION.format(command=command(results), machine=machine(results))
    peers = f"The peers: {results.machine.get('peers', 'unknown')}.\n"
    parts = ["# What each mechanism costs\n", about, peers]
    parts += _images(charts, "")
    parts += ["## At a glance\n", f"{GLANCE}:\n", glance_table(results).markdown()]
    parts += ["## What is wanted\n", f"{_sentence(verdict(results))}\n", _bars(results).markdown()]
    parts += ["## Where others are ahead\n", _ahead_text(results), *_lagging(results)]
    parts.append("## All figures\n")
    for grid in _wide(results, results.measured):
        parts += [f"### {grid.title}\n", *_images(charts, grid.title), grid.markdown()]
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _ahead_text(results: Results) -> str:
    rows = ahead(results)
    of_c = sum(is_c(each.rival) for each in rows)
    return (
        f"C is ahead of a row of ours {of_c} times, and a peer {len(rows) - of_c} times. Here is every one, with our "
        "time divided by the other's.\n"
    )


def _images(charts: Mapping[str, Sequence[str]], mechanism: str) -> list[str]:
    return [f"![{mechanism or 'All mechanisms'}]({name})\n" for name in charts.get(mechanism, ())]


# -- two runs --


def changes(compared: Iterable[Change]) -> Grid:
    """Say what has become slower or faster, the worst first; what has not changed is left out."""
    lines = []
    for change in sorted(compared, key=lambda change: -change.ratio):
        if change.slower or change.faster:
            write = str if change.to_c else _times
            verdict = _SLOWER if change.slower else _FASTER
            sides = [write(change.old), write(change.new)]
            lines.append(
                [
                    _what(change.row),
                    _side(change.row),
                    size_text(change.row.size),
                    *sides,
                    digits(change.ratio),
                    verdict,
                ]
            )
    return Grid("What has changed", ("measured", "side", "size", "was", "is", "ratio", ""), lines, 2)


def _times(spread: Spread) -> str:
    return f"{time_text(spread.median)} ({time_text(spread.low)} to {time_text(spread.high)})"
