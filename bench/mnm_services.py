"""The joint objective beside MBPO through all five services: the same recipe, the same environment steps, every seed.

  bench/mnm_services.py --out FOLDER [--tasks maze ...] [--arms mnm mbpo] [--seeds 0 1 2] [--steps N] [-- field=value ...]

Each run is `tandem train` on recipes/mnm/<task>.yaml; the arm mbpo takes recipes/mbpo/<task>.yaml, or the same recipe
with objective.kind=LIKELIHOOD where there is none. Each is judged at the same environment step, the fixed checkpoint,
and goes on for a little longer so that the monitor judges it, too. Runs lie in FOLDER/<task>/<arm>/<seed>; one that is
complete is read and not run again, so the command can be repeated until all are done; where such a run was asked for
other fields it ends and says which. Prints one object for each run, from what the monitor wrote of it, and
FOLDER/runs.csv collects them all:

  solved        mean return of the checkpoint's evaluation at least that of TASKS
  real, model   return of that evaluation, and the model's imagined return of the same policy
  gap           (model - real) over `scale`: for a maze the share of steps in the goal, else 1,000 or what TASKS says
  verdict, worst, alarms   the monitor's at the end of the run; its worst; how often it was "exploiting"

Exits 1 where a run fails.
"""

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys

from learning_curves import ROOT, end_group
from run_files import json_lines, other_asked, write_csv

VERDICTS = ["warming_up", "healthy", "stale", "void", "pessimistic", "warning", "exploiting"]  # from best to worst


@dataclasses.dataclass(frozen=True)
class Task:
    """The checkpoint [env steps], the steps after it, the return that solves the task, and the unit of its gap."""
    steps: int
    more: int
    solved: float
    scale: float


TASKS = {
    "maze": Task(8500, 150, 2500, 99 * 50),
    "maze_sparse": Task(8500, 150, 25, 50),
    "pendulum": Task(4000, 200, -200, 1600),
    "inverted_pendulum": Task(2500, 125, 950, 1000),
}


def command_of(args, task, arm, seed, checkpoint, folder):
    """The whole command line of a run."""
    recipe, fields = os.path.join(ROOT, "recipes", "mnm", task + ".yaml"), []
    if arm == "mbpo":
        published = os.path.join(ROOT, "recipes", "mbpo", task + ".yaml")
        recipe, fields = (published, []) if os.path.exists(published) else (recipe, ["objective.kind=LIKELIHOOD"])
    return [os.path.join(args.binaries, "tandem"), "train", recipe, *fields,
            f"stop.max_env_steps={checkpoint + TASKS[task].more}", "stop.return_at_least=1e9", f"run.seed={seed}",
            *args.overrides, "--run-dir", folder, "--on-exist", "fail", "--json"]


def row_of(task, arm, seed, checkpoint, folder):
    """What the monitor says of a run that is over, at the last evaluation within `checkpoint` steps."""
    history = json_lines(os.path.join(folder, "state", "monitor", "history.jsonl"))
    verdicts = [r["verdict"] for r in history if r["kind"] == "checkpoint"]
    last = [r for r in history if r["kind"] == "evaluation" and r["env_steps"] <= checkpoint][-1]
    curve = [(r["env_steps"], round(r["mean_return"], 3)) for r in json_lines(os.path.join(folder, "metrics.jsonl"))
             if r["kind"] == "evaluation" and r["env_steps"] <= checkpoint]
    real, model = last["real_return"], last.get("model_return", float("nan"))
    return {"task": task, "arm": arm, "seed": seed, "env_steps": int(last["env_steps"]),
            "solved": int(real >= TASKS[task].solved), "real": round(real, 3), "model": round(model, 3),
            "gap": round((model - real) / TASKS[task].scale, 4),
            "verdict": verdicts[-1], "worst": max(verdicts, key=VERDICTS.index),
            "alarms": verdicts.count("exploiting"),
            "best": max(r for _, r in curve), "curve": " ".join(f"{steps}:{r:g}" for steps, r in curve)}


def refuse_another(args, folder, command, asked, checkpoint):
    """Ends the program where a complete run is not the one that is asked for now: of other fields, or shorter."""
    steps = "stop.max_env_steps"  # follows the checkpoint, unless it is given
    given = any(override.startswith(steps + "=") for override in args.overrides)
    other = other_asked(folder, " ".join(command), () if given else (steps,))
    if not other and asked < checkpoint:
        other = f"the checkpoint was at {asked} steps and is now at {checkpoint}"
    if other:
        sys.exit(f"bench/mnm_services: error: {folder} is another run than is asked for: {other}. Take another folder "
                 f"than --out {args.out}, or remove that run")


def run(args, task, arm, seed, checkpoint):
    """One run in its own processes; its row, or none where it failed. A complete one is read, not run."""
    folder = os.path.join(args.out, task, arm, str(seed))
    command = command_of(args, task, arm, seed, checkpoint, folder)
    done = os.path.join(folder, "row.json")
    if os.path.exists(done):
        with open(done, encoding="utf-8") as file:
            refuse_another(args, folder, command, json.load(file).get("checkpoint", 0), checkpoint)
        return row_of(task, arm, seed, checkpoint, folder)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        _, errors = process.communicate(timeout=args.timeout)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as why:
        end_group(process)
        if isinstance(why, KeyboardInterrupt):
            raise
        errors = f"did not end within {args.timeout:g} s"
    if process.returncode != 0:
        print(f"bench/mnm_services: {folder}: {errors[-2000:]}", file=sys.stderr)
        return None
    row = row_of(task, arm, seed, checkpoint, folder)
    with open(done, "w", encoding="utf-8") as file:
        json.dump({"checkpoint": checkpoint, **row}, file)
    return row


def summary(rows):
    """One object for each task and arm."""
    for task, arm in dict.fromkeys((row["task"], row["arm"]) for row in rows):
        own = [row for row in rows if (row["task"], row["arm"]) == (task, arm)]
        yield {"task": task, "arm": arm, "runs": len(own), "solved": sum(row["solved"] for row in own),
               "median_real": statistics.median(row["real"] for row in own),
               "mean_gap": round(statistics.mean(row["gap"] for row in own), 3),
               "with_alarm": sum(row["alarms"] > 0 for row in own)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=[], help="fields for every run")
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument("--tasks", nargs="+", default=["maze"], choices=list(TASKS))
    parser.add_argument("--arms", nargs="+", default=["mnm", "mbpo"], choices=["mnm", "mbpo"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(3)))
    parser.add_argument("--steps", type=int, default=0, help="the checkpoint; 0: that of the task")
    parser.add_argument("--timeout", type=float, default=1800, help="[s] for a run")
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build", "release", "bin"))
    args = parser.parse_intermixed_args()

    rows, failed = [], 0
    for task in args.tasks:
        checkpoint = args.steps or TASKS[task].steps
        for seed in args.seeds:  # seed by seed, so that what is interrupted has every arm
            for arm in args.arms:
                row = run(args, task, arm, seed, checkpoint)
                failed += row is None
                if row is not None:
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    if rows:
        write_csv(os.path.join(args.out, "runs.csv"), rows)
    for line in summary(rows):
        print(json.dumps(line))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
