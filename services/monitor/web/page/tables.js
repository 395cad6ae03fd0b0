// The tables: knobs in force, the log, and every figure.
import { clock, count, element, figure, words } from "./format.js";
import { iconOfKind } from "./icons.js";

const byId = (id) => document.getElementById(id);

const head = (...names) => element("thead", {}, element("tr", {}, ...names.map(([name, kind]) =>
  element("th", { scope: "col", class: kind }, name))));

const noRows = (columns, text) => element("tbody", {}, element("tr", {},
  element("td", { colspan: columns, class: "nodata" }, text)));

export function showKnobs(answer) {
  const { directive, knobs } = answer;
  const rows = directive.settings.map((setting) => {
    const about = knobs.find((knob) => knob.name === setting.knob);
    return element("tr", {}, element("th", { scope: "row" }, words(setting.knob)),
      element("td", { class: "num" }, figure(setting.value)),
      element("td", { class: "num" }, figure(about?.recipe) ?? "\u2013"),
      element("td", { class: "num" }, figure(setting.safe_value)),
      element("td", {}, about ? about.receiver : ""), element("td", { class: "words" }, setting.reason));
  });
  byId("knobs-note").textContent = rows.length === 0
    ? "Every knob has its recipe's value."
    : `${rows.length} off the recipe's value.`;
  byId("knob-table").parentElement.hidden = rows.length === 0;
  byId("knob-table").replaceChildren(
    head(["knob"], ["value", "num"], ["recipe", "num"], ["if the monitor falls silent", "num"], ["applied by"], ["why"]),
    element("tbody", {}, ...rows));
}

const SHOWN = {
  main: ["alarm", "all_clear", "restart", "action", "advice", "override", "rollback", "refused", "expired",
    "unacknowledged"],
  alarms: ["alarm", "all_clear", "restart"],
  actions: ["action", "advice", "override", "rollback"],
  answers: ["acknowledged", "refused", "expired", "unacknowledged"],
};

export function showLog(events, filter) {
  const kinds = SHOWN[filter];
  const shown = events.filter((event) => !kinds || kinds.includes(event.kind)).reverse();
  const rows = shown.slice(0, 500).map((event) => element("tr", { "data-kind": event.kind },
    element("td", { class: "time" }, event.wall_seconds === null ? "" : element("time",
      { datetime: new Date(event.wall_seconds * 1000).toISOString() }, clock(event.wall_seconds))),
    element("td", { class: "num" }, count(event.env_steps) ?? ""),
    element("td", {}, element("span", { class: "kind", "data-kind": event.kind },
      iconOfKind(event.kind), words(event.kind))),
    element("td", { class: "words" }, event.text),
    element("td", {}, event.knob ? words(event.knob) : ""),
    element("td", { class: "num" }, event.knob && (event.before !== null || event.after !== null)
      ? `${figure(event.before) ?? "recipe"} \u2192 ${figure(event.after) ?? "recipe"}` : "")));
  byId("log-table").replaceChildren(
    head(["time"], ["env step", "num"], ["what"], ["in words"], ["knob"], ["before \u2192 after", "num"]),
    rows.length > 0 ? element("tbody", {}, ...rows)
      : noRows(6, events.length === 0 ? "Nothing has happened yet: no alarm, no action." : "Nothing of this kind."));
}

export function showFigures(figures) {
  const rows = Object.entries(figures).map(([name, value]) => element("tr", {},
    element("th", { scope: "row" }, words(name)),
    value === null ? element("td", { class: "num nodata" }, "no data yet")
      : element("td", { class: "num" }, name === "wall_seconds" ? clock(value) : figure(value, 4))));
  byId("figure-table").replaceChildren(head(["figure"], ["value", "num"]),
    rows.length > 0 ? element("tbody", {}, ...rows) : noRows(2, "no checkpoint yet"));
}
