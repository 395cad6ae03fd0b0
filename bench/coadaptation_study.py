"""Runs the study of co-adaptation: arms that make the policy exploit its model, and controls that do not, on the
real system. docs/coadaptation_study.md describes method and results; bench/coadaptation_report.py analyses the runs.

  bench/coadaptation_study.py --out FOLDER [--arms I1 C0 ...] [--envs pendulum ...] [--seeds 0 1 2] [--jobs 2]
                              [--list] [field=value ...]

Each run is `tandem train` with its five processes on recipes/study/<env>.yaml, with the arm's fields laid over it.
Runs lie in FOLDER/<env>/<arm>/<seed>; one that is complete is skipped, one that is not is run anew, so the command
can be repeated until all are done. It needs no terminal (`nohup bench/coadaptation_study.py --out FOLDER --jobs 2 >
study.log &`): it reads nothing, goes on when a terminal closes, and at SIGTERM or SIGINT ends the runs under way and
collects what is complete. Afterwards FOLDER/checkpoints.csv holds one row for each checkpoint of every complete run,
and FOLDER/runs.csv one for each run. Exits 1 where a run failed, 130 where it was told to end.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from learning_curves import end_group
from run_files import json_lines, write_csv

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CALIBRATION = ["pendulum", "cartpole_continuous"]
HELD_OUT = ["inverted_pendulum"]
ENVIRONMENTS = CALIBRATION + HELD_OUT
LABEL = 0.2  # share of the return scale above which an evaluation's gap counts as exploitation


@dataclasses.dataclass(frozen=True)
class Arm:
    """One condition. `overlay`: fields for every environment; `by_env`: more of them for one."""
    name: str
    about: str
    kind: str  # "base", "induced" or "control"
    overlay: tuple = ()
    by_env: dict = dataclasses.field(default_factory=dict)

    def fields(self, env):
        return [*self.overlay, *self.by_env.get(env, ())]


def planted(region, reward, *more):
    """Fields of a false reward: region and reward by environment."""
    return {env: (f"study.planted_reward={reward[env]}", f"study.planted_from={PLANTED_FROM}", *region[env], *more)
            for env in ENVIRONMENTS}


def rollouts(horizon, total=40000):
    """Rollouts of so many steps, as many as give about the same number of imagined steps."""
    return (f"imagination.horizon_start={horizon}", f"imagination.horizon_end={horizon}",
            f"imagination.rollouts_per_refit={total // horizon}")


PLANTED_FROM = 36000  # env steps: after 36 checkpoints
# Where a healthy policy does not go at the end, and what is paid there for each step.
TRAPDOOR = {
    "pendulum": ("study.planted_element=2", "study.planted_low=4", "study.planted_high=8.5"),
    "cartpole_continuous": ("study.planted_element=0", "study.planted_low=1", "study.planted_high=2.4"),
    "inverted_pendulum": ("study.planted_element=0", "study.planted_low=0.5", "study.planted_high=1.2"),
}
TRAPDOOR_REWARD = {"pendulum": 40, "cartpole_continuous": 5, "inverted_pendulum": 5}
# A model that undersells every policy: no state is free of the false penalty, so none can walk around it.
EVERYWHERE = {env: ("study.planted_low=-1000000", "study.planted_high=1000000") for env in ENVIRONMENTS}
FALSE_FEAR = {"pendulum": -2, "cartpole_continuous": -0.3, "inverted_pendulum": -0.3}  # about 0.3 S an episode

# Fitted anew on what the policy visits, a good model is hard to exploit. What makes it bad where an episode has an
# end: a classifier in place of the known condition. Where it has none: few weights and few gradient steps.
NO_REAL_ROWS = ("imagination.real_share=0",)
BAD_MODEL = {
    "pendulum": ("model.hidden=[8]", "model.max_gradient_steps=50"),
    "cartpole_continuous": ("model.termination=LEARNED", "model.deterministic=true"),
    "inverted_pendulum": ("model.termination=LEARNED", "model.deterministic=true"),
}
FEW_DATA = ("pace.warmup_steps=200", "model.freeze_after=1500")  # fits at 200 and 1000 steps
FROZEN = {**BAD_MODEL, "pendulum": ("model.hidden=[16]", "model.max_gradient_steps=50", "pace.updates_per_step=0.4")}

ARMS = {arm.name: arm for arm in [
    Arm("base", "healthy: five members, one-step rollouts, a fit every five episodes", "base"),
    Arm("I1", "rollouts of 50 steps", "induced",
        (*NO_REAL_ROWS, "model.deterministic=true", "pace.updates_per_step=0.4", *rollouts(50)), BAD_MODEL),
    Arm("I2", "no real rows in a batch, 1 update a step", "induced",
        (*NO_REAL_ROWS, "pace.updates_per_step=1"), BAD_MODEL),
    Arm("I3", "one deterministic member, rollouts of 20 steps", "induced",
        (*NO_REAL_ROWS, "model.members=1", "model.elites=1", "model.deterministic=true", *rollouts(20)), BAD_MODEL),
    Arm("I4", "model frozen after two fits while the policy goes on", "induced",
        (*NO_REAL_ROWS, *FEW_DATA, *rollouts(20)), FROZEN),
    Arm("I5", "trapdoor: false reward in a region of low coverage, believed by all members", "induced",
        (*NO_REAL_ROWS, *rollouts(10)), planted(TRAPDOOR, TRAPDOOR_REWARD)),
    Arm("I5b", "the trapdoor in half of the members", "induced",
        (*NO_REAL_ROWS, *rollouts(10)), planted(TRAPDOOR, TRAPDOOR_REWARD, "study.planted_member_share=0.5")),
    Arm("I6", "long rollouts in a model of few data, without the penalty that this needs", "induced",
        (*NO_REAL_ROWS, *FEW_DATA, "imagination.pessimism=0", *rollouts(50)), FROZEN),
    Arm("C0", "the simulator as the model", "control", ("model.kind=SIMULATOR",)),
    Arm("C1", "mitigated: seven members, real share one half, pessimism", "control",
        ("model.members=7", "model.elites=5", "imagination.real_share=0.5", "imagination.pessimism=0.5")),
    Arm("C2", "benign shift of the start states", "control",
        ("study.shift_start_after=36000",),
        {"pendulum": ("study.shift_start_scale=3",), "cartpole_continuous": ("study.shift_start_scale=2",),
         "inverted_pendulum": ("study.shift_start_scale=4",)}),
    Arm("C3", "false fear: a negative reward planted in every state", "control",
        by_env=planted(EVERYWHERE, FALSE_FEAR)),
]}


def run_folder(out, env, arm, seed):
    return os.path.join(out, env, arm, str(seed))


def is_complete(folder):
    try:
        with open(os.path.join(folder, "study.json"), encoding="utf-8") as file:
            return json.load(file)["exit"] == 0
    except (OSError, ValueError, KeyError):
        return False


def run_one(args, env, arm, seed, running):
    """One whole run in its own processes; returns its record, which is also written beside it as study.json."""
    folder = run_folder(args.out, env, arm, seed)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    command = [os.path.join(args.binaries, "tandem"), "train", os.path.join(ROOT, "recipes", "study", env + ".yaml"),
               *ARMS[arm].fields(env), f"run.seed={seed}", *args.overrides, "--run-dir", folder, "--on-exist", "fail"]
    if args.cores:
        command += ["--cores", str(args.cores)]
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, start_new_session=True)
    running.append(process)
    try:
        output, _ = process.communicate(timeout=args.timeout)
    except subprocess.TimeoutExpired:
        end_group(process)
        output = f"bench/coadaptation_study: the run did not end within {args.timeout:g} s"
    record = {"env": env, "arm": arm, "seed": seed, "exit": process.returncode,
              "wall_s": round(time.monotonic() - start, 1)}
    if process.returncode != 0:
        print(output[-2000:], file=sys.stderr)
    if os.path.isdir(folder):
        with open(os.path.join(folder, "study.json"), "w", encoding="utf-8") as file:
            json.dump(record, file)
        if not args.keep_state and process.returncode == 0:
            strip(folder)
    return record


def strip(folder):
    """Removes what the analysis does not read: stored steps, weights, logs."""
    for name in ("logs", "report.html"):
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    state = os.path.join(folder, "state")
    for member in os.listdir(state) if os.path.isdir(state) else ():
        if member != "monitor":
            shutil.rmtree(os.path.join(state, member), ignore_errors=True)


def label_of(checkpoint, evaluations):
    """Gap and real return of the evaluation that belongs to a checkpoint: the last before it was judged, which lies
    halfway between two fits and is played by the policy that trained in the checkpoint's model."""
    before = [e for e in evaluations if e["env_steps"] < checkpoint["env_steps"]]
    newest = max(before, key=lambda e: e["env_steps"], default={})
    return newest.get("gap"), newest.get("real_return")


def judged_again(path, binary):
    """Verdicts on the checkpoints of a history by the rule of `binary` (bench_rejudge), by number."""
    with tempfile.TemporaryDirectory() as scratch:  # a torn line would be cut off in place
        copy = shutil.copy(path, scratch)
        done = subprocess.run([binary, copy], capture_output=True, text=True, timeout=60, check=True)
    return {line["number"]: line for line in map(json.loads, done.stdout.splitlines())}


def rows_of(folder, env, arm, seed, rejudge=None):
    """One row for each checkpoint of a run. rejudge: a bench_rejudge, for verdicts by the rule of today."""
    path = os.path.join(folder, "state", "monitor", "history.jsonl")
    history = json_lines(path)
    again = judged_again(path, rejudge) if rejudge else {}
    evaluations = [r for r in history if r.get("kind") == "evaluation"]
    rows = []
    for checkpoint in history:
        if checkpoint.get("kind") != "checkpoint":
            continue
        gap, real_return = label_of(checkpoint, evaluations)
        row = {"env": env, "arm": arm, "seed": seed, "label_gap": gap, "label_real_return": real_return}
        row.update({k: int(v) if isinstance(v, bool) else v for k, v in checkpoint.items()
                    if isinstance(v, (int, float, str)) and k != "sentence"})
        row.update(again.get(checkpoint.get("number"), {}))
        rows.append(row)
    return rows


def collect(out, rejudge=None):
    """Writes checkpoints.csv and runs.csv of all complete runs."""
    rows, runs = [], []
    for env in ENVIRONMENTS:
        for arm in ARMS:
            parent = os.path.join(out, env, arm)
            for seed in sorted(filter(str.isdigit, os.listdir(parent)), key=int) if os.path.isdir(parent) else ():
                folder = os.path.join(parent, seed)
                if not is_complete(folder):
                    continue
                own = rows_of(folder, env, arm, int(seed), rejudge)
                rows += own
                with open(os.path.join(folder, "study.json"), encoding="utf-8") as file:
                    runs.append({**json.load(file), "checkpoints": len(own)})
    write_csv(os.path.join(out, "checkpoints.csv"), rows)
    write_csv(os.path.join(out, "runs.csv"), runs)
    return rows, runs


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=[], help="fields for every run, after those of the arm")
    parser.add_argument("--out", required=True)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS), metavar="ARM")
    parser.add_argument("--envs", nargs="+", default=ENVIRONMENTS, choices=ENVIRONMENTS, metavar="ENV")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--cores", type=int, default=0, help="cores of each run; 0: as `tandem train` decides")
    parser.add_argument("--timeout", type=float, default=900, help="[s] for a run")
    parser.add_argument("--keep-state", action="store_true", help="keep logs and weights of complete runs")
    parser.add_argument("--rejudge", metavar="BINARY", help="bench_rejudge: verdicts by its rule, not the runs' own")
    parser.add_argument("--list", action="store_true", help="print the runs that are missing, run nothing")
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build", "release", "bin"))
    args = parser.parse_intermixed_args(argv)
    args.overrides = [o for o in args.overrides if "=" in o]
    return args


def told_to_end(*_):
    raise KeyboardInterrupt


def run_all(args, missing):
    """Runs them; returns how many failed. KeyboardInterrupt once none is under way, where it was told to end."""
    failed = 0
    running = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run_one, args, *key, running) for key in missing]
        try:
            for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
                record = future.result()
                failed += record["exit"] != 0
                print(f"[{done}/{len(missing)}] {record['env']} {record['arm']} seed {record['seed']}: "
                      f"exit {record['exit']}, {record['wall_s']} s", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                if process.poll() is None:
                    end_group(process)
            raise
    return failed


def main(argv=None):
    args = parse(argv)
    # Seed by seed, so that an interrupted study has every arm.
    wanted = [(env, arm, seed) for seed in args.seeds for env in args.envs for arm in args.arms]
    missing = [key for key in wanted if not is_complete(run_folder(args.out, *key))]
    print(f"{len(wanted)} runs, {len(missing)} to do", flush=True)
    if args.list:
        print("\n".join(" ".join(map(str, key)) for key in missing))
        return 0
    os.makedirs(args.out, exist_ok=True)
    signal.signal(signal.SIGTERM, told_to_end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ended = False
    failed = 0
    try:
        failed = run_all(args, missing)
    except KeyboardInterrupt:
        ended = True
    rows, runs = collect(args.out, args.rejudge)
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU of the runs done now: {cpu.ru_utime + cpu.ru_stime:.1f} s")
    print(f"{len(runs)} runs with {len(rows)} checkpoints in {args.out}, {failed} failed now", flush=True)
    return 130 if ended else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
