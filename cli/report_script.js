// Draws the curves of a run report with uPlot. `data` is what report.cc's Curves() makes.
function drawReport(data) {
  "use strict";
  const colour = (name) => () =>
    getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const progress = data.progress;
  const plots = [];

  const line = (label, values, name, options) =>
    ({ label, values, options: { stroke: colour(name), width: 1.6, ...options } });
  const level = (label, value, name, steps = progress.env_steps) =>
    line(label, steps.map(() => value), name, { width: 1, dash: [6, 5] });
  // A single point has no line.
  const alone = (series) => series.values.filter((value) => value !== null).length === 1;
  const known = (series) => series.values.some((value) => value !== null);

  // Puts evaluations, which have steps of their own, onto the axis of the progress records.
  const joined = (steps, values) => {
    const at = new Map(steps.map((step, i) => [step, values[i]]));
    return progress.env_steps.map((step) => (at.has(step) ? at.get(step) : null));
  };
  for (const step of data.evaluations.env_steps) {
    if (progress.env_steps.includes(step)) continue;
    const after = progress.env_steps.findIndex((other) => other > step);
    const index = after < 0 ? progress.env_steps.length : after;
    for (const name of Object.keys(progress)) {
      progress[name].splice(index, 0, name === "env_steps" ? step : null);
    }
  }

  const axis = (options) => ({
    stroke: colour("ink"), grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 }, ...options,
  });

  /** Draws the series of which something is known; `otherwise` is said where nothing is. */
  function chart(id, series, { steps = progress.env_steps, otherwise = "No figures in this run." } = {}) {
    const place = document.getElementById(id);
    const drawn = series.filter(known);
    if (steps.length === 0 || drawn.every((one) => one.options.dash)) {
      const note = document.createElement("div");
      note.className = "empty";
      note.textContent = otherwise;
      place.append(note);
      return;
    }
    const size = () => ({ width: Math.max(280, place.clientWidth), height: 260 });
    const plot = new uPlot({
      ...size(),
      scales: { x: { time: false } },
      axes: [axis({ label: "environment steps" }), axis({ size: 64 })],
      legend: { live: false, markers: { dash: (plot, i) => (plot.series[i].dash ? "dashed" : "solid") } },
      cursor: { drag: { x: true, y: false } },
      series: [{ label: "environment steps" },
        ...drawn.map((one) => ({ label: one.label, spanGaps: true, points: { show: alone(one) }, ...one.options }))],
    }, [steps, ...drawn.map((one) => one.values)], place);
    plots.push({ plot, size });
  }

  const evaluations = joined(data.evaluations.env_steps, data.evaluations.mean_return);
  const goal = data.goal === null ? [] : [level("goal", data.goal, "faint")];
  chart("returns", [
    line("training episodes", progress.training_return, "c4", { width: 1 }),
    line("evaluation", evaluations, "c3", { width: 2, points: { show: true, size: 6 } }),
    line("real, of the monitor's episodes", progress.real_return, "c1"),
    line("imagined by the model", progress.model_return, "c2"),
    ...goal,
  ]);
  const judged = data.checkpoints;
  const limits = [level("warning", data.warning, "warn", judged.env_steps),
    level("tolerance", data.tolerance, "alarm", judged.env_steps)];
  chart("index", [
    line("index", judged.index, "c1", { width: 2.4 }),
    line("reward", judged.index_reward, "c2"),
    line("dynamics", judged.index_dynamics, "c3"),
    line("termination", judged.index_termination, "c4"),
    ...limits,
  ], { steps: judged.env_steps,
    otherwise: data.objective === "MNM" ? "Not known with objective MNM." : undefined });
  chart("evidence", [
    line("evidence, log10", judged.evidence_log10, "c1", { width: 2.4 }),
    level("alarm line", data.evidence_threshold_log10, "alarm", judged.env_steps),
  ], { steps: judged.env_steps });
  chart("gaps", [
    line("5 steps", judged.gap_5, "c3"), line("25 steps", judged.gap_25, "c4"),
    line("100 steps", judged.gap_100, "c2"),
    line("whole episode", judged.gap_episode, "c1", { width: 2.4 }),
    ...limits,
  ], { steps: judged.env_steps });
  chart("errors", [
    line("fresh steps", judged.error_onpolicy, "c2"),
    line("held-out steps", judged.error_heldout, "c1"),
  ], { steps: judged.env_steps });
  chart("speed", [
    line("environment steps/s", progress.steps_per_second, "c1"),
    line("policy updates/s", progress.updates_per_second, "c3"),
  ].filter((one) => one.values.some((value) => value > 0)), { otherwise: "Nothing ran." });

  const redraw = () => plots.forEach(({ plot, size }) => { plot.setSize(size()); });
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    plots.forEach(({ plot }) => plot.redraw(false, true)));
}
