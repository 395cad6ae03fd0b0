// Numbers, durations and times as text. A figure that is not known is null everywhere on this page.

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Three significant digits; "0" for an exact zero, so that it never looks like a rounded one. */
export function figure(value, digits = 3) {
  if (value === null || value === undefined) return null;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const minus = (text) => text.replace("-", "\u2212");
  if (size >= 1e6 || size < 1e-3) return minus(value.toExponential(digits - 1).replace("e+", "e"));
  return size >= 1000 ? minus(grouped.format(value)) : minus(String(Number(value.toPrecision(digits))));
}

/** A signed share of the return scale. */
export function share(value) {
  if (value === null || value === undefined) return null;
  if (value === 0) return "0";
  return (value > 0 ? "+" : "\u2212") + Math.abs(value).toFixed(Math.abs(value) < 0.0995 ? 3 : Math.abs(value) < 10 ? 2 : 0);
}

/** The label of an axis: no digits that say nothing. */
export function tick(value) {
  if (Math.abs(value) >= 1e4) return `${Number((value / 1000).toPrecision(4))}k`.replace("-", "\u2212");
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}

export function count(value) {
  return value === null || value === undefined ? null : grouped.format(value);
}

/** "12 s", "3 min 05 s", "2 h 05 min". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
}

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

/** "warming up" of "warming_up". */
export const words = (name) => name.replaceAll("_", " ");

/** A power of ten for people: 10 to the 2.3 is "200". */
export function power(log10) {
  if (log10 === null || log10 === undefined) return null;
  if (log10 >= 5 || log10 <= -3) return `10^${figure(log10, 2)}`;
  return figure(10 ** log10, 2);
}

/** An element with attributes and children; text is set as text, never as markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Likewise in SVG. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
