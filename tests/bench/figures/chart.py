"""Charts as SVG: two kinds, on logarithmic axes, readable on light and dark pages.

dots(): one row for each comparison, a dot for the median with a line from the lowest to the highest of the rounds.
lines(): panels side by side, a line for each workload.
"""

import math
from xml.sax.saxutils import escape

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.paper { fill: #ffffff } .small { font-size: 11px } .title { font-size: 16px; font-weight: 600 } .quiet { fill: #59636e }
.end { text-anchor: end } .middle { text-anchor: middle } .grid { stroke: #d1d9e0; fill: none } .guide { stroke: #1a7f37; stroke-width: 2; fill: none }
.mark { stroke: #59636e; stroke-width: 2; fill: none } .line { fill: none; stroke-width: 2 }
.s0 { fill: #0969da; stroke: #0969da } .s1 { fill: #bc4c00; stroke: #bc4c00 } .s2 { fill: #8250df; stroke: #8250df } .s3 { fill: #1a7f37; stroke: #1a7f37 }
text.s0, text.s1, text.s2, text.s3 { stroke: none } .line.s0, .line.s1, .line.s2, .line.s3 { fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .paper { fill: #0d1117 } .quiet { fill: #9198a1 } .grid { stroke: #3d444d } .guide { stroke: #3fb950 } .mark { stroke: #9198a1 }
.s0 { fill: #58a6ff; stroke: #58a6ff } .s1 { fill: #f0883e; stroke: #f0883e } .s2 { fill: #bc8cff; stroke: #bc8cff } .s3 { fill: #3fb950; stroke: #3fb950 }
}"""


class Drawing:
    def __init__(self, width, height, title, description):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>", f"<desc>{escape(description)}</desc>", f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
        ]

    def text(self, x, y, words, style=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(str(words))}</text>')

    def line(self, x1, y1, x2, y2, style):
        self.parts.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{style}"/>')

    def path(self, points, style):
        self.parts.append(f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" class="line {style}"/>')

    def dot(self, x, y, style, radius=5):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{style}"/>')

    def arrow(self, x, y, style):
        """What lies further to the right than the axis reaches."""
        self.parts.append(f'<path d="M{x - 5:.1f} {y - 5:.1f}L{x + 3:.1f} {y:.1f}L{x - 5:.1f} {y + 5:.1f}Z" class="{style}"/>')

    def done(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


class Axis:
    """Logarithmic, from one pixel to another."""

    def __init__(self, least, most, start, end):
        self.least, self.most, self.start, self.end = least, most, start, end

    def at(self, value):
        value = min(max(value, self.least), self.most)
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.start + share * (self.end - self.start)


def number(x):
    """Three digits at most, without an exponent."""
    if x >= 1000:
        return f"{x:,.0f}"
    return f"{x:.3g}" if x < 100 else f"{x:.0f}"


def decades(values, steps=(1, 2, 5)):
    """Round numbers around those values, for the ticks of an axis."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in steps]
    inner = [t for t in ticks if min(values) <= t <= max(values)]
    below, above = [t for t in ticks if t < min(values)], [t for t in ticks if t > max(values)]
    return [*below[-1:], *inner, *above[:1]]


def dots(title, subtitle, rows, ticks, series=(), guide=None, tick_text=number):
    """rows: {label, sub, points: [(series, low, middle, high)], marks: [x], text}."""
    left, right, top, step, width = 300, 120, 74, 40, 900
    height = top + step * len(rows) + 40
    d = Drawing(width, height, title, subtitle)
    axis = Axis(ticks[0], ticks[-1], left, width - right)
    d.text(16, 26, title, "title")
    d.text(16, 46, subtitle, "quiet")
    for i, name in enumerate(series):
        d.dot(left + 150 * i, 58, f"s{i}", 4)
        d.text(left + 10 + 150 * i, 62, name, "small")
    for tick in ticks:
        d.line(axis.at(tick), top, axis.at(tick), height - 34, "guide" if tick == guide else "grid")
        d.text(axis.at(tick), height - 18, tick_text(tick), "small quiet middle")
    for i, row in enumerate(rows):
        y = top + step * i + step / 2
        d.text(left - 14, y - 2, row["label"], "end")
        d.text(left - 14, y + 13, row["sub"], "end small quiet")
        for mark in row.get("marks", ()):
            if ticks[0] < mark < ticks[-1]:
                d.line(axis.at(mark), y - 9, axis.at(mark), y + 9, "mark")
        for which, low, middle, high in row["points"]:
            if middle > ticks[-1]:
                d.arrow(axis.at(middle), y, f"s{which}")
                continue
            d.line(axis.at(low), y, axis.at(high), y, f"line s{which}")
            d.dot(axis.at(middle), y, f"s{which}")
        d.text(width - right + 14, y + 4, row["text"], "small")
    return d.done()


def lines(title, subtitle, panels, series, unit):
    """panels: {title, labels: [x ...], lines: {series: [y or None ...]}}; one scale for all panels."""
    width, gap, left, top, inner = 900, 18, 64, 92, 250
    height = top + inner + 52
    d = Drawing(width, height, title, subtitle)
    values = [y for panel in panels for ys in panel["lines"].values() for y in ys if y]
    ticks = decades(values)
    axis = Axis(ticks[0], ticks[-1], top + inner, top)
    each = (width - left - 20 - gap * (len(panels) - 1)) / len(panels)
    d.text(16, 26, title, "title")
    d.text(16, 46, subtitle, "quiet")
    for i, name in enumerate(series):
        d.dot(left + 4 + 150 * i, 64, f"s{i}", 4)
        d.text(left + 14 + 150 * i, 68, name, "small")
    for tick in ticks:
        d.text(left - 8, axis.at(tick) + 4, number(tick), "small quiet end")
        for i in range(len(panels)):
            x = left + i * (each + gap)
            d.line(x, axis.at(tick), x + each, axis.at(tick), "grid")
    d.text(16, top - 8, unit, "small quiet")
    for i, panel in enumerate(panels):
        x = left + i * (each + gap)
        room = each / len(panel["labels"])
        d.text(x + each / 2, height - 12, panel["title"], "small middle")
        for j, label in enumerate(panel["labels"]):
            d.text(x + room * (j + 0.5), height - 32, label, "small quiet middle")
        for which, name in enumerate(series):
            points = [(x + room * (j + 0.5), axis.at(y)) for j, y in enumerate(panel["lines"].get(name, ())) if y]
            if len(points) > 1:
                d.path(points, f"s{which}")
            for point in points:
                d.dot(*point, f"s{which}", 3.5)
    return d.done()
