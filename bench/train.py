#!/usr/bin/env python3
"""How fast a whole run is: all five services as `tandem train` starts them, on InvertedPendulum.

    .venv/bin/python bench/train.py                      # both cases, one run each, a table
    .venv/bin/python bench/train.py lockstep --runs 3 --json

A case is measured between two numbers of environment steps after the warm-up, with 10 policy updates
a step, a refit each 250 and two threads for a policy update. Beside it stands what the machine's
measured matrix-product rate would allow for the same work on two cores: in lockstep the trainers take
turns, a policy's update on both cores and all else on one; in async both cores share all the work.
The ratio is the limit over the value, as bench_learning's is time over limit: 1 is a run in which
nothing but matrix products costs any time, and lower is better.

Steps a second are wall time, and fall where other programs use the cores. So a second line for each
case, <case>_cpu, gives the CPU time of all five processes for an environment step beside the same
limit, and the table says which process used how much of it.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from monitor_cost import children, end

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UPDATES_PER_STEP = 10
WARMUP = 250
BATCH = 256
POLICY_HIDDEN = [256, 256]
MODEL_HIDDEN = [200, 200, 200, 200]
MEMBERS = 7
THREADS = 2  # of a policy update; a model's gradient step takes one
OBS, ACTION = 4, 1  # InvertedPendulum
OVERRIDES = [
    f"pace.updates_per_step={UPDATES_PER_STEP}", f"pace.warmup_steps={WARMUP}",
    "pace.refit_interval=250", "stop.max_env_steps=100000", "stop.return_at_least=1e9",
    "actor.evaluation_interval=0", f"policy.batch_size={BATCH}", f"policy.hidden={POLICY_HIDDEN}",
    f"model.hidden={MODEL_HIDDEN}", f"model.members={MEMBERS}", f"model.batch_size={BATCH}",
    f"runtime.threads={THREADS}",
]


def forward(sizes):
    """Floating-point operations of one row through a network."""
    return 2 * sum(a * b for a, b in zip(sizes, sizes[1:]))


ACTOR = forward([OBS, *POLICY_HIDDEN, 2 * ACTION])
CRITIC = forward([OBS + ACTION, *POLICY_HIDDEN, 1])
MODEL = forward([OBS + ACTION, *MODEL_HIDDEN, 2 * (OBS + 1)])
# As in bench/learning_cases.cc. The 11 of the critics: two targets, two critics and, for the policy, two critics again
# forward (6); two critics backward by weights and activations (4); the smaller one by activations alone (1).
UPDATE_FLOPS = BATCH * (4 * ACTOR + 11 * CRITIC)
FIT_STEP_FLOPS = 3 * MEMBERS * BATCH * MODEL
IMAGINED_STEP_FLOPS = MODEL + ACTOR


def matrix_product_rate():
    """[flop/s] of one thread, float32, the median of some products of 1024 x 1024 matrices, by CPU time."""
    import torch
    torch.set_num_threads(1)
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    torch.mm(a, b)
    seconds = []
    for _ in range(31):
        start = time.process_time()
        torch.mm(a, b)
        seconds.append(time.process_time() - start)
    return 2 * 1024**3 / statistics.median(seconds)


class Job:
    """One `tandem train` in the background, watched through its /metrics pages."""

    def __init__(self, binaries, folder, case):
        self.folder = folder
        self.used = {}  # by process: its name, CPU seconds
        self.log = open(os.path.join(folder, "train.log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [os.path.join(binaries, "tandem"), "train",
             os.path.join(SOURCE, "recipes/mbpo/inverted_pendulum.yaml"), *OVERRIDES,
             f"pace.mode={case.upper()}", "--run-dir", os.path.join(folder, "run"), "--json"],
            stdout=self.log, stderr=self.log)

    def metric(self, member, name):
        """A sample's value, 0 while its service has not started."""
        path = os.path.join(self.folder, "run", "state", member, "endpoints.json")
        try:
            with open(path, encoding="utf-8") as file:
                address = json.load(file)["metrics"]
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as page:
                text = page.read().decode()
        except (OSError, ValueError):
            return 0.0
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def cpu_seconds(self):
        """CPU time so far of each service, by its name; the last known of one that has ended."""
        for pid, program, used, _ in children(self.process.pid):
            if program:
                self.used[pid] = (program.removeprefix("tandem_"), used)
        seconds = {}
        for name, used in self.used.values():
            seconds[name] = seconds.get(name, 0) + used
        return seconds

    def work(self):
        """Everything that the trainers did so far."""
        return {
            "cpu": self.cpu_seconds(),
            "time": time.monotonic(),
            "updates": self.metric("policy_trainer", "tandem_policy_trainer_updates_total"),
            "imagined": self.metric("policy_trainer", "tandem_policy_trainer_imagined_steps_total"),
            "fit_steps": self.metric("model_trainer", "tandem_model_trainer_gradient_steps_total"),
        }

    def wait_for_updates(self, updates, deadline):
        while self.metric("policy_trainer", "tandem_policy_trainer_updates_total") < updates:
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log.name, encoding="utf-8") as file:
                    sys.exit(f"bench/train: the job ended or hung\n{file.read()[-3000:]}")
            time.sleep(0.05)
        return self.work()

    def stop(self):
        end(self.process)
        self.log.close()


def measure(binaries, case, first, last, timeout):
    """Of one run: env steps a second and what the matrix products alone would allow; CPU seconds a
    step of each service, and what the products alone would take."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        job = Job(binaries, folder, case)
        try:
            deadline = time.monotonic() + timeout
            first_work = job.wait_for_updates(max(1, (first - WARMUP) * UPDATES_PER_STEP), deadline)
            last_work = job.wait_for_updates((last - WARMUP) * UPDATES_PER_STEP, deadline)
        finally:
            job.stop()
    done = {key: last_work[key] - first_work[key] for key in first_work if key != "cpu"}
    cpu = {name: last_work["cpu"][name] - used for name, used in first_work["cpu"].items()}
    steps = done["updates"] / UPDATES_PER_STEP
    updates = done["updates"] * UPDATE_FLOPS
    rest = done["imagined"] * IMAGINED_STEP_FLOPS + done["fit_steps"] * FIT_STEP_FLOPS
    flops = updates / THREADS + rest if case == "lockstep" else (updates + rest) / THREADS
    rate = matrix_product_rate()
    return {"value": steps / done["time"], "limit": steps * rate / flops,
            "cpu": {name: used / steps for name, used in cpu.items()},
            "cpu_limit": (updates + rest) / rate / steps}


def line(case, values, references, unit, higher_is_better):
    value, reference = statistics.median(values), statistics.median(references)
    return {
        "bench": "train", "case": case, "value": round(value, 3), "unit": unit,
        "reference": "matrix-product limit", "reference_value": round(reference, 3),
        "ratio": round(reference / value if higher_is_better else value / reference, 3),
        "runs": len(values), "spread": round((max(values) - min(values)) / value, 3),
    }


def report(case, results):
    """The two lines of a case, and the shares of its services in the second."""
    speed = line(case, [r["value"] for r in results], [r["limit"] for r in results],
                 "env steps/s", True)
    cpu = line(f"{case}_cpu", [1e3 * sum(r["cpu"].values()) for r in results],
               [1e3 * r["cpu_limit"] for r in results], "ms/env step", False)
    shares = {name: round(statistics.median(1e3 * r["cpu"].get(name, 0) for r in results), 2)
              for name in results[0]["cpu"]}
    return [speed, {**cpu, "services": shares}]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help="lockstep, async; default: both")
    parser.add_argument("--runs", type=int, default=1, help="runs of each case; default: 1")
    parser.add_argument("--steps", type=int, nargs=2, default=[300, 750], metavar=("FIRST", "LAST"),
                        help="environment steps to measure between; default: 300 750")
    parser.add_argument("--timeout", type=float, default=600, help="[s] for a run; default: 600")
    parser.add_argument("--binaries", default=os.path.join(SOURCE, "build/release/bin"))
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    args = parser.parse_args()
    for case in args.cases:
        if case not in ("lockstep", "async"):
            parser.error(f'case: expected lockstep or async, got "{case}"')
    if not args.json:
        print(f"{'case':<14} {'value':>8} {'unit':<12} {'limit':>8} {'ratio':>6} {'runs':>5} {'spread':>7}")
    for case in args.cases or ["lockstep", "async"]:
        results = [measure(args.binaries, case, *args.steps, args.timeout) for _ in range(args.runs)]
        for row in report(case, results):
            if args.json:
                print(json.dumps(row), flush=True)
                continue
            print(f"{row['case']:<14} {row['value']:>8.2f} {row['unit']:<12} "
                  f"{row['reference_value']:>8.2f} {row['ratio']:>6.2f} {row['runs']:>5} "
                  f"{row['spread']:>7.2f}", flush=True)
            for name, used in row.get("services", {}).items():
                print(f"  {name:<18} {used:>8.2f} ms/env step", flush=True)


if __name__ == "__main__":
    main()
