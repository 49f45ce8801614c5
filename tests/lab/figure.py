"""The course of a run as an SVG: what was answered and what failed in each second, how long a session
read took, what PostgreSQL did, and which state each instance had Redis in."""

from xml.sax.saxutils import escape

from checks.budget import failed, quantile

WIDTH, LEFT, PANEL, GAP = 1000, 70, 130, 46
COLOURS = {"normal": "#2b8a3e", "degraded": "#f08c00", "recovering": "#1971c2", "down": "#c92a2a",
           "gone": "#868e96"}


def per_second(events):
    """[(second, answered, failed, p50 ms, p99 ms)]."""
    seconds = {}
    for event in events:
        if not event["type"].endswith((".final", ".list")):
            seconds.setdefault(int(event["t_inv"]), []).append(event)
    out = []
    for second in sorted(seconds):
        found = seconds[second]
        lost = sum(failed(e) for e in found)
        reads = sorted(1000 * (e["t_ret"] - e["t_inv"]) for e in found
                       if e["type"] == "session.read")
        out.append((second, len(found) - lost, lost, quantile(reads, .5), quantile(reads, .99)))
    return out


class Drawing:
    def __init__(self, title, end):
        self.end = max(end, 1.0)
        self.y = 64
        self.parts = [f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>']

    def x(self, t):
        return LEFT + (WIDTH - LEFT - 20) * t / self.end

    def panel(self, name, lines, unit):
        """`lines`: [(label, colour, [(t, value)])]."""
        top = max([v for _, _, points in lines for _, v in points], default=1) or 1
        base = self.y + PANEL
        self.parts.append(f'<text x="{LEFT}" y="{self.y - 6}">{escape(name)}</text>')
        for part in (0, .5, 1):
            y = base - PANEL * part
            self.parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y}" y2="{y}" '
                              f'stroke="#dee2e6"/><text x="{LEFT - 6}" y="{y + 4}" '
                              f'text-anchor="end">{top * part:.4g}</text>')
        for index, (label, colour, points) in enumerate(lines):
            path = " ".join(f"{self.x(t):.1f},{base - PANEL * v / top:.1f}" for t, v in points)
            self.parts.append(f'<polyline fill="none" stroke="{colour}" points="{path}"/>')
            self.parts.append(f'<text x="{WIDTH - 20 - 130 * index}" y="{self.y - 6}" '
                              f'fill="{colour}" text-anchor="end">{escape(label)} {unit}</text>')
        self.y = base + GAP

    def states(self, changes):
        """A band for each instance."""
        self.parts.append(f'<text x="{LEFT}" y="{self.y - 6}">Redis, as each instance has it: '
                          + " ".join(f'<tspan fill="{c}">{s}</tspan>' for s, c in COLOURS.items())
                          + "</text>")
        for number in sorted({n for _, n, _ in changes}):
            mine = [(t, s) for t, n, s in changes if n == number] + [(self.end, "")]
            for (start, state), (end, _) in zip(mine, mine[1:]):
                self.parts.append(
                    f'<rect x="{self.x(start):.1f}" y="{self.y}" height="12" '
                    f'width="{max(self.x(end) - self.x(start), 1):.1f}" '
                    f'fill="{COLOURS.get(state, "#495057")}"/>')
            self.parts.append(f'<text x="{LEFT - 6}" y="{self.y + 10}" text-anchor="end">'
                              f'{number}</text>')
            self.y += 16
        self.y += GAP

    def marks(self, marks):
        for name, start, _ in marks:
            x = self.x(start)
            self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="{self.y - GAP}" '
                              f'stroke="#adb5bd" stroke-dasharray="3"/><text x="{x + 3:.1f}" '
                              f'y="{self.y - GAP + 14}">{escape(name)}</text>')

    def text(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y}" '
                f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" '
                f'fill="white"/>{"".join(self.parts)}</svg>\n')


def svg(title, events, marks, states, transactions):
    rows = per_second(events)
    drawing = Drawing(title, max([r[0] + 1 for r in rows], default=1))
    drawing.panel("requests", [("answered", "#1971c2", [(r[0], r[1]) for r in rows]),
                               ("failed", "#c92a2a", [(r[0], r[2]) for r in rows])], "/s")
    drawing.panel("a session read", [("p50", "#2b8a3e", [(r[0], r[3]) for r in rows]),
                                     ("p99", "#f08c00", [(r[0], r[4]) for r in rows])], "ms")
    if transactions:
        drawing.panel("PostgreSQL", [("transactions", "#5f3dc4", transactions)], "/s")
    drawing.states(states)
    drawing.marks(marks)
    return drawing.text()
