"""Whether collapses were seen before the real return dropped: by tier, by what was there to be seen, and against the
false alarms that each bound costs."""

import math
import os

import coadaptation_plots as plots
import coadaptation_study as study
from coadaptation_runs import ends, first_alarms, first_from, median, show, sound, summarise, table


def lead_of(run, at):
    """Checkpoints from an alarm at index `at` to the onset; minus infinity where there was none."""
    return run["onset"] - at if at is not None else -math.inf


def in_time(leads):
    """(at or before the onset, median, two or more ahead)"""
    return sum(lead >= 0 for lead in leads), median(leads), sum(lead >= 2 for lead in leads)


def halfway(runs):
    """Return by environment at which a run has learned half of what the mitigated control (C1) learns."""
    levels = {}
    for env in study.ENVIRONMENTS:
        c1 = [run for (e, a, _), run in runs.items() if e == env and a == "C1"]
        if c1:
            levels[env] = sum(ends(c1)) / 2
    return levels


def collapses(runs, levels):
    """[(env, summary, rows)] of the induced arms' runs that exploited and collapsed; levels by environment, or none."""
    own = [(env, summarise(rows, levels.get(env)), rows) for (env, arm, _), rows in runs.items()
           if study.ARMS[arm].kind == "induced"]
    return [one for one in own if one[1]["exploited"] and one[1]["onset"] is not None]


def share(part, whole):
    return f"{part} ({100 * part / whole:.0f} %)"


def collapse_section(runs):
    """Collapses of the induced arms by what was there to be seen: by the number of positive checkpoints, after the
    warm-up and up to the onset; and those of runs that had learned half of the task and more."""
    own = [(env, run) for env, run, _ in collapses(runs, {})]
    cases = [(env, [run for e, run in own if e == env]) for env in study.ENVIRONMENTS]
    cases += [(f"{n} positive checkpoints up to the onset", [run for _, run in own if run["harm_before"] == n])
              for n in (0, 1, 2)]
    cases += [("3 or more", [run for _, run in own if run["harm_before"] >= 3]), ("all", [run for _, run in own])]
    levels = halfway(runs)
    learned = [(env, run) for env, run, _ in collapses(runs, levels) if env in levels]
    cases += [(f"{env}, of what had learned half", [run for e, run in learned if e == env])
              for env in study.ENVIRONMENTS]
    cases += [("all that had learned half", [run for _, run in learned])]
    lines = []
    for name, some in cases:
        if not some:
            continue
        lines.append([name, str(len(some))])
        for tier in ("alarm", "early", "warning"):
            found, lead, ahead = in_time([lead_of(run, run[tier]) for run in some])
            lines[-1] += [share(found, len(some)), show(lead, 1), str(ahead)]
    header = ["collapses", "runs", "confirmed at or before the onset", "median lead [checkpoints]", "2 or more ahead",
              "early alarm at or before", "median lead", "2 or more ahead", "warned at or before", "median lead",
              "2 or more ahead"]
    return ["## Collapses", "", *table(header, lines), ""]


SIGNALS = ("bias", "gap_100", "gap_episode")
# What the evidence of a curve is, by name: its column, the figures of which one has to be above the limit, the limit.
DETECTORS = {
    **{name: (f"alone_{name}_log10", (name,), study.LABEL) for name in ("bias", "gap_25", "gap_100", "gap_episode")},
    "confirmed": ("evidence_log10", SIGNALS, study.LABEL),
    "early": ("evidence_early_log10", SIGNALS, study.LABEL / 2),
}
BOUNDS = (200, 100, 50, 20, 10, 5)


def detected(rows, begin, detector, bound):
    """First checkpoint at which a detector's evidence reaches the bound; None: it never does."""
    column, figures, limit = DETECTORS[detector]
    return first_from(rows, begin, lambda row: row.get(column, math.nan) >= math.log10(bound)
                      and any(row.get(f"read_{figure}", math.nan) > limit for figure in figures))


def operating_point(own, healthy, detector, bound):
    """(collapses found in time, median lead, two or more ahead, false first alarms, checkpoints up to them), of
    collapses() and sound()."""
    def at(run, rows):
        return detected(rows, run["begin"], detector, bound)
    _, false, checkpoints = first_alarms(healthy, at)
    return *in_time([lead_of(run, at(run, rows)) for _, run, rows in own]), false, checkpoints


def curve_section(folder, runs):
    """Lead against false alarms over the bound, by detector; needs the columns of --rejudge."""
    own, healthy, lines, curves = collapses(runs, {}), sound(runs), [], []
    if not own or "read_gap_episode" not in own[0][2][-1]:
        return []
    for detector in DETECTORS:
        points = []
        for bound in BOUNDS:
            found, lead, ahead, false, checkpoints = operating_point(own, healthy, detector, bound)
            points.append((100 * false / max(1, checkpoints), found / len(own)))
            lines.append([detector, str(bound), share(found, len(own)), show(lead, 1), str(ahead), str(false),
                          f"{checkpoints / false:.0f}" if false else f"over {checkpoints}"])
        curves.append((detector, points))
    plots.write_lines(os.path.join(folder, "lead_curve.svg"), "Collapses seen in time, by bound on false alarms",
                      "false alarms in 100 checkpoints", "share of collapses", curves, level=0.8)
    header = ["evidence", "bound [checkpoints]", "at or before the onset", "median lead", "2 or more ahead",
              "false first alarms", "checkpoints for each"]
    return ["## Lead against false alarms", "", *table(header, lines), ""]
