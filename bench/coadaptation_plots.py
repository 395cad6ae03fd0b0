"""Line plots as SVG, without a plotting library."""

import html

# Colour-blind safe (Okabe and Ito).
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 400, 64, 36, 190, 48


def ticks(low, high, count=5):
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def text(x, y, words, anchor="middle", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{html.escape(words)}</text>'


def write_lines(path, title, x_name, y_name, series, marks=(), level=None):
    """series: [(name, [(x, y)])]. marks: x of vertical lines, for alarms. level: y of a dashed line."""
    points = [p for _, line in series for p in line]
    xs, ys = [p[0] for p in points] or [0, 1], [p[1] for p in points] + ([level] if level is not None else [])
    ys = ys or [0, 1]
    x0, x1, y0, y1 = min(xs), max(xs), min(0, min(ys)), max(ys)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x, y):
        return LEFT + (x - x0) / (x1 - x0) * inner_w, TOP + (y1 - y) / (y1 - y0) * inner_h

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="11"><rect width="100%" height="100%" fill="white"/>',
           text(LEFT + inner_w / 2, 20, title, extra='font-size="13"'),
           text(LEFT + inner_w / 2, HEIGHT - 10, x_name),
           text(14, TOP + inner_h / 2, y_name, extra=f'transform="rotate(-90 14 {TOP + inner_h / 2:.1f})"')]
    for x in ticks(x0, x1):
        out += [f'<path d="M{at(x, y0)[0]:.1f} {TOP}v{inner_h}" stroke="#ddd"/>',
                text(at(x, y0)[0], TOP + inner_h + 16, f"{x:.3g}" if x1 < 1000 else f"{x:.0f}")]
    for y in ticks(y0, y1):
        out += [f'<path d="M{LEFT} {at(x0, y)[1]:.1f}h{inner_w}" stroke="#ddd"/>',
                text(LEFT - 6, at(x0, y)[1] + 4, f"{y:.2g}", "end")]
    if level is not None:
        out.append(f'<path d="M{LEFT} {at(x0, level)[1]:.1f}h{inner_w}" stroke="black" stroke-dasharray="4 3"/>')
    out += [f'<path d="M{at(x, y0)[0]:.1f} {TOP}v{inner_h}" stroke="#b00" stroke-width="1"/>' for x in marks]
    for i, (name, line) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        path_points = " ".join(f"{at(x, y)[0]:.1f},{at(x, y)[1]:.1f}" for x, y in line)
        out += [f'<polyline points="{path_points}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
                f'<path d="M{WIDTH - RIGHT + 12} {TOP + 14 + 18 * i}h18" stroke="{colour}" stroke-width="2"/>',
                text(WIDTH - RIGHT + 36, TOP + 18 + 18 * i, name, "start")]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*out, "</svg>\n"]))
