"""Draws the curves of bench_mnm_gridworld as one SVG with four panels.

  .venv/bin/python bench/mnm_gridworld.py [--curves FILE] [--out docs/results/mnm_gridworld.svg]

Without --curves it runs the program first (./dev bench mnm_gridworld builds it); with it, it draws the file that the
program's option --curves has written.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PANEL, MARGIN, GAP = 330, 46, 74
BLUE, ORANGE, GREEN, GREY, INK = "#0072b2", "#d55e00", "#009e73", "#8a8a8a", "#222222"
METHODS = (("mnm", "MnM", BLUE), ("q_learning", "Q-learning", ORANGE), ("vmbpo", "VMBPO", GREEN))
PATHS = (("exact_steps", "exact model", GREY), ("aliased_with_classifier_steps", "aliased, classifier", BLUE),
         ("aliased_without_classifier_steps", "aliased, no classifier", ORANGE))
BOUNDS = (("log_model_return", "log return in the model", ORANGE), ("log_vmbpo", "log of VMBPO's objective", GREEN),
          ("log_return", "log J, the real return", INK), ("tight", "tight bound (3)", GREY),
          ("lower", "lower bound (2)", BLUE))


class Panel:
    """A square with a title, whose data coordinates run from (x0, y0) at the bottom left to (x1, y1)."""

    def __init__(self, column, row, title, x_range, y_range):
        self.left, self.top = MARGIN + column * (PANEL + GAP), MARGIN + row * (PANEL + GAP)
        self.x_range, self.y_range = x_range, y_range
        self.parts = [f'<rect x="{self.left}" y="{self.top}" width="{PANEL}" height="{PANEL}" fill="none" '
                      f'stroke="{GREY}"/>',
                      text(self.left, self.top - 10, title, size=14, weight="bold")]
        self.labels = []  # drawn above the rest

    def at(self, x, y):
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return (self.left + PANEL * (x - x0) / (x1 - x0), self.top + PANEL * (y1 - y) / (y1 - y0))

    def points(self, xs, ys):
        return " ".join("{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in zip(xs, ys))

    def line(self, xs, ys, colour, width=2.0, dash=None):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline points="{self.points(xs, ys)}" fill="none" stroke="{colour}" '
                          f'stroke-width="{width}" stroke-linejoin="round"{dashes}/>')

    def band(self, xs, low, high, colour):
        outline = self.points(list(xs) + list(xs)[::-1], list(high) + list(low)[::-1])
        self.parts.append(f'<polygon points="{outline}" fill="{colour}" opacity="0.15"/>')

    def block(self, x0, y0, x1, y1, fill, opacity=1.0):
        (left, top), (right, bottom) = self.at(x0, y1), self.at(x1, y0)
        self.parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
                          f'fill="{fill}" opacity="{opacity}"/>')

    def ticks(self, xs, ys, x_label, y_label):
        for x in xs:
            px, _ = self.at(x, self.y_range[0])
            self.parts.append(text(px, self.top + PANEL + 15, f"{x:g}", anchor="middle"))
        for y in ys:
            _, py = self.at(self.x_range[0], y)
            self.parts.append(text(self.left - 6, py + 4, f"{y:g}", anchor="end"))
        self.parts.append(text(self.left + PANEL / 2, self.top + PANEL + 32, x_label, anchor="middle"))
        self.parts.append(text(self.left + 6, self.top + 16, y_label))

    def legend(self, x, y, entries):
        for i, (label, colour) in enumerate(entries):
            px, py = self.left + x, self.top + y + 17 * i
            self.parts.append(f'<line x1="{px}" y1="{py - 4}" x2="{px + 18}" y2="{py - 4}" stroke="{colour}" '
                              f'stroke-width="3"/>')
            self.parts.append(text(px + 24, py, label))


def text(x, y, content, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{INK}">{escape(content)}</text>')


def grid_panel(column, row, title, grid):
    """A panel in cells: row 0 at the top, one unit a cell."""
    size = grid["size"]
    panel = Panel(column, row, title, (0, size), (-size, 0))
    rows, first, last = grid["wall"]
    panel.block(first, -rows, last + 1, 0, INK, 0.75)
    for name, (r, c), colour in (("start", grid["start"], GREY), ("goal", grid["goal"], GREEN)):
        panel.block(c, -r - 1, c + 1, -r, colour, 0.25)
        x, y = panel.at(c + 0.5, -r - 0.5)
        panel.labels.append(text(x, y + 4, name, anchor="middle", size=10, weight="bold"))
    return panel


def stochastic_panel(data):
    returns, every = data["returns"], data["every"]
    seeds = len(returns["mnm"])
    panel = Panel(0, 0, f"Learning from samples, {seeds} seeds", (0, 1500), (0, 1.5))
    for key, _, colour in METHODS:
        columns = list(zip(*returns[key]))
        xs = [every * i for i in range(len(columns))]
        means = [statistics.fmean(column) for column in columns]
        deviations = [statistics.pstdev(column) for column in columns]
        panel.band(xs, [max(0, m - d) for m, d in zip(means, deviations)],
                   [m + d for m, d in zip(means, deviations)], colour)
        panel.line(xs, means, colour)
    panel.ticks(range(0, 1501, 300), (0, 0.5, 1, 1.5), "iteration", "real return, mean and standard deviation")
    panel.legend(14, 44, [(label, colour) for _, label, colour in METHODS])
    return panel


def detour_panel(data):
    panel = grid_panel(1, 0, "An aliased model, 100 real steps", data["grid"])
    size = data["grid"]["size"]
    for edge in range(data["block"], size, data["block"]):
        panel.line((edge, edge), (-size, 0), GREY, 0.5)
        panel.line((0, size), (-edge, -edge), GREY, 0.5)
    for shift, (key, _, colour) in zip((-0.16, 0, 0.16), PATHS):
        cells = data["paths"][key]
        panel.line([c + 0.5 + shift for _, c in cells], [-r - 0.5 + shift for r, _ in cells], colour, 2.5)
    panel.legend(14, PANEL - 50, [(label, colour) for _, label, colour in PATHS])
    return panel


def bound_panel(points):
    panel = Panel(0, 1, "Bounds on the real return", (0, len(points) - 1), (2.25, 2.48))
    for key, _, colour in BOUNDS:
        panel.line(range(len(points)), [point[key] for point in points], colour,
                   dash="5 4" if key in ("log_model_return", "log_vmbpo") else None)
    panel.ticks(range(0, len(points), 5), (2.25, 2.3, 2.35, 2.4, 2.45), "iteration", "nats")
    panel.legend(130, PANEL - 82, [(label, colour) for _, label, colour in BOUNDS])
    return panel


def optimism_panel(data):
    panel = grid_panel(1, 1, "MnM's model: darker is surer", data["grid"])
    for row, column, to_row, to_column, p in data["arrows"]:
        reach = 0.1 + 0.35 * p
        panel.line((column + 0.5, column + 0.5 + reach * (to_column - column)),
                   (-row - 0.5, -row - 0.5 - reach * (to_row - row)), f"rgba(0,114,178,{p:.2f})", 3)
    return panel


def draw(curves):
    panels = (stochastic_panel(curves["stochastic"]), detour_panel(curves["detour"]), bound_panel(curves["bound"]),
              optimism_panel(curves["optimism"]))
    extent = 2 * (MARGIN + PANEL) + GAP
    body = "\n".join(part for panel in panels for part in panel.parts + panel.labels)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {extent} {extent}" font-family="sans-serif">\n'
            f'<rect width="{extent}" height="{extent}" fill="white"/>\n{body}\n</svg>\n')


def run_program(binaries):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([os.path.join(binaries, "bench_mnm_gridworld"), "--curves", file.name], check=True,
                       stdout=subprocess.DEVNULL)
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", help="file that the program wrote; default: run it")
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "results", "mnm_gridworld.svg"))
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build", "release", "bin"))
    args = parser.parse_args()
    if args.curves:
        with open(args.curves, encoding="utf-8") as file:
            curves = json.load(file)
    else:
        curves = run_program(args.binaries)
    with open(args.out, "w", encoding="utf-8") as file:
        file.write(draw(curves))
    return 0


if __name__ == "__main__":
    sys.exit(main())
