"""What was measured, as charts: latency and throughput by size, and all mechanisms side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.records import Kind
from bench.report import cores_text, glances, rate, size_text, time_text
from bench.results import OURS, Spread, is_c, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.records import Measured, Row
    from bench.results import Results

SUMMARY = "summary.svg"

# Of Okabe and Ito: they differ for everybody, on light and on dark.
_BLUE, _GREY = "#0072B2", "#7F7F7F"
_OTHERS = "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933"
_WAYS = "-", (0, (8, 2)), (0, (3, 1, 1, 1))
"""Lines of ours, the plain way first."""

# A file must not change when the figures do not: no date, no ids by chance. Letters stay letters.
_SETTINGS = {
    "svg.hashsalt": OURS,
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
}
_METADATA = {"Date": None, "Creator": None}


def write(results: Results, folder: Path) -> dict[str, list[str]]:
    """Write all charts into a folder; gives the names of the files by mechanism, with "" for the one of all."""
    written: dict[str, list[str]] = {}
    with mpl.rc_context(_SETTINGS):  # type: ignore[arg-type]
        if glances(results):
            _save(summary(results), folder / SUMMARY)
            written[""] = [SUMMARY]
        for mechanism in dict.fromkeys(each.row.mechanism for each in results.measured):
            for kind in (Kind.ROUND_TRIP, Kind.THROUGHPUT):
                rows = [each for each in results.measured if (each.row.kind, each.row.mechanism) == (kind, mechanism)]
                if len({each.row.size for each in rows}) > 1:
                    name = f"{_slug(mechanism)}-{_slug(kind)}.svg"
                    _save(by_size(mechanism, rows), folder / name)
                    written.setdefault(mechanism, []).append(name)
    return written


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata=_METADATA)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def by_size(mechanism: str, measured: Sequence[Measured]) -> Figure:
    """Draw one kind of measurement of a mechanism: a panel for each number of cores, a line for each side."""
    cores = sorted({each.row.cores for each in measured})
    latency = measured[0].row.kind is Kind.ROUND_TRIP
    width, height = 3.8 * len(cores) + 3.6, 3.6
    figure = Figure(figsize=(width, height))
    # In inches: what matplotlib would find out by itself takes it longer than all the drawing.
    place = {"left": 0.9 / width, "right": 1 - 2.7 / width, "bottom": 0.55 / height, "top": 1 - 0.65 / height}
    panels = figure.subplots(1, len(cores), sharey=True, squeeze=False, gridspec_kw={**place, "wspace": 0.08})[0]
    styles = _styles(dict.fromkeys(each.row.side for each in measured))
    for panel, count in zip(panels, cores, strict=True):
        shown = [each for each in measured if each.row.cores == count]
        _lines(panel, shown, styles, _latency if latency else _throughput)
        panel.set_title(cores_text(count), loc="left")
        panel.set_xlabel("message")
    panels[0].set_ylabel("round trip" if latency else "MB/s")
    panels[0].yaxis.set_major_formatter(FuncFormatter(_time_tick if latency else _rate_tick))
    figure.suptitle(f"{mechanism}: {measured[0].row.kind} by size", x=0.1 / width, ha="left")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper left", bbox_to_anchor=(1 - 2.65 / width, place["top"]))
    return figure


def _styles(sides: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Choose how each side is drawn: ours solid, C dotted, the peers dashed."""
    styles: dict[str, dict[str, Any]] = {}
    ways, others = iter(_WAYS), iter(_OTHERS * 2)
    for side in sides:
        if is_ours(side):
            styles[side] = {"color": _BLUE, "linestyle": next(ways, "-"), "linewidth": 2, "zorder": 3}
        elif is_c(side):
            styles[side] = {"color": _GREY, "linestyle": ":", "linewidth": 2, "zorder": 2}
        else:
            styles[side] = {"color": next(others, _GREY), "linestyle": "--", "linewidth": 1.2}
    return styles


def _lines(
    panel: Axes,
    measured: Sequence[Measured],
    styles: dict[str, dict[str, Any]],
    value: Callable[[Row, float], float],
) -> None:
    for side, style in styles.items():
        points = sorted((each.row.size, value(each.row, _typical(each))) for each in measured if each.row.side == side)
        panel.plot(*zip(*points, strict=True) if points else ((), ()), marker=".", label=side, **style)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    sizes = sorted({each.row.size for each in measured})
    panel.set_xticks(sizes, [size_text(size) for size in sizes])
    panel.minorticks_off()


def _latency(row: Row, nanoseconds: float) -> float:
    return nanoseconds


def _throughput(row: Row, nanoseconds: float) -> float:
    return rate(row, nanoseconds)


def _time_tick(nanoseconds: float, _: object) -> str:
    return time_text(nanoseconds).replace(".00", "").replace(".0", "")


def _rate_tick(megabytes: float, _: object) -> str:
    return f"{megabytes:,.0f}" if megabytes >= 1 else f"{megabytes:g}"


def _typical(each: Measured) -> float:
    return Spread.of(each.values).median


def summary(results: Results) -> Figure:
    """Draw the round trip of the typical size on one core: each mechanism by us, by C and by its fastest peer."""
    shown = glances(results)[::-1]  # the first at the top
    width, height = 9.0, 0.62 * len(shown) + 1.4
    figure = Figure(figsize=(width, height))
    panel = figure.subplots(
        gridspec_kw={"left": 2.6 / width, "right": 0.98, "bottom": 0.8 / height, "top": 1 - 0.4 / height}
    )
    for place, (name, color) in enumerate((("best peer", _OTHERS[3]), ("C", _GREY), (OURS, _BLUE))):
        sides = [(glance.peer, glance.c, glance.ours)[place] for glance in shown]
        there = [(y, each) for y, each in enumerate(sides) if each is not None]
        bars = panel.barh(
            [y + 0.26 * (place - 1) for y, _ in there], [_typical(each) / 1e3 for _, each in there], 0.24, label=name
        )
        for bar, (_, each) in zip(bars, there, strict=True):
            bar.set_color(color)
            said = time_text(_typical(each)) + (f"  {each.row.side}" if name == "best peer" else "")
            panel.annotate(said, (bar.get_width(), bar.get_y() + 0.12), (3, 0), textcoords="offset points", va="center")
    panel.set_yticks(range(len(shown)), [glance.ours.row.mechanism for glance in shown])
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("µs, less is better")
    panel.set_title(f"Round trip of 64 bytes between two processes on {cores_text(1)}", loc="left")
    panel.margins(x=0.35)
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="lower right", ncols=len(names))
    return figure
