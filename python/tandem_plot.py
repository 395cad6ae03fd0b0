"""Draws episodes with pillow alone: curves of what was observed, done and earned, and, where the
observation is a position in a plane, the path. Images in, images out; nothing here plays anything.

    image = plot(episode, "maze", (800, 600), field)     # one picture
    save("maze.gif", [[image, ...]], frames_per_second)  # GIF: all in turn; PNG: a row an episode
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, FAINT, PAPER, WALL, GOAL = (40, 40, 40), (205, 205, 205), (255, 255, 255), (90, 90, 90), (
    150, 215, 150)
COLOURS = [(31, 119, 180), (214, 39, 40), (44, 160, 44), (230, 120, 10), (148, 103, 189),
           (20, 170, 185), (140, 86, 75), (220, 110, 190)]
MOST_CURVES = len(COLOURS)  # in one panel
STRIP = 8  # frames of an episode in a PNG
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 26, 26  # margins [pixels]


class Episode(NamedTuple):
    """What happened in one episode of T steps."""

    observations: np.ndarray  # [T + 1, numbers] float32, flat
    actions: np.ndarray  # [T, numbers], as the environment takes them
    rewards: np.ndarray  # [T]
    end: str  # "terminated", "truncated" or "cut off"

    @property
    def total(self) -> float:
        return float(np.sum(self.rewards, dtype=np.float64))


class Field(NamedTuple):
    """A square in which something moves: rows go down, columns right, both from 0 to size."""

    size: float
    walls: Sequence[Sequence[float]]  # low row, low column, high row, high column
    goal: Sequence[float]  # likewise
    one_hot: bool  # the observation names a cell; else it is a position scaled to [-1, 1]

    def path(self, observations: np.ndarray) -> np.ndarray:
        """Positions [T + 1, (row, column)]."""
        if not self.one_hot:
            return (observations[:, :2].astype(np.float64) + 1) * self.size / 2
        cells = observations.argmax(axis=1)
        return np.stack(np.divmod(cells, int(self.size)), axis=1) + 0.5


def plot(episode: Episode, title: str, size: tuple[int, int], field: Field | None = None,
         upto: int | None = None) -> Image.Image:
    """The episode, or its first `upto` steps on axes for all of it."""
    width, height = size
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    steps = len(episode.rewards)
    upto = steps if upto is None else upto
    draw.text((8, 5), f"{title}   step {upto} of {steps}   return "
              f"{np.sum(episode.rewards[:upto], dtype=np.float64):.6g}", INK, _font(14))
    left = 0
    if field is not None:
        side = min(height - 2 * TOP, width // 2)
        path = field.path(episode.observations)
        _draw_field(draw, (BOTTOM // 2, TOP + 4, side), field, path, upto)
        left = side + BOTTOM // 2
    chosen, labels = _most_moving(episode.observations)
    panels = [("observation" + ("" if chosen.shape[1] == episode.observations.shape[1] else
                                f" ({chosen.shape[1]} of {episode.observations.shape[1]})"),
               chosen, labels),
              ("action", *_most_moving(episode.actions)),
              ("reward", episode.rewards[:, None], None),
              ("return", np.cumsum(episode.rewards, dtype=np.float64)[:, None], None)]
    if field is not None:
        panels = panels[1:]
    each = (height - TOP) / len(panels)
    for i, (name, values, labels) in enumerate(panels):
        top = int(TOP + i * each)
        box = left + LEFT, top + TOP, width - RIGHT, int(top + each - 10)
        _draw_panel(draw, box, name, np.asarray(values, np.float64), labels, upto)
    return image


def frames_of(episode: Episode, title: str, size: tuple[int, int], field: Field | None,
              most: int = 60) -> list[Image.Image]:
    """The plot as it grows, in at most `most` pictures; the last is the whole."""
    steps = len(episode.rewards)
    return [plot(episode, title, size, field, int(upto))
            for upto in np.unique(np.linspace(1, steps, min(most, steps)).round())]


def save(path: str, episodes: Sequence[Sequence[Image.Image]], rate: float) -> None:
    """`rate`: pictures each second of a GIF. A PNG shows each episode as a row of at most STRIP."""
    if pathlib.Path(path).suffix.lower() == ".gif":
        frames = [frame.quantize(128, dither=Image.Dither.NONE)
                  for row in episodes for frame in row]
        frames[0].save(path, save_all=True, append_images=frames[1:], loop=0,
                       duration=max(20, round(1000 / rate / 10) * 10), optimize=False)
        return
    rows = [[row[i] for i in np.unique(np.linspace(0, len(row) - 1, STRIP).astype(int))]
            for row in episodes]
    width = max(sum(frame.width for frame in row) for row in rows)
    sheet = Image.new("RGB", (width, sum(row[0].height for row in rows)), PAPER)
    top = 0
    for row in rows:
        for i, frame in enumerate(row):
            sheet.paste(frame, (i * row[0].width, top))
        top += row[0].height
    sheet.save(path)


def _font(size: int) -> ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _most_moving(values: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The columns that vary most, and which they are."""
    order = np.argsort(-values.std(axis=0), kind="stable")[:MOST_CURVES]
    columns = sorted(order.tolist())
    return values[:, columns], columns


def _draw_panel(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], name: str,
                values: np.ndarray, labels: list[int] | None, upto: int) -> None:
    left, top, right, bottom = box
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    draw.rectangle(box, outline=FAINT)
    small = _font(11)
    draw.text((left, top - 16), name, INK, small)
    for value, y, anchor in ((high, top, "rt"), (low, bottom, "rb")):
        draw.text((left - 5, y), f"{value:.4g}", INK, small, anchor=anchor)
    if low < 0 < high:
        zero = bottom - (0 - low) / (high - low) * (bottom - top)
        draw.line((left, zero, right, zero), fill=FAINT)
    last = max(len(values) - 1, 1)
    shown = np.unique(np.linspace(0, min(upto, len(values) - 1), right - left).astype(int))
    x = left + shown / last * (right - left)
    for k in range(values.shape[1]):
        colour = COLOURS[k % len(COLOURS)]
        y = bottom - (values[shown, k] - low) / (high - low) * (bottom - top)
        points = list(zip(x.tolist(), y.tolist()))
        draw.line(points if len(points) > 1 else points * 2, fill=colour, width=2)
        if labels is not None and values.shape[1] > 1:
            draw.text((left + 110 + 26 * k, top - 16), str(labels[k]), colour, small)


def _draw_field(draw: ImageDraw.ImageDraw, where: tuple[int, int, int], field: Field,
                path: np.ndarray, upto: int) -> None:
    left, top, side = where
    scale = side / field.size

    def corner(row: float, column: float) -> tuple[float, float]:
        return left + column * scale, top + row * scale

    draw.rectangle((left, top, left + side, top + side), outline=WALL)
    draw.rectangle((*corner(*field.goal[:2]), *corner(*field.goal[2:])), fill=GOAL)
    for wall in field.walls:
        inside = np.clip(wall, 0, field.size)
        draw.rectangle((*corner(*inside[:2]), *corner(*inside[2:])), fill=WALL)
    points = [corner(row, column) for row, column in path[:upto + 1]]
    for i, (a, b) in enumerate(zip(points, points[1:])):
        done = i / max(len(path) - 2, 1)  # from blue to red
        colour = tuple((COLOURS[0][k] + (COLOURS[1][k] - COLOURS[0][k]) * done) for k in range(3))
        draw.line((*a, *b), fill=tuple(map(int, colour)), width=2)
    for (x, y), radius, colour in ((points[0], 4, COLOURS[0]), (points[-1], 5, COLOURS[1])):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
