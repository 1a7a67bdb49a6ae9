"""The page itself: HTML with its style, its script and its data inside. Pure, but for reading those two files once."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from attrs import evolve

from fielding_async.cli.shared.output import duration, printable
from fielding_async.cli.shared.row_texts import EFFECTS, effect_of
from fielding_async.core.dates import to_text

from .rows_data import reasons_of, rows_json
from .timeline import clock, spans_of, timeline
from .values import Report

__all__ = ["MARK", "page"]

MARK = "<!doctype html>\n<!-- fielding journal report -->\n"
"""How every page starts."""

_MOST = 50  # reasons, pauses and outages that are listed
_NOTES = {
    "accepted": "the exchange took our write",
    "already": "the run was already in the wanted state",
    "unconfirmed": "the run is there, and a reply was lost",
    "failed": "refused",
    "unknown": "it is unknown whether the write was applied",
    "skipped": "not sent: an earlier row of the run is not done",
    "stuck": "tried three times; the same command tries again",
    "in flight": "no end is on record",
}


@cache
def _own(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _safe(text: str) -> str:
    return escape(printable(text))


def page(report: Report) -> str:
    """Return the page: one text that asks no server for anything."""
    events = tuple(evolve(event, reason=printable(report.redact(event.reason))) for event in report.events)
    report = evolve(report, events=events)
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    name = _safe(report.name)
    counts = Counter(map(effect_of, report.rows))
    sections = (
        _head(report, counts),
        _counts(report, counts),
        _timeline(report, counts),
        _reasons(report),
        _spans(report),
        _notes(report),
        _rows(),
    )
    return (
        f'{MARK}<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>Report of {name}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{chr(10).join(filter(None, sections))}\n"
        f'<script type="application/json" id="data">{rows_json(report)}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _head(report: Report, counts: Counter[str]) -> str:
    rows = len(report.rows)
    done = sum(counts[effect] for effect in EFFECTS[:3])
    of_plan = "" if report.total is None or report.total == rows else f"; the plan has {report.total:,} rows"
    said = "all of them done" if rows and done == rows else f"{done:,} done, {rows - done:,} not done"
    facts = [("Exchange", _safe(report.base_url))]
    if report.began_at is not None and report.last_written_at is not None:
        seconds = (report.last_written_at - report.began_at).total_seconds()
        long = f", {duration(seconds)}" if seconds >= 0 else "; the clock was set back in between"
        facts.append(("From", f"{clock(report.began_at)} UTC"))
        facts.append(("To", f"{clock(report.last_written_at)} UTC{long}"))
    facts.append(("Page made", _time(to_text(report.made_at))))
    listed = "".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in facts)
    return (
        f"<header>\n<h1>Report of <span>{_safe(report.name)}</span></h1>\n"
        f'<p class="said">{rows:,} rows on record, {said}{of_plan}.</p>\n<dl>{listed}</dl>\n</header>\n<main>'
    )


def _time(text: str) -> str:
    return f'<time datetime="{text}">{text.replace("T", " ").partition(".")[0]} UTC</time>'


def _section(name: str, title: str, inner: str) -> str:
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n{inner}\n</section>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, label: str, numbers: bool = False) -> str:
    """Return a small table: of numbers, but for the first column, or of texts, of which the last may be long."""
    tops = "".join(
        f'<th scope="col" role="columnheader"{_number_class(at, numbers)}>{name}</th>' for at, name in enumerate(head)
    )
    lines = "".join(
        '<tr role="row">'
        + "".join(
            f'<th scope="row" role="rowheader">{cell}</th>'
            if not at
            else f'<td role="cell"{_number_class(at, numbers)}>{cell}</td>'
            for at, cell in enumerate(row)
        )
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table role="table"'
        f' class="small{"" if numbers else " texts"}"><thead role="rowgroup"><tr role="row">{tops}</tr></thead>\n'
        f'<tbody role="rowgroup">{lines}</tbody></table></div>'
    )


def _number_class(at: int, numbers: object) -> str:
    return ' class="number"' if at and numbers else ""


def _counts(report: Report, counts: Counter[str]) -> str:
    tiles = "".join(
        f'<li class="{"" if counts[effect] else "none"}"><i class="e{at}"></i><b>{counts[effect]:,}</b>'
        f"<span>{effect}</span><small>{_NOTES[effect]}</small></li>"
        for at, effect in enumerate(EFFECTS)
        if counts[effect] or at in {0, 3, 4}
    )
    pairs = Counter((row.action.name if row.action else "not valid", effect_of(row)) for row in report.rows)
    shown = [effect for effect in EFFECTS if counts[effect]]
    actions = sorted({action for action, _ in pairs})
    lines = [
        [action, f"{sum(pairs[action, effect] for effect in shown):,}", *(f"{pairs[action, e]:,}" for e in shown)]
        for action in actions
    ]
    table = _table(["Action", "rows", *shown], lines, numbers=True, label="Table of effects")
    return _section("effects", "Effects", f'<ul class="tiles">{tiles}</ul>\n{table if lines else ""}')


def _timeline(report: Report, counts: Counter[str]) -> str:
    drawn = timeline(report)
    if not drawn:
        return _section("timeline", "Over time", "<p>The journal has no times on record.</p>")
    legend = "".join(
        f'<span><i class="e{at}"></i>{effect}</span>' for at, effect in enumerate(EFFECTS) if counts[effect]
    )
    return _section("timeline", "Over time", f'<p class="legend">{legend}</p>\n{drawn}')


def _reasons(report: Report) -> str:
    found = reasons_of(report)
    if not found:
        return _section("reasons", "Rows that are not done, by reason", "<p>There are none.</p>")
    lines = [
        [f"{count:,}", f'<i class="e{EFFECTS.index(effect)}"></i>{effect}', _safe(action), _safe(error) or "none given"]
        for (effect, action, error), count in found[:_MOST]
    ]
    more = f"<p>And {len(found) - _MOST:,} more reasons: see the rows.</p>" if len(found) > _MOST else ""
    table = _table(["Rows", "Effect", "Action", "Reason"], lines, label="Table of reasons")
    return _section("reasons", "Rows that are not done, by reason", table + more)


def _spans(report: Report) -> str:
    found = spans_of(report)
    if not found:
        return ""
    lines = [
        [
            clock(span.start),
            span.kind,
            span.length,
            escape(span.reason),
        ]
        for span in found[:_MOST]
    ]
    more = f"<p>And {len(found) - _MOST:,} more.</p>" if len(found) > _MOST else ""
    table = _table(["From (UTC)", "Kind", "Length", "Reason"], lines, label="Table of pauses and outages")
    return _section("spans", "Pauses and outages", table + more)


def _notes(report: Report) -> str:
    if not report.notes:
        return ""
    left = len(report.notes) - _MOST
    more = f"<p>And {left:,} more.</p>" if left > 0 else ""
    listed = "".join(f"<li>{_safe(report.redact(note))}</li>" for note in report.notes[:_MOST])
    why = "Another worker took these rows over. What the late one learned is evidence, and no part of the record."
    return _section("notes", "Learned after a lease was over", f"<p>{why}</p><ul>{listed}</ul>{more}")


def _rows() -> str:
    controls = (
        '<form id="controls" role="search"><p><label for="search">Search</label><input id="search" type="search"'
        ' autocomplete="off" spellcheck="false" placeholder="id, action, trace id, error"></p>'
        '<p><label for="effect">Effect</label><select id="effect"><option value="">all</option></select></p>'
        '<p class="narrow"><label for="sort">Sort by</label><select id="sort"></select></p>'
        '<p class="narrow"><label for="order">Order</label><select id="order"><option value="1">ascending</option>'
        '<option value="-1">descending</option></select></p></form>'
    )
    pager = (
        '<div class="pager"><p id="shown" role="status"></p><nav aria-label="Pages of rows">'
        '<button type="button" id="first">First</button><button type="button" id="previous">Previous</button>'
        '<button type="button" id="next">Next</button><button type="button" id="last">Last</button></nav></div>'
    )
    table = (
        '<div class="scroll" role="region" tabindex="0" aria-label="Table of rows"><table id="table" role="table">'
        '<caption class="hidden">Rows of the journal; the buttons in the head sort them</caption>'
        '<thead role="rowgroup"></thead><tbody role="rowgroup"></tbody></table></div>'
    )
    without = (
        "<noscript><p>The rows are shown by a script, which is switched off here. <code>fielding journal show</code>"
        " shows them as well.</p></noscript>"
    )
    return _section("rows", "Rows", f"{without}{controls}\n{pager}\n{table}") + "\n</main>"
