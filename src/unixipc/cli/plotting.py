"""unixipc plot: a figure of what `unixipc top` has recorded."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unixipc.cli import recording
from unixipc.cli.output import complain, printable
from unixipc.cli.sampling import Moment, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMATS = (".pdf", ".png", ".svg")
_MOST = 10
"""So many curves a part of the figure has at most: there are as many colours that can be told apart."""

_LONGEST = 40  # letters of a name


@dataclass(slots=True)
class _Curve:
    """What became of one number; NaN, where the object was not there."""

    label: str
    times: list[float] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)

    @property
    def moved(self) -> float:
        known = [number for number in self.numbers if not math.isnan(number)]
        return max(known, default=0.0) - min(known, default=0.0)


def plot(
    record: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `unixipc top --record` wrote.", show_default=False)
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="IMAGE", help="A .png, .svg or .pdf; if not given, FILE with .png."),
    ] = None,
) -> None:
    """Draw the depths of queues, their change, the values of semaphores and who waited for them over time.

    It takes the extra `plot`, and prints the name of the image. Of more than ten objects in a part of the figure it
    shows those that changed most. Where the record was interrupted, so are the curves.

    Example: `unixipc plot load.jsonl --output load.svg`
    """
    image = record.with_suffix(".png") if output is None else output
    if image.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"{str(image)!r} does not end in {', '.join(_FORMATS)}", param_hint="--output")
    try:
        parts = _parts(str(record))
    except (OSError, recording.RecordError) as error:
        complain("plot", f"{record}: {error.strerror}" if isinstance(error, OSError) else str(error))
        raise typer.Exit(1) from None
    try:
        if image.exists() and image.samefile(record):
            raise typer.BadParameter("the image would overwrite the record", param_hint="--output")
        _draw(parts, image)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        complain("plot", "it needs the extra: pip install 'unixipc[plot]'")
        raise typer.Exit(2) from None
    except OSError as error:
        complain("plot", f"{image}: {error.strerror}")
        raise typer.Exit(1) from None
    print(printable(str(image)))


def _parts(record: str) -> dict[str, list[_Curve]]:
    """Make the parts of the figure, by their titles: those for which there is something in the record."""
    runs = recording.read(record)
    parts = {
        "messages": _curves(runs, _depth),
        "change of messages per second": _rates(_curves(runs, _depth)),
        "value of semaphores": _curves(runs, _values),
        "waiting for semaphores": _curves(runs, _waiting),
    }
    if not any(parts.values()):
        raise recording.RecordError(f"{record} has no queue and no semaphore in it")
    return {title: curves for title, curves in parts.items() if curves}


def _depth(sample: Sample) -> Iterator[tuple[str, int]]:
    if sample.depth is not None:
        yield "", sample.depth


def _values(sample: Sample) -> Iterator[tuple[str, int]]:
    values = sample.values or ()
    for number, value in enumerate(values):
        yield f"[{number}]" if len(values) > 1 else "", value


def _waiting(sample: Sample) -> Iterator[tuple[str, int]]:
    both = list(zip(sample.waiting or (), sample.waiting_for_zero or (), strict=False))
    for number, waiting in enumerate(both):
        yield f"[{number}]" if len(both) > 1 else "", sum(waiting)


def _curves(runs: list[list[Moment]], pick: Callable[[Sample], Iterator[tuple[str, int]]]) -> list[_Curve]:
    """Follow each number through all moments, what moved most first; between two runs nobody looked."""
    found = dict[tuple[object, ...], _Curve]()
    every = list[float]()
    for run in runs:
        for moment in run:
            for sample in moment.samples:
                for which, number in pick(sample):
                    curve = found.setdefault((sample.identity, which), _Curve(f"{sample.kind} {sample.name}{which}"))
                    _fill(curve, every)
                    curve.numbers[len(every) :] = [number]
            every.append(moment.time)
        every.append(run[-1].time)
    for curve in found.values():
        _fill(curve, every)
        curve.times = every
    return sorted(found.values(), key=lambda curve: -curve.moved)


def _fill(curve: _Curve, every: list[float]) -> None:
    curve.numbers.extend([math.nan] * (len(every) - len(curve.numbers)))


def _rates(curves: list[_Curve]) -> list[_Curve]:
    return [_Curve(curve.label, curve.times, _differences(curve)) for curve in curves]


def _differences(curve: _Curve) -> list[float]:
    """Divide each change by its time; the first moment, and one after a clock was set back, has none."""
    before = zip(curve.times, curve.numbers, strict=True)
    after = zip(curve.times[1:], curve.numbers[1:], strict=True)
    pairs = zip(before, after, strict=False)
    return [math.nan, *((y - x) / (u - t) if u > t else math.nan for (t, x), (u, y) in pairs)]


def _draw(parts: dict[str, list[_Curve]], image: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - no other command needs it, and it takes long

    figure = Figure(figsize=(10, 1 + 2.4 * len(parts)), layout="constrained")
    begin = min(moment for curves in parts.values() for moment in curves[0].times)
    span = max(moment for curves in parts.values() for moment in curves[0].times) - begin
    length, unit = (3600, "hours") if span > 3 * 3600 else (60, "minutes") if span > 300 else (1, "seconds")
    column = figure.subplots(len(parts), sharex=True, squeeze=False)[:, 0]
    for axes, (title, curves) in zip(column, parts.items(), strict=True):
        _draw_part(axes, title, curves, begin, length)
    column[-1].set_xlabel(f"{unit} since {time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime(begin))}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font does not have
        figure.savefig(image, dpi=120)


def _draw_part(axes: "Axes", title: str, curves: list[_Curve], begin: float, length: int) -> None:
    shown = curves[:_MOST]
    for curve in sorted(shown, key=lambda curve: curve.label):
        times = [(moment - begin) / length for moment in curve.times]
        axes.plot(times, curve.numbers, marker=".", markersize=3, linewidth=1, label=_shown(curve.label))
    axes.set_title(title, loc="left", fontsize="medium")
    axes.grid(alpha=0.3)
    more = f"and {len(curves) - len(shown)} that changed less" if len(shown) < len(curves) else None
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small", title=more)


def _shown(label: str) -> str:
    """Keep matplotlib from taking a name for a formula, or giving all the room to it."""
    text = printable(label).replace("$", r"\$")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
