"""The study's questions and what its runs answer, each in one row: shares with their counts, rates with bounds."""

import coadaptation_statistics as stats
import coadaptation_study as study
from coadaptation_leads import collapses, halfway, in_time, lead_of
from coadaptation_runs import ends, first_alarms, median, result_of, show, sound, summarise, table


def share_of(part, whole):
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


def seen(own, tier):
    """How many collapses a tier saw at or before the onset, and with what lead."""
    found, lead, _ = in_time([lead_of(run, run[tier]) for _, run, _ in own])
    return f"{share_of(found, len(own))}, median lead {show(lead, 1)}"


def rate(healthy, tier):
    """False alarms of sound() runs, with the one-sided 95 % bound on their rate."""
    count, alarms, checkpoints = first_alarms(healthy, lambda run, _: run[tier])
    bound = checkpoints / stats.poisson_upper(alarms)
    return (f"{alarms} in {count} runs ({checkpoints} checkpoints): with 95 % confidence at most one in "
            f"{bound:.0f} checkpoints")


def kept(runs, controlled):
    """{(env, arm): [share of the way from C1's first return to its last, by run]} under the controller, C1 in the
    median of the same seeds."""
    by_arm, shares = {}, {}
    for env, arm, seed in sorted(controlled):
        by_arm.setdefault((env, arm), []).append(seed)
    for (env, arm), seeds in by_arm.items():
        c1 = [runs[env, "C1", seed] for seed in seeds if (env, "C1", seed) in runs]
        if c1:
            first, best = ends(c1)
            shares[env, arm] = [(result_of(controlled[env, arm, s]) - first) / (best - first) for s in seeds]
    return shares


def confirmed(own):
    """How many of these summaries have a confirmed alarm."""
    return share_of(sum(run["alarm"] is not None for run in own), len(own))


def control_rows(runs, controlled):
    by_arm = kept(runs, controlled)
    induced = {key: values for key, values in by_arm.items() if study.ARMS[key[1]].kind == "induced"}
    every = [value for values in induced.values() for value in values]
    if not every:
        return []
    below = [f"{arm} on {env} {100 * median(values):.0f} %" for (env, arm), values in induced.items()
             if median(values) < 0.9]
    lines = [["Does the controller bring the result back? Median of each arm", "90 % of C1",
              f"{share_of(len(induced) - len(below), len(induced))} arms" + (f"; not {', '.join(below)}" if below else "")],
             ["The same by the run", "-", f"{share_of(sum(v >= 0.9 for v in every), len(every))}, "
              f"the lowest {100 * min(every):.0f} %"]]
    healthy = [key for key in controlled if study.ARMS[key[1]].kind == "control" and key in runs]
    if healthy:
        lost = [f"{env} {arm} seed {seed}" for env, arm, seed in healthy
                if result_of(controlled[env, arm, seed]) < result_of(runs[env, arm, seed])
                - 0.05 * runs[env, arm, seed][-1]["return_scale"]]
        lines.append(["Does it harm healthy runs? Those that lose more than 5 % of the return scale", "none",
                      share_of(len(lost), len(healthy)) + (f": {', '.join(lost)}" if lost else "")])
    return lines


def answer_section(runs, areas, controlled=None):
    """areas: {env: (AUROC of the combined score, (low, high))}; controlled: runs with control.mode=ACT, or none."""
    own = collapses(runs, {})
    levels = halfway(runs)
    learned = [one for one in collapses(runs, levels) if one[0] in levels]
    summaries = [(arm, summarise(rows)) for (_, arm, _), rows in runs.items()]
    exploited = [(arm, run) for arm, run in summaries if study.ARMS[arm].kind == "induced" and run["exploited"]]
    delays = [run["delay"] for _, run in exploited if run["delay"] is not None]
    afraid = [run for arm, run in summaries if arm == "C3"]
    healthy = sound(runs)
    null = [(run, rows) for run, rows in healthy if rows[0]["arm"] in ("C0", "C2")]
    lines = [["Collapses with an early alarm at or before the drop of the real return", "80 %, lead 2",
              seen(own, "early")],
             ["Collapses with a confirmed alarm at or before it", "80 %, lead 2", seen(own, "alarm")],
             ["The same of runs that had learned half of the task: early", "80 %, lead 2", seen(learned, "early")],
             ["Confirmed", "80 %, lead 2", seen(learned, "alarm")],
             ["False confirmed alarms on C0 and C2, in runs that did not exploit", "one in 200",
              rate(null, "alarm")],
             ["False confirmed alarms in any run that did not exploit", "one in 200", rate(healthy, "alarm")],
             ["False early alarms in any run that did not exploit", "one in 20", rate(healthy, "early")],
             *([f"AUROC of the combined score, {env}" + (", held out" if env in study.HELD_OUT else ""), "0.95",
                f"{show(area)} (90 % interval over seeds {show(low)} to {show(high)})"]
               for env, (area, (low, high)) in areas.items()),
             ["Exploited runs of induced arms that are confirmed, and how long after the first harm", "-",
              f"{confirmed([run for _, run in exploited])}, median {show(median(delays), 0)} checkpoints"],
             *([f"Trapdoor, {trap}: exploited runs that are confirmed", "90 %",
                confirmed([run for arm, run in exploited if arm == trap])] for trap in ("I5", "I5b")),
             ["Planted pessimism (C3) with the negative alarm", "all",
              share_of(sum(run["pessimistic"] for run in afraid), len(afraid))],
             ["Planted pessimism with the positive one", "none", confirmed(afraid)]]
    lines += control_rows(runs, controlled) if controlled else []
    return ["## Answer", "", f"{len(runs)} runs.", "", *table(["question", "asked for", "found"], lines), ""]
