"""The course of a run as an SVG: what was answered and what failed in each second, how long a session
read took, what PostgreSQL did, and which state each instance had Redis in. Every other phase is shaded.
"""

import math
from xml.sax.saxutils import escape

from checks.budget import failed, quantile

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 1000, 64, 24, 84, 120, 44
COLOURS = {"normal": "#2b8a3e", "degraded": "#f08c00", "recovering": "#1971c2", "down": "#c92a2a",
           "gone": "#868e96"}
FAINT = "#868e96"
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


def per_second(events):
    """[(second, answered, failed, p50 ms, p99 ms)] of every whole second."""
    seconds = {}
    for event in events:
        if not event["type"].endswith((".final", ".list")):
            seconds.setdefault(int(event["t_inv"]), []).append(event)
    out = []
    for second in sorted(seconds)[:-1]:
        found = seconds[second]
        lost = sum(failed(e) for e in found)
        reads = sorted(1000 * (e["t_ret"] - e["t_inv"]) for e in found
                       if e["type"] == "session.read")
        out.append((second, len(found) - lost, lost, quantile(reads, .5), quantile(reads, .99)))
    return out


def round_up(value):
    """To a number that an axis may end with."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(step * power for step in STEPS if step * power >= value * (1 - 1e-9))


class Linear:
    def __init__(self, values):
        self.top = round_up(max(values, default=1))
        self.marks = [0, self.top / 2, self.top]

    def part(self, value):
        return value / self.top


class Logarithmic:
    """For what may be a hundred times more for a moment."""

    def __init__(self, values):
        seen = [v for v in values if v > 0] or [1]
        self.low = math.floor(math.log10(min(seen)))
        self.high = max(math.ceil(math.log10(max(seen))), self.low + 1)
        self.marks = [10.0 ** n for n in range(self.low, self.high + 1)]

    def part(self, value):
        at = math.log10(max(value, 10.0 ** self.low))
        return (at - self.low) / (self.high - self.low)


class Drawing:
    def __init__(self, title, subtitle, end):
        self.end = max(end, 1.0)
        self.y = TOP
        self.parts = [f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>',
                      f'<text x="{LEFT}" y="44" fill="{FAINT}">{escape(subtitle)}</text>']

    def x(self, t):
        return LEFT + (WIDTH - LEFT - RIGHT) * min(t, self.end) / self.end

    def text_at(self, x, y, text, fill="black", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" '
                          f'text-anchor="{anchor}">{escape(text)}</text>')

    def panel(self, name, lines, axis=Linear):
        """`lines`: [(label, colour, [(t, value)])]."""
        scale = axis([v for _, _, points in lines for _, v in points])
        base = self.y + PANEL
        self.text_at(LEFT, self.y - 8, name)
        for mark in scale.marks:
            y = base - PANEL * scale.part(mark)
            self.parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                              f'stroke="#dee2e6"/>')
            self.text_at(LEFT - 6, y + 4, f"{mark:.4g}", FAINT, "end")
        for index, (label, colour, points) in enumerate(lines):
            path = " ".join(f"{self.x(t):.1f},{base - PANEL * scale.part(v):.1f}"
                            for t, v in points)
            self.parts.append(f'<polyline fill="none" stroke="{colour}" points="{path}"/>')
            self.text_at(WIDTH - RIGHT - 90 * index, self.y - 8, label, colour, "end")
        self.y = base + GAP

    def states(self, changes):
        """A band for each instance."""
        words = " ".join(f'<tspan fill="{c}">{s}</tspan>' for s, c in COLOURS.items())
        self.parts.append(f'<text x="{LEFT}" y="{self.y - 8}">Redis, as each instance has it: '
                          f'{words}</text>')
        for number in sorted({n for _, n, _ in changes}):
            mine = [(t, s) for t, n, s in changes if n == number] + [(self.end, "")]
            for (start, state), (end, _) in zip(mine, mine[1:]):
                self.parts.append(
                    f'<rect x="{self.x(start):.1f}" y="{self.y}" height="12" '
                    f'width="{max(self.x(end) - self.x(start), 1):.1f}" '
                    f'fill="{COLOURS.get(state, "#495057")}"/>')
            self.text_at(LEFT - 6, self.y + 10, str(number), FAINT, "end")
            self.y += 16

    def seconds(self):
        """The axis of time."""
        step = round_up(self.end / 12)
        self.y += 14
        for n in range(int(self.end / step) + 1):
            self.text_at(self.x(n * step), self.y, f"{n * step:g} s", FAINT, "middle")
        self.y += 12

    def phases(self, marks):
        """Behind everything else."""
        shades, free = [], [LEFT, LEFT]  # Where the next name has room, in each of two lines.
        for index, (name, start, end) in enumerate(marks):
            left, right = self.x(start), self.x(self.end if end is None else end)
            if index % 2:
                shades.append(f'<rect x="{left:.1f}" y="{TOP - 22}" width="{right - left:.1f}" '
                              f'height="{self.y - TOP}" fill="#f1f3f5"/>')
            line = 0 if left >= free[0] else 1
            if left >= free[line] and name != "end":
                self.text_at(left + 3, TOP - 26 - 11 * line, name, FAINT)
                free[line] = left + 12 + 6 * len(name)
        self.parts[:0] = shades

    def text(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y}" '
                f'viewBox="0 0 {WIDTH} {self.y}" font-family="sans-serif" font-size="11">'
                f'<rect width="100%" height="100%" fill="white"/>{"".join(self.parts)}</svg>\n')


def svg(title, subtitle, events, marks, states, transactions):
    rows = per_second(events)
    drawing = Drawing(title, subtitle, rows[-1][0] + 1 if rows else 1)
    drawing.panel("requests a second",
                  [("answered", "#1971c2", [(r[0], r[1]) for r in rows]),
                   ("failed", "#c92a2a", [(r[0], r[2]) for r in rows])])
    drawing.panel("a session read, ms", [("p50", "#2b8a3e", [(r[0], r[3]) for r in rows]),
                                         ("p99", "#f08c00", [(r[0], r[4]) for r in rows])],
                  Logarithmic)
    if transactions:
        drawing.panel("PostgreSQL, transactions a second", [("", "#5f3dc4", transactions)])
    drawing.states(states)
    drawing.seconds()
    drawing.phases(marks)
    return drawing.text()
