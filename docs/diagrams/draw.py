"""Draws the diagrams of the explanation: `python docs/diagrams/draw.py` writes them beside itself.

Each is drawn twice, wide and for small screens (`NAME-narrow.svg`). A style sheet in the drawing changes its colours
where the reader prefers a dark scheme.
"""

from html import escape
from pathlib import Path
from random import Random

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer, Permit

HERE = Path(__file__).parent
INK, SOFT, LINE = "#1f2937", "#6b7280", "#cbd5e1"
BLUE, GREEN, RED, AMBER, VIOLET = "#2563eb", "#15803d", "#b91c1c", "#b45309", "#6d28d9"
PAPER, PANEL, GRID = "#ffffff", "#f8fafc", "#e5e7eb"
DARK = {
    INK: "#e6e9ed", SOFT: "#a9b2bd", LINE: "#566170", PAPER: "#131416", PANEL: "#1e2329", GRID: "#2b3138",
    BLUE: "#82b4ff", GREEN: "#63c987", RED: "#ff8a80", AMBER: "#e5b54a", VIOLET: "#c4a1ff",
}  # fmt: skip
NARROW = 340  # pixels: a telephone's width without margins


class Drawing:
    """An SVG under construction. `title` is what a screen reader says."""

    def __init__(self, width: int, height: int, title: str, *, font: float = 14) -> None:
        self.size = (width, height)
        self.title = title
        self.font = font
        self.parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, extra: str = "") -> None:
        """Draw a straight line."""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="1.6" {extra}/>'
        )

    def arrow(self, points: list[tuple[float, float]], colour: str = INK, *, dashed: bool = False) -> None:
        """Draw a line through points, with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dash = 'stroke-dasharray="5 4" ' if dashed else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {dash}'
            f'marker-end="url(#head-{colour[1:]})"/>'
        )

    def text(self, x: float, y: float, words: str, colour: str = INK, anchor: str = "middle", extra: str = "") -> None:
        """Write a line of text; `y` is its base line."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}" {extra}>{escape(words)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, lines: list[str], colour: str = LINE) -> None:
        """Draw a box with centred lines of text."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{PANEL}" '
            f'stroke="{colour}" stroke-width="1.6"/>'
        )
        step = self.font + 4
        top = y + height / 2 - step / 2 * (len(lines) - 1) + self.font * 0.36
        for number, words in enumerate(lines):
            self.text(x + width / 2, top + step * number, words, INK if colour == LINE else colour)

    def __str__(self) -> str:
        width, height = self.size
        heads = "".join(
            f'<marker id="head-{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
            for colour in (INK, SOFT, BLUE, GREEN, RED, AMBER, VIOLET)
        )
        dark = "\n".join(
            f'[fill="{light}"]{{fill:{dark}}}\n[stroke="{light}"]{{stroke:{dark}}}' for light, dark in DARK.items()
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f"role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" "
            f'font-size="{self.font:g}">\n<title>{escape(self.title)}</title>\n<defs>{heads}</defs>\n'
            f"<style>@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n</style>\n"
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def sequence(title: str, actors: list[str], steps: list[tuple[str, int, int, str, str]], *, narrow: bool) -> Drawing:
    """Draw who says what to whom, downwards. A step: kind, from, to, words, colour.

    Kinds: `->` a request, `<-` a reply, `-x` a reply that is lost halfway, `--` a note at `from`.
    """
    left, top, step = (42, 46, 40) if narrow else (110, 50, 44)
    gap = (NARROW - 2 * left) / (len(actors) - 1) if narrow else 215
    font = 12 if narrow else 14
    x1: float
    x2: float
    y: float
    width = NARROW if narrow else left * 2 + int(gap) * (len(actors) - 1)
    drawing = Drawing(width, top + step * (len(steps) + 1), title, font=font)
    bottom = drawing.size[1] - 16
    half = min(80.0, left - 2, gap / 2 - 2)

    def within(x: float, half: float) -> float:
        return min(max(x, half + 2), width - half - 2)

    def half_of(words: str) -> float:
        return len(words) * font * 0.27 + 8

    for number, actor in enumerate(actors):
        x = left + gap * number
        drawing.line(x, top, x, bottom, LINE)
        drawing.box(x - half, 12, 2 * half, 34, [actor])
    for number, (kind, start, end, words, colour) in enumerate(steps):
        x1, x2, y = left + gap * start, left + gap * end, top + step * (number + 1)
        if kind == "--":
            half = half_of(words) + 6 if narrow else 100
            drawing.box(within(x1, half) - half, y - 19, 2 * half, 30, [words], colour)
            continue
        if kind == "-x":
            x2 = x1 + (x2 - x1) * 0.55
            drawing.line(x2 - 7, y - 7, x2 + 7, y + 7, RED)
            drawing.line(x2 - 7, y + 7, x2 + 7, y - 7, RED)
        drawing.arrow([(x1, y), (x2, y)], colour, dashed=kind != "->")
        middle = within((x1 + x2) / 2, half_of(words))
        drawing.text(middle, y - 8, words, colour, extra=f'paint-order="stroke" stroke="{PAPER}" stroke-width="4"')
    return drawing


def conflict(*, narrow: bool = False) -> Drawing:
    """A 412, and what follows it."""
    return sequence(
        "Another client writes first: 412, a GET, and the update applied to the current state of the run",
        ["your code", "session", "exchange", "colleague"],
        [
            ("->", 0, 1, "update(+2 days)", BLUE),
            ("->", 1, 2, "GET", INK),
            ("<-", 2, 1, 'ends 1 May, ETag "7"', SOFT),
            ("->", 3, 2, "ends 2 May", AMBER),
            ("--", 2, 2, 'now ETag "8"', AMBER),
            ("->", 1, 2, 'PUT ends 3 May, If-Match "7"', INK),
            ("<-", 2, 1, "412: nothing changed", RED),
            ("->", 1, 2, "GET", INK),
            ("<-", 2, 1, 'ends 2 May, ETag "8"', SOFT),
            ("--", 1, 1, "compared: still needed", VIOLET),
            ("->", 1, 2, 'PUT ends 4 May, If-Match "8"', INK),
            ("<-", 2, 1, "202", GREEN),
            ("<-", 1, 0, "accepted, 1 conflict", GREEN),
        ],
        narrow=narrow,
    )


def lost_reply(*, narrow: bool = False) -> Drawing:
    """A reply that is lost after the write was applied."""
    return sequence(
        "A reply is lost: the same request with the same ETag, 412, a GET, and the effect is unconfirmed",
        ["your code", "session", "exchange"],
        [
            ("->", 0, 1, "pause()", BLUE),
            ("->", 1, 2, 'POST pause, If-Match "7"', INK),
            ("--", 2, 2, 'paused, now ETag "8"', GREEN),
            ("-x", 2, 1, "204, lost", RED),
            ("->", 1, 2, 'the same again, If-Match "7"', INK),
            ("<-", 2, 1, "412: nothing changed", RED),
            ("->", 1, 2, "GET", INK),
            ("<-", 2, 1, 'paused, ETag "8"', SOFT),
            ("--", 1, 1, "compared: already paused", VIOLET),
            ("<-", 1, 0, "unconfirmed", GREEN),
        ],
        narrow=narrow,
    )


_ENDS = (
    ("already", "the run had it, no write in doubt", GREEN),
    ("unconfirmed", "the run has it, a reply was lost", GREEN),
    ("error", "not allowed, or not as seen", RED),
    ("unknown", "neither can be proven", AMBER),
)


def judgement(*, narrow: bool = False) -> Drawing:
    """From the call to its result."""
    title = "How a write goes from the call to its result"
    return _judgement_narrow(title) if narrow else _judgement_wide(title)


def _judgement_wide(title: str) -> Drawing:
    drawing = Drawing(1000, 470, title)
    drawing.box(20, 30, 190, 50, ["GET", "if no ETag is cached"])
    drawing.box(405, 30, 190, 50, ["write", "with an ETag"])
    drawing.box(405, 205, 190, 50, ["compare", "with a new GET"], VIOLET)
    for number, (words, why, colour) in enumerate(_ENDS):
        x = 10 + 247 * number
        drawing.box(x, 390, 237, 50, [words, why], colour)
        drawing.arrow([(500, 255), (500, 325), (x + 118, 325), (x + 118, 388)], SOFT)
    drawing.box(790, 30, 190, 50, ["accepted"], GREEN)
    drawing.arrow([(210, 55), (403, 55)])
    drawing.text(306, 46, "change needed")
    drawing.arrow([(595, 55), (788, 55)], GREEN)
    drawing.text(691, 46, "success status", GREEN)
    drawing.arrow([(60, 80), (60, 388)], SOFT)
    drawing.text(68, 150, "the run has it already", SOFT, "start")
    drawing.arrow([(540, 30), (540, 12), (460, 12), (460, 28)])
    drawing.text(550, 19, "no reply: the same request, the same ETag", INK, "start")
    drawing.arrow([(470, 80), (470, 203)])
    drawing.text(462, 135, "412, 422, or", INK, "end")
    drawing.text(462, 153, "no attempts left", INK, "end")
    drawing.arrow([(530, 205), (530, 82)], BLUE)
    drawing.text(540, 135, "change still needed, and this write", BLUE, "start")
    drawing.text(540, 153, "proven not applied: the new ETag", BLUE, "start")
    drawing.arrow([(595, 220), (640, 220), (640, 242), (597, 242)], SOFT)
    drawing.text(650, 236, "the GET is older than the write: GET again", SOFT, "start")
    return drawing


def _judgement_narrow(title: str) -> Drawing:
    drawing = Drawing(NARROW, 592, title, font=12)
    drawing.box(70, 12, 150, 44, ["GET", "if no ETag is cached"])
    drawing.arrow([(145, 56), (145, 100)])
    drawing.text(153, 82, "change needed", INK, "start")
    drawing.box(70, 102, 150, 44, ["write", "with an ETag"])
    drawing.arrow([(220, 112), (238, 112), (238, 134), (222, 134)])
    drawing.text(244, 112, "no reply:", INK, "start")
    drawing.text(244, 127, "same request,", INK, "start")
    drawing.text(244, 142, "same ETag", INK, "start")
    drawing.arrow([(80, 146), (80, 234)])
    drawing.text(88, 188, "412, 422, or", INK, "start")
    drawing.text(88, 203, "no attempts left", INK, "start")
    drawing.arrow([(190, 234), (190, 148)], BLUE)
    drawing.text(198, 188, "still needed, and", BLUE, "start")
    drawing.text(198, 203, "proven not applied:", BLUE, "start")
    drawing.text(198, 218, "the new ETag", BLUE, "start")
    drawing.box(70, 236, 150, 44, ["compare", "with a new GET"], VIOLET)
    drawing.arrow([(220, 246), (238, 246), (238, 268), (222, 268)], SOFT)
    drawing.text(244, 246, "GET is older", SOFT, "start")
    drawing.text(244, 261, "than the write:", SOFT, "start")
    drawing.text(244, 276, "GET again", SOFT, "start")
    for number, (words, why, colour) in enumerate((("accepted", "success status", GREEN), *_ENDS)):
        y = 306 + 56 * number
        drawing.box(70, y, 250, 44, [words, why], colour)
        if number:
            drawing.arrow([(145, 280), (145, 293), (58, 293), (58, y + 28), (68, y + 28)], SOFT)
    drawing.arrow([(70, 124), (20, 124), (20, 328), (68, 328)], GREEN)
    drawing.arrow([(70, 34), (46, 34), (46, 378), (68, 378)], SOFT)
    drawing.text(38, 210, "the run has it already", SOFT, extra='transform="rotate(-90 38 210)"')
    return drawing


def _learn(limit: int, calls: int) -> tuple[list[tuple[float, float]], list[float], float]:
    """Send calls, all at once, to a server of so many requests a second: the pace at each send, and the 429s."""
    pacer = Pacer(Limits(), Random(1).uniform)
    now, sent, window, count = 0.0, 0, 0, 0
    paces: list[tuple[float, float]] = []
    refused: list[float] = []
    answers: list[tuple[float, Permit, float | None]] = []
    while sent < calls or answers:
        due = answers[0][0] if answers else float("inf")
        ready = max(now, pacer.ready_at()) if sent < calls and len(answers) < 32 else float("inf")
        if due <= ready:
            now, permit, pause = answers.pop(0)
            if pause is None:
                pacer.answered(permit, now)
            else:
                sent -= 1
                pacer.throttled(permit, pause, now)
            continue
        now = ready
        permit = pacer.take(now, waited=True)
        pacer.left(permit, now)
        sent += 1
        paces.append((now, 1 / permit.after if permit.after else float("inf")))
        arrived = now + 0.01
        if int(arrived) != window:
            window, count = int(arrived), 0
        count += 1
        if count > limit:
            refused.append(now)
        answers.append((now + 0.02, permit, None if count <= limit else 1.0))
    return paces, refused, now


def pacing(*, narrow: bool = False) -> Drawing:
    """The pace that is learned, request by request."""
    limit, calls = 20, 300
    paces, refused, _ = _learn(limit, calls)
    size = (NARROW, 320) if narrow else (860, 380)
    title = f"The pace of {calls} calls at a server that accepts {limit} requests a second"
    drawing = Drawing(*size, title, font=12 if narrow else 14)
    left, top, seconds, most = (34, 64, 18.0, 120.0) if narrow else (70, 40, 18.0, 120.0)
    width, height = size[0] - left - (8 if narrow else 30), size[1] - top - (50 if narrow else 70)

    x: float
    y: float

    def at(moment: float, pace: float) -> tuple[float, float]:
        return left + width * moment / seconds, top + height * (1 - min(pace, most) / most)

    for mark in range(0, int(most) + 1, 20):
        x, y = at(0, mark)
        drawing.line(x, y, x + width, y, GRID)
        drawing.text(x - 8, y + 5, str(mark), SOFT, "end")
    for second in range(0, int(seconds) + 1, 2):
        drawing.text(at(second, 0)[0], top + height + 20, str(second), SOFT)
    drawing.text(left + width / 2, top + height + 40, "seconds", SOFT)
    drawing.text(8 if narrow else left, 24, "requests a second, each dot a request", SOFT, "start")
    x, y = at(0, limit)
    drawing.line(x, y, x + width, y, GREEN, 'stroke-dasharray="6 4"')
    halo = f'paint-order="stroke" stroke="{PAPER}" stroke-width="4"'
    drawing.text(left + width, y + 22, f"the limit of the server: {limit}", GREEN, "end", halo)
    for moment, pace in paces:
        x, y = at(moment, pace)
        colour = RED if moment in refused else BLUE
        radius = (3 if narrow else 4) if colour == RED else (1.6 if narrow else 2.4)
        drawing.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')
    ends = sorted({moment for moment in refused if not any(moment < later < moment + 0.5 for later in refused)})
    captions = (
        ("first 429s", 112),
        ("second 429s: the rate is computed", 92),
        ("a higher rate was tried: one 429", 50),
    )
    for moment, (words, pace) in zip(ends, captions, strict=False):
        drawing.text(at(moment, 0)[0] + 6, at(0, pace)[1], words, INK, "start", halo)
    drawing.text(*at(5 if narrow else 7, 32), "held: a rate without 429s", INK, "start", halo)
    key = f"red: a 429 ({len(refused)} of {len(paces)})"
    drawing.text(8 if narrow else left + width, 44 if narrow else 24, key, RED, "start" if narrow else "end")
    return drawing


DRAWINGS = {"conflict": conflict, "lost-reply": lost_reply, "judgement": judgement, "pacing": pacing}


def files() -> dict[str, str]:
    """Return what each file of a drawing holds."""
    return {
        f"{name}{'-narrow' * narrow}.svg": str(draw(narrow=narrow))
        for name, draw in DRAWINGS.items()
        for narrow in (False, True)
    }


def main() -> None:
    """Write them all."""
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
