"""Analyses a study of co-adaptation: how well each figure of a checkpoint tells that the policy exploits its model,
and how the monitor's alarms do for whole runs.

  bench/coadaptation_report.py FOLDER [--controlled FOLDER] [--out report.md]

FOLDER is what bench/coadaptation_study.py filled. A checkpoint is positive where the evaluation that belongs to it
looks more than 0.2 of the return scale better in the model than it was. Writes Markdown tables, and beside them
summary.csv with a row for each run, roc_<env>.svg and run_<env>_<arm>.svg. Needs numpy.
"""

import argparse
import csv
import math
import os
import statistics
import sys

import coadaptation_plots as plots
import coadaptation_statistics as stats
import coadaptation_study as study

# Where they stand, what was in force and what holds the label: no scores.
NOT_SCORES = {
    "env", "arm", "seed", "kind", "verdict", "signal", "sentence", "number", "env_steps", "model_env_steps",
    "policy_updates", "model_version", "policy_version", "fresh_steps", "scored_steps", "fresh_episodes", "wall_seconds",
    "label_gap", "label_real_return", "gap_evaluation", "evaluation_return", "model_return", "real_return",
    "return_scale", "block_steps", "gap_episode_first", "gap_episode_second", "policy_lag", "model_age", "real_share", "update_to_data", "horizon", "pessimism",
}
# Less of these is the bad sign.
FALLING = {"rank_correlation", "visibility", "coverage_onpolicy", "coverage_heldout", "effective_sample_share",
           "improvement_agreement", "evidence_negative_log10"}
COMBINED = ("gap_100", "gap_episode")  # the monitor's own score, in units of the return scale
PLANTED = {"I5", "I5b", "C3"}  # what happened before the error was planted is not theirs
ALARM = "exploiting"
WARMUP = 3  # checkpoints that are not judged
LAST = 5    # checkpoints whose mean real return is a run's result


def number(text):
    try:
        value = float(text)
    except (TypeError, ValueError):
        return math.nan
    return value


def combined(row):
    """Mean of the two longest gaps, of those that are known: no fit, no weights (coadaptation::ExploitationScore)."""
    known = [row[name] for name in COMBINED if not math.isnan(row.get(name, math.nan))]
    return statistics.fmean(known) if known else math.nan


def read(folder):
    """Checkpoints with a label, numbers as floats."""
    with open(os.path.join(folder, "checkpoints.csv"), encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file))
    texts = {"env", "arm", "seed", "verdict", "signal", "kind"}
    rows = [{k: v if k in texts else number(v) for k, v in row.items()} for row in raw]
    for row in rows:
        row["combined"] = combined(row)
        row["positive"] = row["label_gap"] > study.LABEL
    return rows


def labelled(rows):
    """Checkpoints that count: with a label, after the warm-up."""
    return [r for r in rows if not math.isnan(r["label_gap"]) and r.get("verdict") not in ("warming_up", "stale", "void")]


def scored(rows, name):
    known = [r for r in rows if not math.isnan(r.get(name, math.nan))]
    sign = -1 if name in FALLING else 1
    return known, [sign * r[name] for r in known], [r["positive"] for r in known]


def table(header, lines):
    out = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def show(value, digits=2):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


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


def summarise(rows):
    """What became of one run: rows in order. Where something was planted, what came of it from then on."""
    planted = rows[0].get("arm") in PLANTED
    begin = WARMUP
    if planted:
        begin = next((i for i, r in enumerate(rows) if r["model_env_steps"] >= study.PLANTED_FROM), len(rows))
    alarm = next((i for i, r in enumerate(rows) if i >= begin and r.get("verdict") == ALARM), None)
    known = [i for i, r in enumerate(rows) if not math.isnan(r["label_real_return"] + r.get("return_scale", math.nan))]
    at = stats.onset([rows[i]["label_real_return"] for i in known], [rows[i]["return_scale"] for i in known],
                     begin=begin)
    at = known[at] if at is not None else None
    positive = [i for i, r in enumerate(rows) if i >= begin and r["positive"]]
    counted = [r for r in rows[begin:] if r.get("verdict") not in ("warming_up", "stale", "void")]
    exploited = sum(r["positive"] for r in counted) >= 2
    lead = lead_steps = None
    if alarm is not None and at is not None and exploited:
        lead, lead_steps = at - alarm, rows[at]["env_steps"] - rows[alarm]["env_steps"]
    return {"alarm": alarm, "onset": at, "exploited": exploited, "lead": lead, "lead_steps": lead_steps,
            "first_positive": positive[0] if positive else None, "checkpoints": len(counted),
            "warning": next((i for i, r in enumerate(rows) if i >= begin and r.get("verdict") in (ALARM, "warning")),
                            None),
            "harm_before": sum(i <= at for i in positive) if at is not None else None,
            "delay": alarm - positive[0] if alarm is not None and positive else None,
            "pessimistic": any(r.get("verdict") == "pessimistic" for r in rows)}


def by_run(rows):
    runs = {}
    for row in rows:
        runs.setdefault((row["env"], row["arm"], row["seed"]), []).append(row)
    return {key: sorted(value, key=lambda r: r["env_steps"]) for key, value in runs.items()}


def median(values):
    return statistics.median(values) if values else math.nan


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


def lead_of(run, name):
    """Checkpoints from the first alarm or warning to the onset; minus infinity where there is none."""
    return run["onset"] - run[name] if run[name] is not None else -math.inf


def collapse_section(runs):
    """Collapses of the induced arms by what was there to be seen: by the number of positive checkpoints, after the
    warm-up and up to the onset."""
    own = [(env, summarise(rows)) for (env, arm, _), rows in runs.items() if study.ARMS[arm].kind == "induced"]
    own = [(env, run) for env, run in own if run["exploited"] and run["onset"] is not None]
    cases = [(env, lambda e, _, name=env: e == name) for env in study.ENVIRONMENTS]
    cases += [(f"{n} positive checkpoints up to the onset", lambda _, run, n=n: run["harm_before"] == n)
              for n in (0, 1, 2)]
    cases += [("3 or more", lambda _, run: run["harm_before"] >= 3), ("all", lambda *_: True)]
    lines = []
    for name, belongs in cases:
        some = [run for env, run in own if belongs(env, run)]
        if not some:
            continue
        lines.append([name, str(len(some))])
        for tier in ("alarm", "warning"):
            leads = [lead_of(run, tier) for run in some]
            lines[-1] += [f"{sum(lead >= 0 for lead in leads)} ({100 * sum(lead >= 0 for lead in leads) / len(some):.0f} %)",
                          show(median(leads), 1), str(sum(lead >= 2 for lead in leads))]
    header = ["collapses", "runs", "alarmed at or before the onset", "median lead [checkpoints]", "2 or more ahead",
              "warned at or before", "median lead", "2 or more ahead"]
    return ["## Collapses", "", *table(header, lines), ""]


def false_alarm_section(runs):
    """Alarms in runs that did not exploit, in all environments: how often, for each checkpoint."""
    lines = []
    for arm, about in study.ARMS.items():
        if about.kind == "induced":
            continue
        own = [summarise(rows) for (_, a, _), rows in runs.items() if a == arm]
        checkpoints = sum(r["checkpoints"] for r in own)
        alarms = sum(r["alarm"] is not None for r in own)
        if own:
            low, high = stats.clopper_pearson(alarms, len(own))
            lines.append([arm, str(len(own)), str(checkpoints), str(alarms), f"{show(low)} to {show(high)}"])
    header = ["arm", "runs", "checkpoints", "runs with an alarm", "95 % interval of the share of runs"]
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


def result_of(run):
    """Mean real return of the last checkpoints of a run."""
    known = [r["label_real_return"] for r in run if not math.isnan(r["label_real_return"])]
    return statistics.fmean(known[-LAST:]) if known else math.nan


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
            best = median([result_of(run) for run in c1])
            first = median([run[0]["label_real_return"] for run in c1])
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
    study.write_csv(path, rows)


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
    names = [name for name in good[0] if name not in NOT_SCORES | {"positive"}]
    runs = by_run(rows)
    lines = ["# Study of co-adaptation", "",
             "Calibration: " + ", ".join(study.CALIBRATION) + ". Held out: " + ", ".join(study.HELD_OUT) + ".", ""]
    lines += inducement_section(good) + false_alarm_section(runs) + collapse_section(runs)
    for env in study.ENVIRONMENTS:
        own = [r for r in good if r["env"] == env and r["arm"] != "C0"]
        if not own:
            continue
        section, results = ranking_section(env, own, names, args.repeats)
        lines += section + run_section(env, runs)
        draw(args.folder, env, own, runs, results)
    if args.controlled:
        controlled = by_run(read(args.controlled))
        lines += control_section(runs, controlled)
        write_summary(os.path.join(args.folder, "controlled.csv"), controlled)
    write_summary(os.path.join(args.folder, "summary.csv"), runs)
    path = args.out or os.path.join(args.folder, "report.md")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
