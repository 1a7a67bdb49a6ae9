"""The plots, drawn from what the sections kept: SVG files that can be read on light and on dark pages.

Colours (after Okabe and Ito) and markers are distinguished by colour-blind readers too. The background is transparent.
Text and lines are dark; a style sheet in the file makes them light where the reader prefers a dark scheme. The same
data gives the same file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.report import Section

__all__ = ["OURS", "draw"]

OURS = "fielding-async"
"""What the SDK is called in every section."""

_INK, _LIGHT_INK = "#57606a", "#aab4bf"
_GREY = "#7d8590"  # bars of other clients: on light and dark
_BLUE, _ORANGE = "#2f8fd8", "#e69f00"
# what each client is drawn with
_LOOKS: dict[str, tuple[str, str]] = {
    OURS: (_BLUE, "o"),
    f"{OURS}, rate known": ("#56c3e9", "s"),
    "aiolimiter, rate known": ("#009e73", "D"),
    "naive sleep": (_ORANGE, "^"),
    "naive GET and PUT": (_ORANGE, "^"),
    "backoff.expo": ("#cc79a7", "v"),
    "backoff.runtime": ("#d55e00", "<"),
    "stamina": ("#999933", ">"),
}
_TALLEST = 220  # requests a second that the plot over time has room for
_WIDTH = 8.4  # inches of 72 points: what a README shows without shrinking it
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "fielding-async",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial", "sans-serif"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def follow_dark_mode(svg: str) -> str:
    """Return a plot whose text and lines follow the scheme that the reader prefers."""
    rules = "\n".join(f'[style*="{what}: {_INK}"]{{{what}:{_LIGHT_INK}!important}}' for what in ("fill", "stroke"))
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}\n}}\n</style>\n"
    return svg.replace(" <defs>", f" {style} <defs>", 1)


def _figure(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    figure: Any = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _number(value: float, _place: int | None) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _plain_numbers(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(_number))
    axis.set_minor_formatter(NullFormatter())


def _look(client: str) -> tuple[str, str]:
    return _LOOKS.get(client, ("#999999", "x"))


def _overhead(section: Section) -> Any:
    """Draw bars of CPU per action: the first column names the client, another one's name begins with CPU."""
    column = next((number for number, name in enumerate(section.columns) if name.startswith("CPU")), None)
    if column is None:
        return None
    bars = [(str(row[0]), row[column]) for row in section.rows]
    bars = [(name, value) for name, value in bars if not isinstance(value, str)]
    figure, axes = _figure(0.9 + 0.32 * len(bars))
    axis = axes[0][0]
    names = [name for name, _ in reversed(bars)]
    values = [value for _, value in reversed(bars)]
    colours = [_BLUE if name.startswith(OURS) else _GREY for name in names]
    axis.barh(names, values, color=colours, height=0.62)
    for place, value in enumerate(values):
        axis.annotate(f"{value:,.0f}", (value, place), xytext=(4, 0), textcoords="offset points", va="center")
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
    axis.set_title(f"{section.columns[column]} (less is better)")
    return figure


def _dots(axis: Any, kinds: Mapping[str, Mapping[str, Mapping[str, float]]], value: Callable[[Any], float]) -> None:
    """Draw a band for each kind of server, and a dot in it for each client: hollow if calls failed."""
    clients = [client for client in _LOOKS if client in next(iter(kinds.values()))]
    for number, client in enumerate(clients):
        colour, marker = _look(client)
        shift = (number - (len(clients) - 1) / 2) * 0.11
        for place, found in enumerate(kinds.values()):
            failed = found[client]["failures"] > 0
            axis.plot(
                [value(found[client])],
                [place + shift],
                marker,
                color=colour,
                markerfacecolor="none" if failed else colour,
                markersize=7 if client == OURS else 5.5,
                zorder=3 if client == OURS else 2,
            )
    axis.set_yticks(range(len(kinds)), [kind.replace("-", " ") for kind in kinds])
    axis.set_ylim(len(kinds) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.set_xscale("log")
    axis.grid(axis="y", visible=False)
    for place in range(1, len(kinds)):
        axis.axhline(place - 0.5, color=_INK, alpha=0.25, linewidth=0.8)
    axis.axvline(1, color=_INK, linewidth=1, zorder=1)
    _plain_numbers(axis.xaxis)


def _limit(section: Section) -> Any:
    table: Any = section.data["table"]
    cases = [case for case, kinds in table.items() if len(next(iter(kinds.values()))) > 4]
    if not cases:
        return None
    figure, axes = _figure(0.8 + 2.6 * len(cases), len(cases), 2, sharey=True, sharex="col")
    for (left, right), case in zip(axes, cases, strict=True):
        requests = int(case.split()[0].replace(",", ""))

        def sends(one: Any, requests: int = requests) -> float:
            return float(one["sends"]) / requests

        def ratio(one: Any, requests: int = requests) -> float:
            # who gives up is soon done: that is no time to compare
            return float(one["ratio"]) if one["failures"] < requests / 100 else float("nan")

        _dots(left, table[case], sends)
        _dots(right, table[case], ratio)
        left.set_title(f"{case}: requests per call")
        right.set_title("time / ideal")
        right.set_xticks([1, 2, 3, 5, 10])
        right.set_xlim(0.9, 13)
        left.set_xticks([1, 2, 5, 10, 20, 50])
        left.set_xlim(0.85, 65)
    entries: list[Any] = [
        Line2D([], [], color=_look(client)[0], marker=_look(client)[1], linestyle="none", label=client)
        for client in _LOOKS
        if client in next(iter(table[cases[0]].values()))
    ]
    entries.append(
        Line2D([], [], color=_INK, marker="o", markerfacecolor="none", linestyle="none", label="hollow: calls failed")
    )
    figure.legend(handles=entries, loc="outside lower center", ncols=4)
    return figure


def _timeline(section: Section) -> Any:
    timeline: Any = section.data["timeline"]
    wanted = [OURS, "naive sleep", "backoff.expo", "stamina"]
    clients = [client for client in wanted if client in timeline["clients"]]
    if not clients:
        return None
    width: float = timeline["bin"]
    results: Any = section.data["table"]
    results = results[timeline["case"]][timeline["server"]]
    figure, axes = _figure(0.7 + 1.15 * len(clients), len(clients), sharex=True, sharey=True)
    for (axis,), client in zip(axes, clients, strict=True):
        bins: list[list[int]] = timeline["clients"][client]
        edges = [place * width for place in range(len(bins) + 1)]
        passed = [one[0] / width for one in bins]
        both = [(one[0] + one[1]) / width for one in bins]
        axis.stairs(both, edges, fill=True, color=_ORANGE, label="refused (429)", linewidth=0)
        axis.stairs(passed, edges, fill=True, color=_BLUE, label="accepted", linewidth=0)
        one = results[client]
        told = f"{one['sends']:,} requests in {one['seconds']:.0f} s"
        told += f", up to {max(both):,.0f} a second" if max(both) > _TALLEST else ""
        told += f"; {one['failures']:,} calls failed" if one["failures"] else ""
        axis.set_title(f"{client}: {told}")
        axis.grid(axis="x", visible=False)
    axes[0][0].set_ylim(0, _TALLEST)
    axes[0][0].set_yticks([0, 100, 200])
    axes[0][0].set_xlim(0, min(80.0, max(len(timeline["clients"][client]) * width for client in clients)))
    axes[-1][0].set_xlabel("seconds")
    figure.supylabel("requests per second", fontsize=10, color=_INK)
    axes[0][0].legend(loc="upper right", ncols=2)
    figure.suptitle(
        f"{timeline['case']}, {timeline['server'].replace('-', ' ')}, the rate unknown", fontsize=10, color=_INK
    )
    return figure


def _conflicts(section: Section) -> Any:
    data: Any = section.data
    figure, axes = _figure(3.2, 1, 2)
    for axis, key, title in (
        (axes[0][0], "requests", "HTTP requests per success"),
        (axes[0][1], "seconds", "seconds until the last writer is done"),
    ):
        for client, results in data.items():
            colour, marker = _look(client)
            writers = [int(number) for number in results]
            axis.plot(writers, [one[key] for one in results.values()], color=colour, marker=marker, label=client)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks([1, 2, 4, 8, 16, 32, 64])
        _plain_numbers(axis.xaxis)
        _plain_numbers(axis.yaxis)
        axis.set_title(title)
        axis.set_xlabel("writers on one run")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _scale(section: Section) -> Any:
    cpu: Any = section.data["cpu"]
    figure, axes = _figure(2.8)
    axis = axes[0][0]
    sizes = [int(size) for size in cpu]
    for size, times in zip(sizes, cpu.values(), strict=True):
        axis.plot([size] * len(times), times, "o", color=_BLUE, alpha=0.4, markersize=4)
    axis.plot(sizes, [median(times) for times in cpu.values()], color=_BLUE, marker="o")
    axis.set_xscale("log")
    axis.set_ylim(0, max(map(max, cpu.values())) * 1.15)
    axis.set_title("CPU of a cold call (two requests), microseconds")
    axis.set_xlabel("calls at once")
    _plain_numbers(axis.xaxis)
    return figure


def _stream(section: Section) -> Any:
    stream: Any = section.data
    if not stream:
        return None
    figure, axes = _figure(2.8)
    axis = axes[0][0]
    grown: list[float] = stream["grown"]
    rows = [(place + 1) * stream["rows"] / len(grown) for place in range(len(grown))]
    axis.plot(rows, grown, color=_BLUE)
    axis.set_xlim(0, rows[-1])
    axis.set_ylim(0, max(60, *grown) * 1.1)
    axis.axhline(50, color=_ORANGE, linewidth=1, linestyle="--")
    axis.set_title("growth of the process, MiB (dashed: the limit)")
    axis.set_xlabel("rows through perform_all")
    _plain_numbers(axis.xaxis)
    return figure


_PLOTS: dict[str, tuple[str, Callable[[Section], Any]]] = {
    "overhead": ("overhead", _overhead),
    "limit": ("limit", _limit),
    "timeline": ("limit", _timeline),
    "conflicts": ("conflicts", _conflicts),
    "scale": ("scale", _scale),
    "stream": ("stream", _stream),
}


def draw(sections: Sequence[Section], folder: Path, *, formats: Iterable[str] = ("svg",)) -> list[Path]:
    """Draw what the sections have data for; return the files written."""
    by_name = {section.name: section for section in sections}
    drawn: list[Path] = []
    settings: Any = mpl  # its types are those of one version
    with settings.rc_context(_STYLE):
        for name, (source, plot) in _PLOTS.items():
            figure = plot(by_name[source]) if source in by_name else None
            if figure is None:
                continue
            for suffix in formats:
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
                if suffix == "svg":
                    path.write_text(follow_dark_mode(path.read_text(encoding="utf-8")), encoding="utf-8")
                drawn.append(path)
    return drawn
