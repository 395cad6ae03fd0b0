// Icons that differ by shape, so that no meaning hangs on colour alone.
import { shape } from "./format.js";

const PATHS = {
  healthy: ["M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M7 12.5l3.4 3.4L17 9"],
  warning: ["M12 2.5L22.5 21h-21z", "M12 9.5v5.5M12 17.6v.6"],
  exploiting: ["M8 2h8l6 6v8l-6 6H8l-6-6V8z", "M12 6.5v7.5M12 17v.7"],
  pessimistic: ["M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M12 6.5v11M7.5 13l4.5 4.5l4.5-4.5"],
  stale: ["M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M12 6.5V12l4 3"],
  void: ["M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M5 5l14 14"],
  warming_up: ["M6 2h12M6 22h12M7 2c0 6 10 7 10 10s-10 4-10 10M17 2c0 6-10 7-10 10s10 4 10 10"],
  unknown: ["M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20z", "M8 12h.5M12 12h.5M16 12h.5"],
  action: ["M4 7h9M19 7h1M4 17h1M11 17h9", "M16 4.5v5M8 14.5v5"],
  up: ["M12 20V5M6 11l6-6l6 6"],
  done: ["M4 12.5l5.5 5.5L20 7"],
  no: ["M5 5l14 14M19 5L5 19"],
  note: ["M5 4h14v16H5z", "M8.5 9h7M8.5 13h7"],
};

const OF_KIND = {
  alarm: "exploiting", all_clear: "healthy", action: "action", advice: "note", override: "action",
  acknowledged: "done", refused: "no", expired: "stale", restart: "up", rollback: "warning",
  unacknowledged: "warning",
};

export function icon(name) {
  const paths = (PATHS[name] || PATHS.unknown).map((d) => shape("path", { d }));
  return shape("svg", { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 2,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" }, ...paths);
}

export const iconOfKind = (kind) => icon(OF_KIND[kind] || "note");
