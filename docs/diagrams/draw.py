"""Draws the diagrams of the explanation: `python docs/diagrams/draw.py` writes them beside itself.

Plain SVG on a light card, so that they look the same on the site, in the dark, and where the repository is browsed.
"""

from html import escape
from pathlib import Path
from random import Random

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer, Permit

HERE = Path(__file__).parent
INK, SOFT, LINE = "#1f2937", "#6b7280", "#cbd5e1"
BLUE, GREEN, RED, AMBER, VIOLET = "#2563eb", "#15803d", "#b91c1c", "#b45309", "#6d28d9"


class Drawing:
    """An SVG under construction. `title` is what a screen reader says."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size = (width, height)
        self.title = title
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
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="#f8fafc" '
            f'stroke="{colour}" stroke-width="1.6"/>'
        )
        top = y + height / 2 - 9 * (len(lines) - 1) + 5
        for number, words in enumerate(lines):
            self.text(x + width / 2, top + 18 * number, words, INK if colour == LINE else colour)

    def __str__(self) -> str:
        width, height = self.size
        heads = "".join(
            f'<marker id="head-{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
            for colour in (INK, SOFT, BLUE, GREEN, RED, AMBER, VIOLET)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f"role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" "
            f'font-size="14">\n<title>{escape(self.title)}</title>\n<defs>{heads}</defs>\n'
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def sequence(title: str, actors: list[str], steps: list[tuple[str, int, int, str, str]]) -> Drawing:
    """Draw who says what to whom, downwards. A step: kind, from, to, words, colour.

    Kinds: `->` a request, `<-` a reply, `-x` a reply that is lost halfway, `--` a note at `from`.
    """
    gap, left, top, step = 250, 110, 50, 44
    x1: float
    x2: float
    y: float
    drawing = Drawing(left * 2 + gap * (len(actors) - 1), top + step * (len(steps) + 1), title)
    bottom = drawing.size[1] - 16
    for number, actor in enumerate(actors):
        x = left + gap * number
        drawing.line(x, top, x, bottom, LINE)
        drawing.box(x - 80, 14, 160, 34, [actor])
    for number, (kind, start, end, words, colour) in enumerate(steps):
        x1, x2, y = left + gap * start, left + gap * end, top + step * (number + 1)
        if kind == "--":
            drawing.box(x1 - 100, y - 17, 200, 30, [words], colour)
            continue
        if kind == "-x":
            x2 = x1 + (x2 - x1) * 0.55
            drawing.line(x2 - 7, y - 7, x2 + 7, y + 7, RED)
            drawing.line(x2 - 7, y + 7, x2 + 7, y - 7, RED)
        drawing.arrow([(x1, y), (x2, y)], colour, dashed=kind != "->")
        drawing.text((x1 + x2) / 2, y - 8, words, colour)
    return drawing


def conflict() -> Drawing:
    """A 412, and the judgement after it."""
    return sequence(
        "A colleague's write comes first: 412, a fresh look, and the update applied onto what the run is now",
        ["your code", "session", "exchange", "a colleague"],
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
            ("--", 1, 1, "judged: still wanted", VIOLET),
            ("->", 1, 2, 'PUT ends 4 May, If-Match "8"', INK),
            ("<-", 2, 1, "202", GREEN),
            ("<-", 1, 0, "accepted, 1 conflict", GREEN),
        ],
    )


def lost_reply() -> Drawing:
    """A reply that is lost after the write was applied."""
    return sequence(
        "A reply is lost: the same ETag again, 412, a look, and the effect is unconfirmed",
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
            ("--", 1, 1, "judged: it is there", VIOLET),
            ("<-", 1, 0, "unconfirmed", GREEN),
        ],
    )


def judgement() -> Drawing:
    """From the order to one of its ends."""
    drawing = Drawing(860, 470, "How a write goes from the order to one of its ends")
    drawing.box(20, 30, 190, 50, ["look (GET)", "no ETag at hand"])
    drawing.box(335, 30, 190, 50, ["write", "under an ETag"])
    drawing.box(335, 205, 190, 50, ["judge", "a fresh look (GET)"], VIOLET)
    for x, words, why, colour in (
        (20, "already", "there, nothing in doubt", GREEN),
        (230, "unconfirmed", "there, a reply was lost", GREEN),
        (440, "error", "not as seen, not allowed", RED),
        (650, "unknown", "nothing proves either", AMBER),
    ):
        drawing.box(x, 390, 190, 50, [words, why], colour)
        drawing.arrow([(430, 255), (430, 325), (x + 95, 325), (x + 95, 388)], SOFT)
    drawing.box(650, 30, 190, 50, ["accepted"], GREEN)
    drawing.arrow([(210, 55), (333, 55)])
    drawing.text(271, 46, "still wanted")
    drawing.arrow([(525, 55), (648, 55)], GREEN)
    drawing.text(586, 46, "taken", GREEN)
    drawing.arrow([(60, 80), (60, 388)], SOFT)
    drawing.text(68, 150, "there already", SOFT, "start")
    drawing.arrow([(470, 30), (470, 12), (390, 12), (390, 28)])
    drawing.text(480, 19, "no reply: the same ETag again", INK, "start")
    drawing.arrow([(400, 80), (400, 203)])
    drawing.text(392, 135, "412, 422, or", INK, "end")
    drawing.text(392, 153, "attempts used up", INK, "end")
    drawing.arrow([(460, 205), (460, 82)], BLUE)
    drawing.text(470, 135, "still wanted, and ours proven", BLUE, "start")
    drawing.text(470, 153, "not applied: the fresh ETag", BLUE, "start")
    drawing.arrow([(525, 220), (570, 220), (570, 242), (527, 242)], SOFT)
    drawing.text(580, 236, "the look lags behind: look again", SOFT, "start")
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


def pacing() -> Drawing:
    """The pace that is learned, request by request."""
    limit, calls = 20, 300
    paces, refused, _ = _learn(limit, calls)
    drawing = Drawing(860, 380, f"The pace of {calls} calls at a server that bears {limit} requests a second")
    left, top, width, height, seconds, most = 70, 40, 760, 270, 18.0, 120.0

    x: float
    y: float

    def at(moment: float, pace: float) -> tuple[float, float]:
        return left + width * moment / seconds, top + height * (1 - min(pace, most) / most)

    for mark in range(0, int(most) + 1, 20):
        x, y = at(0, mark)
        drawing.line(x, y, x + width, y, "#e5e7eb")
        drawing.text(x - 8, y + 5, str(mark), SOFT, "end")
    for second in range(0, int(seconds) + 1, 2):
        drawing.text(at(second, 0)[0], top + height + 22, str(second), SOFT)
    drawing.text(left + width / 2, top + height + 48, "seconds", SOFT)
    drawing.text(left, 24, "requests a second, each dot a request", SOFT, "start")
    x, y = at(0, limit)
    drawing.line(x, y, x + width, y, GREEN, 'stroke-dasharray="6 4"')
    drawing.text(left + width, y - 8, f"what the server bears: {limit}", GREEN, "end")
    for moment, pace in paces:
        x, y = at(moment, pace)
        colour = RED if moment in refused else BLUE
        drawing.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if colour == RED else 2.4}" fill="{colour}"/>')
    ends = sorted({moment for moment in refused if not any(moment < later < moment + 0.5 for later in refused)})
    captions = ("opening", "resume: two cycles agree", "a step too far")
    for number, (moment, words) in enumerate(zip(ends, captions, strict=False)):
        drawing.text(at(moment, 0)[0] + 10, at(0, 112 - 26 * number)[1], words, INK, "start")
    drawing.text(at(7, 0)[0], at(0, 30)[1], "held: the rate that both delivered", INK, "start")
    drawing.text(left + width, 24, f"red: a 429 ({len(refused)} of {len(paces)})", RED, "end")
    return drawing


DRAWINGS = {"conflict": conflict, "lost-reply": lost_reply, "judgement": judgement, "pacing": pacing}


def main() -> None:
    """Write them all."""
    for name, draw in DRAWINGS.items():
        (HERE / f"{name}.svg").write_text(str(draw()), encoding="utf-8")


if __name__ == "__main__":
    main()
