// Draws one chart with uPlot: its keys, its reading by mouse or arrows, its zoom.
import { clock, count, element, figure, shape, tick } from "./format.js";

const LEVEL_DASH = [6, 5];
const MARKED = { alarm: "alarm", all_clear: "good", action: "c1", override: "c1", rollback: "alarm" };
const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Exponentially weighted mean that leaves gaps as gaps. */
export function smoothed(values, weight = 0.25) {
  let mean = null;
  return values.map((value) => {
    if (value === null) return null;
    mean = mean === null ? value : mean + weight * (value - mean);
    return mean;
  });
}

function swatch(series) {
  return shape("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, shape("line", { x1: 0, x2: 22, y1: 4, y2: 4,
    stroke: `var(--${series.colour})`, "stroke-width": series.width || 2,
    "stroke-dasharray": (series.level ? LEVEL_DASH : series.dash || []).join(" ") }));
}

export class Chart {
  /** onZoom([low, high] or null) is told of what the reader picks; onRead(text) of what is read. */
  constructor(spec, { onZoom, onRead }) {
    this.spec = spec;
    this.onZoom = onZoom;
    this.onRead = onRead;
    this.off = new Set();  // labels of series that are switched off
    this.plot = null;
    this.drawn = "";
    this.keys = element("div", { class: "keys", role: "group", "aria-label": `Series of ${spec.title}` });
    this.place = element("div", { class: "plot", tabindex: 0, role: "img" });
    this.root = element("section", { class: "chart", id: `chart-${spec.id}`, "aria-label": spec.title },
      element("h3", {}, spec.title, element("span", { class: "faint" }, spec.unit)),
      spec.note ? element("p", {}, spec.note) : null, this.keys, this.place);
    this.place.addEventListener("keydown", (event) => this.onKey(event));
    this.place.addEventListener("dblclick", () => onZoom(null));
    this.place.addEventListener("blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => this.resize()).observe(this.place);
  }

  height() { return this.spec.height || 220; }

  /** Draws the history as `view` says: { x: "steps"|"time", smooth, zoom, theme }. */
  show(answer, checkpoints, events, view, version) {
    const made = JSON.stringify([version, view, answer?.report.evidence_threshold_log10, [...this.off]]);
    if (made === this.drawn) return;
    this.drawn = made;
    this.view = view;
    this.events = this.spec.markers ? events.filter((event) => MARKED[event.kind]) : [];
    const data = this.spec.curve ? this.curveData(answer, checkpoints) : this.timeData(answer, checkpoints, view);
    this.showKeys(data.series);
    this.draw(data, view);
  }

  timeData(answer, checkpoints, view) {
    const field = view.x === "time" ? "wall_seconds" : "env_steps";
    // A run that went back in its steps would fold the curve: only what goes on is drawn.
    const rows = [];
    for (const one of checkpoints) {
      const x = one.figures[field];
      if (x === null || x === undefined || (rows.length > 0 && x < rows.at(-1).figures[field])) continue;
      rows.push(one);
    }
    const series = this.spec.series.map((one) => ({ ...one, values: one.level
      ? rows.map(() => (answer === null ? null : one.value(answer)))
      : rows.map((row) => row.figures[one.field] ?? row[one.field] ?? null) }));
    return { xs: rows.map((row) => row.figures[field]), series };
  }

  curveData(answer, checkpoints) {
    const newest = checkpoints.at(-1)?.figures, before = checkpoints.at(-2)?.figures;
    const of = (figures) => this.spec.curve.map(([field]) => figures?.[field] ?? null);
    const series = [{ label: "the one before", colour: "c2", dash: [2, 3], values: of(before) },
      { label: "newest checkpoint", colour: "c1", width: 2.6, values: of(newest), points: true },
      ...this.spec.lines.map((one) => ({ ...one, values: this.spec.curve.map(() => (answer === null ? null : one.value(answer))) }))];
    return { xs: this.spec.curve.map((_, i) => i), series };
  }

  showKeys(series) {
    this.numbers = [];
    const named = series.map((one) => one.label).join();
    if (this.keys.dataset.of !== named) {  // the buttons stay, or the focus would be lost
      this.keys.dataset.of = named;
      this.keys.replaceChildren(...series.map((one) => {
        const button = element("button", { type: "button", "aria-pressed": "true" }, swatch(one), one.label,
          element("span", { class: "number" }));
        button.addEventListener("click", () => {
          if (!this.off.delete(one.label)) this.off.add(one.label);
          button.setAttribute("aria-pressed", String(!this.off.has(one.label)));
          this.drawn = "";
          this.redrawWanted?.();
        });
        return button;
      }));
    }
    this.numbers = [...this.keys.querySelectorAll(".number")];
  }

  draw({ xs, series }, view) {
    this.xs = xs;
    this.series = series;
    const known = series.some((one) => !one.level && one.values.some((value) => value !== null));
    this.plot?.destroy();
    this.plot = null;
    if (!known) {
      this.place.replaceChildren(element("div", { class: "empty" }, xs.length === 0
        ? "No data yet: the first checkpoint is closed when the second model is published."
        : "No data yet: no checkpoint knows this figure."));
      this.place.firstChild.style.height = `${this.height() - 12}px`;
      this.place.setAttribute("aria-label", `${this.spec.title}: no data yet`);
      this.readAt(null);
      return;
    }
    this.place.replaceChildren();
    const columns = [], options = [];
    for (const one of series) {
      if (this.off.has(one.label)) continue;
      const smooth = view.smooth && !one.level && !one.steps && !this.spec.curve;
      columns.push(one.values);
      options.push(this.seriesOptions(one, smooth ? 0.3 : 1));
      if (smooth) {
        columns.push(smoothed(one.values));
        options.push({ ...this.seriesOptions(one, 1), points: { show: false } });
      }
    }
    this.plot = new window.uPlot(this.plotOptions(options, view), [xs, ...columns], this.place);
    this.readAt(null);
  }

  seriesOptions(one, alpha) {
    const lonely = one.values.filter((value) => value !== null).length < 3;
    return { label: one.label, stroke: colourOf(one.colour), width: one.level ? 1.3 : one.width || 1.8, alpha,
      dash: one.level ? LEVEL_DASH : one.dash, spanGaps: true,
      paths: one.steps ? window.uPlot.paths.stepped({ align: 1 }) : undefined,
      points: { show: !one.level && (Boolean(one.points) || lonely), size: 5, fill: colourOf(one.colour) } };
  }

  plotOptions(series, view) {
    const axis = { stroke: colourOf("faint"), font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif",
      grid: { stroke: colourOf("line"), width: 1 }, ticks: { stroke: colourOf("line"), width: 1 } };
    const curve = this.spec.curve;
    const x = curve ? { ...axis, label: this.spec.curveLabel, labelSize: 18, size: 26, splits: () => curve.map((_, i) => i),
        values: (_, splits) => splits.map((i) => curve[i]?.[1] ?? ""), grid: { show: false } }
      : { ...axis, size: 28, values: view.x === "time" ? undefined
        : (_, splits) => splits.map(tick) };
    const range = curve ? [-0.3, curve.length - 0.7] : view.zoom || undefined;
    return { width: Math.max(200, this.place.clientWidth), height: this.height(), series: [{}, ...series],
      scales: { x: { time: !curve && view.x === "time", range } },
      axes: [x, { ...axis, size: 56, values: (_, splits) => splits.map(tick) }],
      legend: { show: false },
      cursor: { drag: { x: !curve, y: false, setScale: false }, points: { size: 7 },
        sync: curve ? undefined : { key: `tandem-${view.x}`, setSeries: false } },
      hooks: {
        setCursor: [(plot) => this.readAt(plot.cursor.idx ?? null)],
        setSelect: [(plot) => {
          if (plot.select.width < 4) return;
          this.onZoom([plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")]);
        }],
        draw: [(plot) => this.drawMarkers(plot)],
      } };
  }

  /** Vertical lines where something happened, with a mark on top that differs by kind. */
  drawMarkers(plot) {
    const field = this.view.x === "time" ? "wall_seconds" : "env_steps";
    const { ctx, bbox } = plot;
    const pixel = window.devicePixelRatio || 1;
    for (const event of this.events) {
      const at = event[field];
      if (at === null || at < plot.scales.x.min || at > plot.scales.x.max) continue;
      const x = plot.valToPos(at, "x", true), top = bbox.top, size = 5 * pixel;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colourOf(MARKED[event.kind]);
      ctx.globalAlpha = 0.75;
      ctx.lineWidth = pixel;
      ctx.setLineDash([2 * pixel, 3 * pixel]);
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      if (event.kind === "alarm" || event.kind === "rollback") {
        ctx.moveTo(x - size, top);
        ctx.lineTo(x + size, top);
        ctx.lineTo(x, top + 1.6 * size);
      } else if (event.kind === "all_clear") {
        ctx.arc(x, top + size, 0.8 * size, 0, 2 * Math.PI);
      } else {
        ctx.rect(x - 0.75 * size, top, 1.5 * size, 1.5 * size);
      }
      ctx.fill();
      ctx.restore();
    }
  }

  whereText(i) {
    if (this.spec.curve) return `${this.spec.curve[i][1]}${i < this.spec.curve.length - 1 ? " steps" : ""}`;
    return this.view.x === "time" ? clock(this.xs[i]) : `env step ${count(this.xs[i])}`;
  }

  /** Shows the values at a point beside the keys; null: the newest that are known. */
  readAt(i) {
    const parts = [];
    this.series.forEach((one, k) => {
      const value = i === null ? (this.spec.curve ? null : one.values.findLast((v) => v !== null) ?? null) : one.values[i];
      this.numbers[k].textContent = value === null || value === undefined ? "" : figure(value);
      if (!one.level) parts.push(`${one.label} ${figure(value) ?? "no data"}`);
    });
    if (i === null) this.place.setAttribute("aria-label", `${this.spec.title}. Newest: ${parts.join(", ")}. Arrow keys read the curve.`);
    return parts.join(", ");
  }

  onKey(event) {
    if (!this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.xs.length - 1;
    const now = this.plot.cursor.idx ?? null;
    const moves = { ArrowLeft: now === null ? last : now - 1, ArrowRight: now === null ? last : now + 1, Home: 0, End: last };
    if (event.key in moves) {
      const i = Math.max(0, Math.min(last, moves[event.key]));
      this.plot.setCursor({ left: this.plot.valToPos(this.xs[i], "x"), top: this.plot.bbox.height / 3 });
      this.onRead(`${this.whereText(i)}: ${this.readAt(i)}`);
    } else if ((event.key === "+" || event.key === "-") && !this.spec.curve) {
      const { min, max } = this.plot.scales.x;
      const centre = now === null ? (min + max) / 2 : this.xs[now];
      const half = (max - min) * (event.key === "+" ? 0.25 : 1);
      const low = Math.max(this.xs[0], centre - half), high = Math.min(this.xs[last], centre + half);
      this.onZoom(low <= this.xs[0] && high >= this.xs[last] ? null : [low, high]);
    } else if (event.key === "0" || event.key === "Escape") {
      this.onZoom(null);
    } else {
      return;
    }
    event.preventDefault();
  }

  resize() {
    const width = this.place.clientWidth;
    if (this.plot && width > 0 && Math.abs(width - this.plot.width) > 1) this.plot.setSize({ width, height: this.height() });
  }
}
