"""What became of the runs of a co-adaptation study: reading them, and one run in a few figures."""

import csv
import math
import os
import statistics

import coadaptation_statistics as stats
import coadaptation_study as study

COMBINED = ("gap_100", "gap_episode")  # the monitor's own score, in units of the return scale
PLANTED = {"I5", "I5b", "C3"}  # what happened before the error was planted is not theirs
ALARM = "exploiting"
NO_VERDICT = ("warming_up", "stale", "void")
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
    return [r for r in rows if not math.isnan(r["label_gap"]) and r.get("verdict") not in NO_VERDICT]


def table(header, lines):
    out = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def show(value, digits=2):
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def first_from(rows, begin, holds):
    """Index of the first row from `begin` on of which this holds, or none."""
    return next((i for i in range(begin, len(rows)) if holds(rows[i])), None)


def summarise(rows, level=None):
    """What became of one run: rows in order. Where something was planted, what came of it from then on. level: return
    from which on a collapse counts; None: any that the run has learned."""
    planted = rows[0].get("arm") in PLANTED
    begin = WARMUP
    if planted:
        begin = first_from(rows, 0, lambda r: r["model_env_steps"] >= study.PLANTED_FROM)
        begin = len(rows) if begin is None else begin
    alarm = first_from(rows, begin, lambda r: r.get("verdict") == ALARM)
    known = [i for i, r in enumerate(rows) if not math.isnan(r["label_real_return"] + r.get("return_scale", math.nan))]
    first = next((j for j, i in enumerate(known) if i >= begin), len(known))
    at = stats.onset([rows[i]["label_real_return"] for i in known], [rows[i]["return_scale"] for i in known],
                     begin=first, level=level)
    at = known[at] if at is not None else None
    positive = [i for i, r in enumerate(rows) if i >= begin and r["positive"]]
    counted = [r for r in rows[begin:] if r.get("verdict") not in NO_VERDICT]
    exploited = sum(r["positive"] for r in counted) >= 2
    lead = lead_steps = None
    if alarm is not None and at is not None and exploited:
        lead, lead_steps = at - alarm, rows[at]["env_steps"] - rows[alarm]["env_steps"]
    return {"alarm": alarm, "onset": at, "exploited": exploited, "lead": lead, "lead_steps": lead_steps,
            "early": first_from(rows, begin, lambda r: r.get("early") == 1), "begin": begin,
            "first_positive": positive[0] if positive else None, "checkpoints": len(counted),
            "warning": first_from(rows, begin, lambda r: r.get("verdict") in (ALARM, "warning")),
            "harm_before": sum(i <= at for i in positive) if at is not None else None,
            "delay": alarm - positive[0] if alarm is not None and positive else None,
            "pessimistic": any(r.get("verdict") == "pessimistic" for r in rows[begin:])}


def by_run(rows):
    runs = {}
    for row in rows:
        runs.setdefault((row["env"], row["arm"], row["seed"]), []).append(row)
    return {key: sorted(value, key=lambda r: r["env_steps"]) for key, value in runs.items()}


def median(values):
    return statistics.median(values) if values else math.nan


def result_of(run):
    """Mean real return of the last checkpoints of a run."""
    known = [r["label_real_return"] for r in run if not math.isnan(r["label_real_return"])]
    return statistics.fmean(known[-LAST:]) if known else math.nan


def ends(runs):
    """First and last return of some runs, in the median."""
    return median([run[0]["label_real_return"] for run in runs]), median([result_of(run) for run in runs])


def sound(runs):
    """[(summary, rows)] of the runs that did not exploit their model: every alarm of theirs is false."""
    own = [(summarise(rows), rows) for rows in runs.values()]
    return [(run, rows) for run, rows in own if not run["exploited"]]


def first_alarms(own, first):
    """(runs, first alarms, checkpoints up to them) of some (summary, rows). first: index of a run's first alarm from
    its summary and rows, or none."""
    found = [(first(run, rows), run["begin"], len(rows)) for run, rows in own]
    return (len(found), sum(at is not None for at, _, _ in found),
            sum((at + 1 if at is not None else count) - begin for at, begin, count in found))
