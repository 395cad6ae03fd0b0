// Puts the page together: what the reader chose stands in the address, what the monitor says comes
// from the feed.
import { Chart } from "./charts.js";
import { CHARTS, KNOB_CHARTS } from "./chart_list.js";
import { Feed } from "./feed.js";
import { setUpOverride } from "./override.js";
import { showFigures, showKnobs, showLog } from "./tables.js";
import { showCards, showConnection, showFreshness, showVerdict } from "./verdict.js";

const byId = (id) => document.getElementById(id);
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** The choices in the address: "#x=time&curves=smooth&theme=dark&zoom=100-900&log=alarms&at=charts". */
function readChoices() {
  const given = new URLSearchParams(location.hash.slice(1));
  const pick = (name, ...allowed) => (allowed.includes(given.get(name)) ? given.get(name) : allowed[0]);
  const zoom = (given.get("zoom") || "").split("-").map(Number);
  return { x: pick("x", "steps", "time"), curves: pick("curves", "raw", "smooth"),
    theme: pick("theme", "system", "light", "dark"), log: pick("log", "main", "all", "alarms", "actions", "answers"),
    zoom: zoom.length === 2 && zoom[1] > zoom[0] ? zoom : null, at: given.get("at") };
}

let choices = readChoices();

function choose(change) {
  choices = { ...choices, at: null, ...change };
  const usual = { x: "steps", curves: "raw", theme: "system", log: "main" };
  const parts = Object.keys(usual).filter((name) => choices[name] !== usual[name]).map((name) => `${name}=${choices[name]}`);
  if (choices.zoom) parts.push(`zoom=${choices.zoom.map((value) => Math.round(value)).join("-")}`);
  history.replaceState(null, "", parts.length > 0 ? `#${parts.join("&")}` : location.pathname);
  apply();
}

const options = {
  onZoom: (zoom) => choose({ zoom }),
  onRead: (text) => { byId("reading").textContent = text; },
};
const charts = CHARTS.map((spec) => new Chart(spec, options));
const knobCharts = KNOB_CHARTS.map((spec) => new Chart(spec, options));
byId("chart-grid").replaceChildren(...charts.map((chart) => chart.root));
byId("knob-grid").replaceChildren(...knobCharts.map((chart) => chart.root));

const feed = new Feed(render);
const showOverride = setUpOverride(feed);
/** Runs `show` where `key` is not what it was last time: what stands still keeps selection and focus. */
const keys = new Map();
function whenNew(name, key, show) {
  const text = JSON.stringify(key);
  if (keys.get(name) === text) return;
  keys.set(name, text);
  show();
}

function apply() {
  const dark = choices.theme === "dark" || (choices.theme === "system" && DARK.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const name of ["x", "curves"]) document.querySelector(`input[name=${name}][value=${choices[name]}]`).checked = true;
  byId("theme").value = choices.theme;
  byId("log-filter").value = choices.log;
  byId("unzoom").hidden = choices.zoom === null;
  render();
}

function drawCharts() {
  const view = { x: choices.x, smooth: choices.curves === "smooth", zoom: choices.zoom,
    theme: document.documentElement.dataset.theme };
  for (const chart of [...charts, ...knobCharts]) {
    chart.redrawWanted = drawCharts;
    chart.show(feed.answer, feed.checkpoints, feed.events, view, feed.version);
  }
}

function render() {
  showConnection(feed);
  const state = feed.state();
  if (feed.answer !== null) {
    showVerdict(feed.answer, state);
    showFreshness(feed, state);
    showOverride();
  }
  drawCharts();
  whenNew("log", [feed.version, choices.log], () => showLog(feed.events, choices.log));
  if (feed.answer === null) return;
  const { report, figures, directive, run } = feed.answer;
  whenNew("cards", [{ ...report, age_seconds: 0 }, figures, run], () => showCards(feed.answer));
  whenNew("knobs", directive, () => showKnobs(feed.answer));
  whenNew("figures", figures, () => showFigures(figures));
}

for (const input of document.querySelectorAll("input[name=x]")) {
  input.addEventListener("change", () => choose({ x: input.value, zoom: null }));
}
for (const input of document.querySelectorAll("input[name=curves]")) {
  input.addEventListener("change", () => choose({ curves: input.value }));
}
byId("theme").addEventListener("change", (event) => choose({ theme: event.target.value }));
byId("log-filter").addEventListener("change", (event) => choose({ log: event.target.value }));
byId("unzoom").addEventListener("click", () => choose({ zoom: null }));
DARK.addEventListener("change", apply);

// Links to a section keep the other choices.
function goTo(name) {
  const section = document.getElementById(name);
  if (section === null) return;
  section.focus({ preventScroll: true });
  section.scrollIntoView();
}
window.addEventListener("hashchange", () => {
  const wanted = readChoices();
  if (wanted.at !== null && [...new URLSearchParams(location.hash.slice(1)).keys()].length === 1) {
    choose({});
    goTo(wanted.at);
  } else {
    choices = wanted;
    apply();
    if (wanted.at !== null) goTo(wanted.at);
  }
});

apply();
if (choices.at !== null) goTo(choices.at);
feed.start();
// Ages tick on, and silence shows, also between answers.
setInterval(render, 500);
