"""What was measured, as charts: latency and throughput by size, and all mechanisms side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from bench.records import Kind
from bench.report import GLANCE, cores_text, glances, rate, size_text, time_text
from bench.results import OURS, Spread, digits, is_c, is_ours, ratio

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
        panel.plot(*_columns(points), marker=".", label=side, **style)
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
    """Draw a line for each mechanism, with our time, that of C and that of the best peer on it."""
    shown = glances(results)[::-1]  # the first at the top
    width, height = 9.0, 0.32 * len(shown) + 1.5
    figure = Figure(figsize=(width, height))
    place = {"left": 2.6 / width, "right": 1 - 1.6 / width, "bottom": 0.85 / height, "top": 1 - 0.45 / height}
    panel = figure.subplots(gridspec_kw=place)
    sides = (
        ("best peer", [glance.peer for glance in shown], {"color": _OTHERS[0], "marker": "s"}),
        ("C", [glance.c for glance in shown], {"color": _GREY, "marker": "D"}),
        (OURS, [glance.ours for glance in shown], {"color": _BLUE, "marker": "o"}),
    )
    for name, times, style in sides:
        there = [(_typical(each), y) for y, each in enumerate(times) if each is not None]
        panel.plot(*_columns(there), linestyle="", markersize=6, label=name, **style)  # type: ignore[arg-type]
    for y, glance in enumerate(shown):
        said = time_text(_typical(glance.ours))
        if glance.c is not None:
            said += f", {digits(ratio(glance.ours, glance.c).median)} x C"
        panel.annotate(
            said, (1, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center"
        )
    panel.set_yticks(range(len(shown)), [glance.ours.row.mechanism for glance in shown])
    panel.set_xscale("log")
    panel.minorticks_off()
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(_time_tick))
    panel.margins(y=0.08)
    figure.suptitle(GLANCE, x=0.1 / width, ha="left")
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="lower right", ncols=len(names))
    return figure


def _columns(points: Sequence[tuple[float, float]]) -> Sequence[Sequence[float]]:
    return list(zip(*points, strict=True)) if points else ((), ())
