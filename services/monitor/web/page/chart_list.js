// Which curves the page shows. A series takes a field of a checkpoint; a line is a constant of the
// run or of the newest report, drawn dashed. `colour` names a variable of style.css.

const line = (field, label, colour, more = {}) => ({ field, label, colour, ...more });
const level = (label, value, colour) => ({ label, value, colour, level: true });
const tolerance = [level("tolerance", (answer) => answer.run.tolerance, "alarm"),
  level("warning", (answer) => answer.run.warning, "warn")];

export const CHARTS = [
  { id: "evidence", title: "Evidence for an alarm", unit: "log10", markers: true,
    note: "Grows while the policy looks better in its model than it is; an alarm is confirmed at the line.",
    series: [line("evidence_log10", "evidence", "c1"),
      level("alarm line", (answer) => answer.report.evidence_threshold_log10, "alarm")] },
  { id: "returns", title: "Return in the model and in reality", unit: "return", markers: true,
    note: "Mean return from the same start states; evaluations play without exploration.",
    series: [line("model_return", "in the model", "c2"), line("real_return", "in reality", "c1", { dash: [9, 4] }),
      line("evaluation_return", "evaluation", "c3", { points: true, dash: [2, 3] })] },
  { id: "index", title: "Index of co-adaptation and its parts", unit: "of the return scale",
    note: "Mean optimism of the model's backup on steps that it has not seen; the parts sum to the index.",
    series: [line("index", "index", "c1", { width: 2.6 }), line("index_reward", "reward", "c2", { dash: [9, 4] }),
      line("index_dynamics", "dynamics", "c3", { dash: [2, 3] }),
      line("index_termination", "termination", "c4", { dash: [10, 3, 2, 3] }), ...tolerance] },
  { id: "gaps", title: "Return gap by horizon", unit: "of the return scale",
    note: "Return in the model minus the real one over so many steps from the same states.",
    series: [line("gap_5", "5 steps", "c3", { dash: [2, 3] }), line("gap_25", "25 steps", "c4", { dash: [9, 4] }),
      line("gap_100", "100 steps", "c2", { dash: [10, 3, 2, 3] }),
      line("gap_episode", "whole episode", "c1", { width: 2.6 }), ...tolerance] },
  { id: "gap-curve", title: "Return gap over the horizon, now", unit: "of the return scale",
    note: "Where this curve bends up, longer imagined rollouts stop being safe.",
    curve: [["gap_5", "5"], ["gap_25", "25"], ["gap_100", "100"], ["gap_episode", "episode"]],
    curveLabel: "steps", lines: tolerance },
  { id: "open-loop-curve", title: "Open-loop model error over the horizon, now", unit: "sd",
    note: "Error of the model fed with its own predictions and the real actions; 1 is no better than the mean.",
    curve: [["open_loop_1", "1"], ["open_loop_5", "5"], ["open_loop_10", "10"], ["open_loop_20", "20"]],
    curveLabel: "steps", lines: [level("no better than the mean", () => 1, "alarm")] },
  { id: "errors", title: "Model error", unit: "sd",
    note: "One-step error on steps the model has not seen, and on held-out ones, in standard deviations.",
    series: [line("error_onpolicy", "fresh steps", "c2"), line("error_heldout", "held out", "c1", { dash: [9, 4] })] },
  { id: "open-loop", title: "Open-loop model error by horizon", unit: "sd",
    note: "How fast the error grows when the model runs on its own predictions.",
    series: [line("open_loop_1", "1 step", "c1"), line("open_loop_5", "5", "c3", { dash: [2, 3] }),
      line("open_loop_10", "10", "c4", { dash: [9, 4] }), line("open_loop_20", "20", "c2", { dash: [10, 3, 2, 3] })] },
  { id: "coverage", title: "Coverage of 90 % intervals", unit: "share",
    note: "Share of outcomes inside the interval that the model gave; far below 0.9 it is wrong and sure of it.",
    series: [line("coverage_onpolicy", "fresh steps", "c2"), line("coverage_heldout", "held out", "c1", { dash: [9, 4] }),
      level("warning", () => 0.8, "warn")] },
  { id: "disagreement", title: "What the ensemble sees", unit: "ratio",
    note: "Disagreement on imagined over real steps; and whether disagreement knows where the error is.",
    series: [line("disagreement_ratio", "imagined / real", "c2"), line("visibility", "visibility", "c1", { dash: [9, 4] })] },
  { id: "occupancy", title: "Where imagination goes", unit: "share",
    note: "How well imagined steps are told from real ones (0.5: not at all), and the effective share of real data.",
    series: [line("c2st_auc", "told apart", "c2"), line("effective_sample_share", "effective sample", "c1", { dash: [9, 4] }),
      level("warning", () => 0.75, "warn")] },
  { id: "shift", title: "Drift of the policy since the last fit", unit: "nats",
    note: "KL divergence of the policy from what it was when the model was fitted.",
    series: [line("policy_shift", "policy shift", "c4"), level("refit due", () => 0.5, "warn")] },
];

/** Small charts beside the knobs: values in force, as steps. */
export const KNOB_CHARTS = [["horizon", "Rollout horizon", "steps"], ["real_share", "Share of real rows", "share"],
  ["pessimism", "Pessimism", "weight"], ["update_to_data", "Policy updates", "for each env step"],
].map(([field, title, unit]) => ({ id: `knob-${field}`, title, unit, markers: true, height: 110,
  series: [line(field, "in force", "c1", { steps: true })] }));
