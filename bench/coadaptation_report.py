"""Analyses a study of co-adaptation: how well each figure of a checkpoint tells that the policy exploits its model,
and how the monitor's alarms do for whole runs.

  bench/coadaptation_report.py FOLDER [--controlled FOLDER] [--out report.md]

FOLDER is what bench/coadaptation_study.py filled. A checkpoint is positive where the evaluation that belongs to it
looks more than 0.2 of the return scale better in the model than it was. Writes Markdown tables, and beside them
summary.csv with a row for each run, roc_<env>.svg and run_<env>_<arm>.svg. Needs numpy.
"""

import argparse
import math
import os
import statistics
import sys

import coadaptation_plots as plots
import coadaptation_statistics as stats
import coadaptation_study as study
from coadaptation_answer import answer_section
from coadaptation_leads import collapse_section, curve_section
from coadaptation_runs import ALARM, by_run, ends, labelled, median, read, result_of, show, summarise, table
from run_files import write_csv

# Where they stand, what was in force and what holds the label: no scores.
NOT_SCORES = {
    "env", "arm", "seed", "kind", "verdict", "signal", "sentence", "number", "env_steps", "model_env_steps",
    "policy_updates", "model_version", "policy_version", "fresh_steps", "scored_steps", "fresh_episodes",
    "wall_seconds",
    "label_gap", "label_real_return", "gap_evaluation", "evaluation_return", "model_return", "real_return",
    "return_scale", "block_steps", "policy_lag", "model_age", "real_share",
    "update_to_data", "horizon", "pessimism", "early",
}
PARTS = ("read_", "alone_", "gap_episode_")  # of other figures
# Less of these is the bad sign.
FALLING = {"rank_correlation", "visibility", "coverage_onpolicy", "coverage_heldout", "effective_sample_share",
           "improvement_agreement", "evidence_negative_log10"}


def scored(rows, name):
    known = [r for r in rows if not math.isnan(r.get(name, math.nan))]
    sign = -1 if name in FALLING else 1
    return known, [sign * r[name] for r in known], [r["positive"] for r in known]


def ranking(rows, names, repeats):
    """[(name, n, AUROC, interval, AUPRC)], the best first."""
    results = []
    for name in names:
        known, scores, labels = scored(rows, name)
        area = stats.auroc(scores, labels)
        if math.isnan(area):
            continue
        interval = stats.bootstrap(known, lambda some, n=name: stats.auroc(*scored(some, n)[1:]), repeats)
        results.append((name, len(known), area, interval, stats.auprc(scores, labels)))
    return sorted(results, key=lambda r: -r[2])


def ranking_section(env, rows, names, repeats):
    positives = sum(r["positive"] for r in rows)
    lines = [f"## {env}: checkpoints", "", f"{len(rows)} checkpoints, {positives} positive.", ""]
    results = ranking(rows, names, repeats)
    lines += table(["figure", "checkpoints", "AUROC", "90 % interval", "AUPRC"],
                   [[f"`{name}`", str(n), show(area), f"{show(low)} to {show(high)}", show(precision)]
                    for name, n, area, (low, high), precision in results])
    return lines + [""], results


def run_section(env, runs):
    header = ["arm", "runs", "exploited", "of these alarmed", "median delay [checkpoints]", "collapsed",
              "alarm before onset",
              "median lead [checkpoints]", "median lead [env steps]", "not exploited", "false alarms",
              "95 % interval", "pessimism alarms"]
    lines = []
    for arm in study.ARMS:
        own = [summarise(rows) for (e, a, _), rows in runs.items() if e == env and a == arm]
        if not own:
            continue
        bad = [r for r in own if r["exploited"]]
        good = [r for r in own if not r["exploited"]]
        collapsed = [r for r in bad if r["onset"] is not None]
        leads = [r for r in collapsed if r["lead"] is not None]
        false = sum(r["alarm"] is not None for r in good)
        low, high = stats.clopper_pearson(false, len(good))
        lines.append([arm, str(len(own)), str(len(bad)), str(sum(r["alarm"] is not None for r in bad)),
                      show(median([r["delay"] for r in bad if r["delay"] is not None]), 1), str(len(collapsed)),
                      str(sum(r["lead"] >= 0 for r in leads)),
                      show(median([r["lead"] for r in leads]), 1), show(median([r["lead_steps"] for r in leads]), 0),
                      str(len(good)), str(false), f"{show(low)} to {show(high)}" if good else "-",
                      str(sum(r["pessimistic"] for r in own))])
    return [f"## {env}: runs", "", *table(header, lines), ""]


def false_alarm_section(runs):
    """Alarms in runs that did not exploit, in all environments: how often, for each checkpoint."""
    lines = []
    for arm, about in study.ARMS.items():
        if about.kind == "induced":
            continue
        own = [summarise(rows) for (_, a, _), rows in runs.items() if a == arm]
        checkpoints = sum(r["checkpoints"] for r in own)
        alarms = sum(r["alarm"] is not None for r in own)
        good = [r for r in own if not r["exploited"]]
        if own:
            low, high = stats.clopper_pearson(alarms, len(own))
            lines.append([arm, str(len(own)), str(checkpoints), str(alarms), f"{show(low)} to {show(high)}",
                          str(len(good)), *(str(sum(r[tier] is not None for r in good))
                                            for tier in ("alarm", "early", "warning"))])
    header = ["arm", "runs", "checkpoints", "runs with an alarm", "95 % interval of the share of runs",
              "not exploited", "of these confirmed", "early", "warned"]
    return ["## False alarms", "", *table(header, lines), ""]


def inducement_section(rows):
    """What each arm did: the labels themselves."""
    lines = []
    for env in study.ENVIRONMENTS:
        for arm in study.ARMS:
            own = [r for r in rows if r["env"] == env and r["arm"] == arm]
            if not own:
                continue
            gaps = sorted(r["label_gap"] for r in own)
            last = [run[-1]["label_real_return"] for (e, a, _), run in by_run(own).items()]
            lines.append([env, arm, str(len(own)), show(statistics.fmean(r["positive"] for r in own)),
                          show(gaps[len(gaps) // 10]), show(median(gaps)), show(gaps[len(gaps) * 9 // 10]),
                          show(median([x for x in last if not math.isnan(x)]), 0)])
    header = ["environment", "arm", "checkpoints", "share positive", "gap 10 %", "median", "90 %", "last real return"]
    return ["## What the arms induced", "", *table(header, lines), ""]


def control_section(runs, controlled):
    """Results of the arms without and with the controller, against the mitigated control (C1) of the same seeds. What
    was kept is the share of the way from C1's first return to its last."""
    lines = []
    for env in study.ENVIRONMENTS:
        for arm in study.ARMS:
            seeds = sorted(s for e, a, s in controlled if e == env and a == arm)
            c1 = [runs[env, "C1", s] for s in seeds if (env, "C1", s) in runs]
            off = [result_of(runs[env, arm, s]) for s in seeds if (env, arm, s) in runs]
            if not seeds or not c1:
                continue
            on = [result_of(controlled[env, arm, s]) for s in seeds]
            first, best = ends(c1)
            kept = [(median(values) - first) / (best - first) for values in (off, on)]
            lines.append([env, arm, str(len(seeds)), show(best, 0), show(median(off), 0), show(median(on), 0),
                          *(f"{100 * k:.0f} %" for k in kept), " ".join(show(x, 0) for x in on)])
    header = ["environment", "arm", "seeds", "C1", "controller off", "controller on", "kept off", "kept on",
              "each seed, on"]
    return ["## The controller", "", *table(header, lines), ""]


def write_summary(path, runs):
    """One row for each run: what became of it, in checkpoints counted from 0."""
    rows = []
    for (env, arm, seed), run in sorted(runs.items()):
        scored_rows = labelled(run)
        rows.append({"env": env, "arm": arm, "seed": seed, **summarise(run), "result": show(result_of(run), 1),
                     "median_label": show(median([r["label_gap"] for r in scored_rows]), 3),
                     "median_score": show(median([r["combined"] for r in scored_rows]), 3)})
    write_csv(path, rows)


def draw(folder, env, rows, runs, results):
    curves = []
    for name, _, area, _, _ in results[:6]:
        _, scores, labels = scored(rows, name)
        points = stats.curve(scores, labels)
        true, false = points[-1]
        curves.append((f"{name} {area:.2f}", [(f / max(1, false), t / max(1, true)) for t, f in points]))
    if curves:
        plots.write_lines(os.path.join(folder, f"roc_{env}.svg"), f"{env}: ROC of checkpoints", "false positive share",
                          "true positive share", curves)
    for arm in study.ARMS:
        own = sorted((seed, run) for (e, a, seed), run in runs.items() if e == env and a == arm)
        if not own:
            continue
        run = own[0][1]
        series = [(name, [(r["env_steps"], r[name]) for r in run if not math.isnan(r.get(name, math.nan))])
                  for name in ("label_gap", "gap_episode", "index")]
        alarms = [r["env_steps"] for r in run if r.get("verdict") == ALARM]
        plots.write_lines(os.path.join(folder, f"run_{env}_{arm}.svg"), f"{env}, {arm}, seed {own[0][0]}",
                          "environment steps", "share of the return scale", series, marks=alarms, level=study.LABEL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--controlled", help="folder of the same arms with control.mode=ACT")
    parser.add_argument("--out", help="Markdown file; default: FOLDER/report.md")
    parser.add_argument("--repeats", type=int, default=300, help="of the bootstrap")
    args = parser.parse_args()
    rows = read(args.folder)
    good = labelled(rows)
    if not good:
        sys.exit(f"bench/coadaptation_report: {args.folder}/checkpoints.csv has no checkpoint with a label")
    names = [name for name in good[0] if name not in NOT_SCORES | {"positive"} and not name.startswith(PARTS)]
    runs = by_run(rows)
    head = ["# Study of co-adaptation", "",
            "Calibration: " + ", ".join(study.CALIBRATION) + ". Held out: " + ", ".join(study.HELD_OUT) + ".", ""]
    lines = inducement_section(good) + false_alarm_section(runs) + collapse_section(runs)
    lines += curve_section(args.folder, runs)
    areas = {}
    for env in study.ENVIRONMENTS:
        own = [r for r in good if r["env"] == env and r["arm"] != "C0"]
        if not own:
            continue
        section, results = ranking_section(env, own, names, args.repeats)
        lines += section + run_section(env, runs)
        areas.update({env: (area, interval) for name, _, area, interval, _ in results if name == "combined"})
        draw(args.folder, env, own, runs, results)
    controlled = by_run(read(args.controlled)) if args.controlled else {}
    if controlled:
        lines += control_section(runs, controlled)
        write_summary(os.path.join(args.folder, "controlled.csv"), controlled)
    write_summary(os.path.join(args.folder, "summary.csv"), runs)
    lines = head + answer_section(runs, areas, controlled) + lines
    path = args.out or os.path.join(args.folder, "report.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
