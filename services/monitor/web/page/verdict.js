// The top of the page: whether the monitor answers, the verdict in words, freshness, and the cards.
import { count, duration, element, figure, power, share, words } from "./format.js";
import { icon } from "./icons.js";

const TITLES = {
  warming_up: "Warming up: too early to judge",
  healthy: "Healthy: no sign that the policy exploits its model",
  warning: "Warning: the model may promise too much",
  exploiting: "The policy exploits its model",
  pessimistic: "The model undersells the policy",
  stale: "Stale: the figures are too old to judge by",
  void: "No verdict on the newest model",
};
const STATES = ["healthy", "warn", "act", "cooldown", "recover"];
const SIGNALS = {
  bias: "the index", gap_5: "the gap over 5 steps", gap_100: "the gap over 100 steps",
  gap_episode: "the gap over whole episodes",
};

const byId = (id) => document.getElementById(id);

/** Sets the text only where it differs: a live region is read out at each change. */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function connectionText(feed, state) {
  if (state === "down") return `The monitor is not answering since ${duration(feed.silence())}.` +
    (feed.answer === null ? " Nothing was heard of it yet." : " Below is the last that it said.");
  if (state === "connecting") return "Connecting to the monitor";
  const age = feed.age();
  if (state === "stale") {
    return age === null ? "Stale" : `Stale since ${duration(age)}: nothing was judged in all that time.`;
  }
  if (age === null) return "Live: the monitor answers, and has computed no figures yet.";
  return `Live: figures ${duration(age)} old.`;
}

export function showConnection(feed) {
  const state = feed.state();
  document.body.dataset.state = state;
  const line = byId("connection");
  setText(line, connectionText(feed, state));
  // Seconds that tick are no news: only a change of state is read out.
  const live = line.dataset.said === state ? "off" : "polite";
  line.dataset.said = state;
  line.setAttribute("aria-live", live);
}

export function showVerdict(answer, state) {
  const report = answer.report;
  const verdict = report.verdict;
  const banner = byId("banner");
  if (banner.dataset.verdict !== verdict) {
    banner.dataset.verdict = verdict;
    byId("verdict-icon").replaceChildren(icon(verdict));
  }
  const title = TITLES[verdict] || words(verdict);
  setText(byId("verdict-title"), state === "down" ? `Last verdict: ${title}` : title);
  const carried = report.signal ? ` Carried by ${SIGNALS[report.signal] || words(report.signal)}.` : "";
  setText(byId("verdict-sentence"), report.sentence + carried);
  document.title = `${TITLES[verdict] ? words(verdict) : "?"}: ${answer.run.name || "Tandem"}`;
  setText(byId("run-name"), answer.run.name || "Tandem");
  const facts = [answer.run.environment, `seed ${answer.run.seed}`,
    `${count(report.env_steps)} of ${count(answer.run.max_env_steps)} env steps`,
    { off: "the controller is off", advise: "the controller only advises", act: "the controller acts" }[answer.run.control]];
  setText(byId("run-facts"), facts.filter(Boolean).join(" \u00b7 "));
  showController(answer);
}

function showController(answer) {
  const list = byId("controller-states");
  const current = answer.report.controller_state || "off";
  if (list.dataset.current !== current) {
    list.dataset.current = current;
    const states = STATES.includes(current) ? STATES : [current];
    list.replaceChildren(...states.map((name) =>
      element("li", { "aria-current": name === current && "step" }, name)));
    if (!STATES.includes(current)) list.firstChild.textContent = `controller ${current}`;
  }
  setText(byId("advice"), answer.report.advice || "");
}

function fresh(name, text, bad = false) {
  const known = text !== null && text !== undefined;
  return element("div", {}, element("dt", {}, name),
    element("dd", { class: known ? (bad ? "bad" : null) : "nodata" }, known ? text : "no data yet"));
}

export function showFreshness(feed, state) {
  const { report, figures } = feed.answer;
  const age = feed.age();
  const version = (number) => (number > 0 ? `version ${number}` : null);
  const steps = (value) => (value === null ? null : `${count(value)} env steps old`);
  const dropped = report.fresh_steps_dropped;
  byId("freshness").replaceChildren(
    fresh("Monitor", state === "down" ? `not answering since ${duration(feed.silence())}` : "answering", state === "down"),
    fresh("Figures", age === null ? null : `${duration(age)} old`, state === "stale"),
    fresh("Model", report.model_version > 0
      ? [version(report.model_version), steps(report.model_age_env_steps)].filter(Boolean).join(", ") : null),
    fresh("Policy", version(report.policy_version)),
    fresh("Policy lag", figures.policy_lag === null ? null : `${figure(figures.policy_lag)} updates`),
    fresh("Fresh steps judged", count(report.fresh_steps_scored)),
    fresh("Dropped", count(dropped), dropped > 0),
    fresh("Checkpoint", count(figures.number)));
}

/** Where a value stands between limits, as a small picture. */
function scale(value, low, high, marks) {
  const at = (x, kind) => {
    const mark = element("span", { class: kind });
    mark.style.left = `${100 * Math.min(1, Math.max(0, (x - low) / (high - low)))}%`;
    return mark;
  };
  return element("div", { class: "scale", "aria-hidden": true },
    low < 0 && high > 0 ? at(0, "zero") : null,
    ...marks.filter(([mark]) => mark !== null).map(([mark, kind]) => at(mark, kind)),
    value === null ? null : at(value, "here"));
}

function card({ title, value, unit, level, say, against, sample, picture }) {
  const known = value !== null && value !== undefined;
  const texts = { warn: "\u25b2 above the warning line", alarm: "\u25a0 above the alarm line", cold: "\u25bc below the lower line" };
  return element("article", { class: "card", "data-level": known ? level || "fine" : "none", "data-card": title },
    element("h3", {}, title),
    known ? element("div", { class: "value" }, value, unit ? element("small", {}, ` ${unit}`) : null)
          : element("div", { class: "value" }, element("span", { class: "nodata" }, "no data yet")),
    known && picture ? picture : null,
    known && texts[level] ? element("div", { class: "level" }, say || texts[level]) : null,
    against ? element("div", { class: "against" }, against) : null,
    sample ? element("div", { class: "against" }, sample) : null);
}

/**
 * The level of a share of the return scale. Long imagined returns are often low in healthy training,
 * so a gap has no lower line; the index has.
 */
function levelOf(value, run, below) {
  if (value === null || value === undefined) return null;
  if (value > run.tolerance) return "alarm";
  if (value > run.warning) return "warn";
  return below && value < -run.tolerance ? "cold" : "fine";
}

function shareCard(title, value, run, sample, below = false) {
  const limit = Math.max(2 * run.tolerance, 0.1);
  const level = levelOf(value, run, below);
  return card({ title, value: share(value), unit: "of S", level, say: level === "alarm" ? "\u25a0 above the tolerance" : null,
    against: `warns at ${share(run.warning)}, tolerates ${share(run.tolerance)}`, sample,
    picture: scale(value ?? null, -limit, limit, [[run.warning, "warn"], [run.tolerance, "alarm"]]) });
}

function evidenceCard(report, run, figures) {
  const value = report.evidence_log10, line = report.evidence_threshold_log10;
  const number = figures.number ?? null;
  return card({ title: "Evidence for an alarm", value: power(value), unit: value === null ? "" : `of ${power(line)}`,
    level: value !== null && value >= line ? "alarm" : "fine", say: "\u25a0 above the alarm line",
    against: `false alarms: at most one in ${count(run.false_alarm_interval)} checkpoints`,
    sample: number === null ? null : `${count(number)} checkpoints judged`,
    picture: scale(value, Math.min(-2, value ?? 0), Math.max(line * 1.25, 1), [[line, "alarm"]]) });
}

function withError(error) {
  return error === null || error === undefined ? "" : `, standard error ${figure(error, 2)}`;
}

export function showCards(answer) {
  const { report, figures, run } = answer;
  const get = (name) => figures[name] ?? null;
  const counted = (name, what) => (get(name) === null ? null : `${count(get(name))} fresh ${what}${get(name) === 1 ? "" : "s"}`);
  const freshSteps = counted("fresh_steps", "step");
  const episodes = counted("fresh_episodes", "episode");
  const model = get("model_return"), real = get("real_return");
  byId("cards").replaceChildren(
    evidenceCard(report, run, figures),
    shareCard("Index of co-adaptation", get("index"), run, freshSteps && freshSteps + withError(get("index_error")), true),
    shareCard("Gap over 25 steps", get("gap_25"), run, freshSteps),
    shareCard("Gap over whole episodes", get("gap_episode"), run, episodes && episodes + withError(get("gap_episode_error"))),
    card({ title: "Return in the model", value: figure(model), against: `in reality ${figure(real) ?? "no data yet"}`,
      sample: get("return_scale") === null ? null : `return scale S is ${figure(get("return_scale"))}` }),
    card({ title: "Newest evaluation", value: figure(report.evaluation_return),
      against: `newest training episode ${figure(report.training_return) ?? "no data yet"}` }),
    card({ title: "Model error on fresh steps", value: figure(get("error_onpolicy")), unit: "sd",
      level: get("error_ratio") > 2.5 ? "alarm" : get("error_ratio") > 1.5 ? "warn" : "fine",
      against: `held out ${figure(get("error_heldout")) ?? "no data yet"}; ratio ${figure(get("error_ratio")) ?? "no data yet"}, warns at 1.5`,
      sample: freshSteps }),
    card({ title: "Coverage of 90 % intervals", value: figure(get("coverage_onpolicy")),
      level: get("coverage_onpolicy") !== null && get("coverage_onpolicy") < 0.8 ? "warn" : "fine", say: "\u25b2 confidently wrong",
      against: `held out ${figure(get("coverage_heldout")) ?? "no data yet"}; warns below 0.8`, sample: freshSteps }),
    card({ title: "Error seen by the ensemble", value: figure(get("visibility")),
      against: "rank correlation of disagreement and error; blind below 0.1", sample: freshSteps }));
}
