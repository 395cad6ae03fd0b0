"""Runs a recipe with several seeds and reports every one: when evaluations reached the goal, CPU and wall time.

  bench/learning_curves.py recipes/mbpo/inverted_pendulum.yaml --seeds 0 1 2 3 4 --jobs 2 [field=value ...]

A seed has reached the goal at the first of two evaluations in a row whose mean return is at least --goal. Prints a
table, and with --json one object a line; --out FOLDER keeps every seed's run, and its evaluations as evaluations.csv;
runs that are there already are never replaced. Exits 1 where a run fails, a seed does not reach the goal or does so
after --max-steps, or the median lies above --max-median; 2 where a seed's run is there already.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from run_files import json_lines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def evaluations_of(folder):
    """Pairs of environment steps and mean return; none where the run wrote nothing."""
    return [(r["env_steps"], r["mean_return"]) for r in json_lines(os.path.join(folder, "metrics.jsonl"))
            if r["kind"] == "evaluation"]


def reached(evaluations, goal):
    """Environment steps at the first of two evaluations in a row that reach the goal; None if never."""
    for (steps, first), (_, second) in zip(evaluations, evaluations[1:]):
        if first >= goal and second >= goal:
            return steps
    return None


def end_group(process):
    """Ends the process group of `tandem train`, which ends its services."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the services receive SIGTERM when their parent dies
        process.wait()


def folder_of(out, seed):
    """The run folder of a seed."""
    return os.path.join(out, f"seed-{seed}")


def run_seed(args, seed, folder, running):
    """One whole run in its own processes; returns its row."""
    command = [os.path.join(args.binaries, "tandem"), "train", args.recipe, f"run.seed={seed}",
               "--run-dir", folder_of(folder, seed), "--json", *args.overrides]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    running.append(process)
    try:
        _, errors = process.communicate(timeout=args.timeout)
    except subprocess.TimeoutExpired:
        end_group(process)
        errors = process.communicate()[1] + f"\nbench/learning_curves: seed {seed} did not end within {args.timeout:g} s"
    wall = time.monotonic() - start
    evaluations = evaluations_of(folder_of(folder, seed))
    if process.returncode != 0:
        print(errors[-2000:], file=sys.stderr)
    return {"seed": seed, "exit": process.returncode, "reached": reached(evaluations, args.goal),
            "wall_s": round(wall, 1), "best": max((r for _, r in evaluations), default=float("nan")),
            "last": evaluations[-1][1] if evaluations else float("nan"), "evaluations": evaluations}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=1, help="seeds run at once")
    parser.add_argument("--goal", type=float, default=950)
    parser.add_argument("--max-steps", type=float, default=float("inf"), help="of each seed, until the goal")
    parser.add_argument("--max-median", type=float, default=float("inf"), help="of the seeds' steps until the goal")
    parser.add_argument("--timeout", type=float, default=1800, help="[s] for a seed; default: 1800")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", help="folder that keeps the runs and evaluations.csv")
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build", "release", "bin"))
    args = parser.parse_intermixed_args()
    taken = [folder_of(args.out, seed) for seed in args.seeds if os.path.exists(folder_of(args.out, seed))] if args.out else []
    if taken:
        parser.error(f"{', '.join(taken)}: there already; give another --out, or remove what is there")

    with tempfile.TemporaryDirectory(prefix="tandem-curves-") as scratch:
        folder = args.out or scratch
        os.makedirs(folder, exist_ok=True)
        rows, running = [], []
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            futures = [pool.submit(run_seed, args, seed, folder, running) for seed in args.seeds]
            try:
                for future in concurrent.futures.as_completed(futures):
                    row = future.result()
                    rows.append(row)
                    shown = {k: v for k, v in row.items() if k != "evaluations"}
                    print(json.dumps(shown) if args.json else
                          f"seed {row['seed']}: goal at {row['reached']} steps, last {row['last']:.1f}, "
                          f"wall {row['wall_s']} s, exit {row['exit']}", flush=True)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in running:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGTERM)
                raise
        rows.sort(key=lambda row: row["seed"])
        if args.out:
            with open(os.path.join(folder, "evaluations.csv"), "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["seed", "env_steps", "mean_return"])
                writer.writerows((row["seed"], *point) for row in rows for point in row["evaluations"])
    steps = [row["reached"] for row in rows if row["reached"] is not None]
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = {"reached": len(steps), "seeds": len(rows),
               "median_steps": statistics.median(steps) if steps else None,
               "median_wall_s": statistics.median(row["wall_s"] for row in rows),
               "cpu_s": round(cpu.ru_utime + cpu.ru_stime, 1)}
    print(json.dumps(summary) if args.json else
          "{reached} of {seeds} seeds reached the goal, median {median_steps} steps, median wall "
          "{median_wall_s} s, CPU of all {cpu_s} s".format(**summary))
    good = (all(row["exit"] == 0 for row in rows) and len(steps) == len(rows) and
            max(steps) <= args.max_steps and statistics.median(steps) <= args.max_median)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
