#!/usr/bin/env python3
"""Steps a second of environments: in the actor, behind a Python server, and against what others take for the same.

    ./dev bench env                        # every case; installs EnvPool into .cache/envpool, once
    ./dev bench env --case remote_overhead --runs 9 --json

  halfcheetah_native  HalfCheetah, 64 environments, 2 threads, against Gymnasium's vector of processes (`async`) and
                      against EnvPool with 2 threads: times theirs, higher is better.
  python_server       64 environments of zero cost in python/tandem_env.py, on a Unix socket, against 200,000 steps/s.
  remote_overhead     HalfCheetah, 16 environments in one Python server that is started for them (gym:), against the same
                      Gymnasium environments called in a loop in that Python: the median time of a batch over theirs, lower
                      is better.
  remote_overhead_grpc  the same by gRPC, as from another machine: through a port of localhost.

Each run of ours is measured right after one of theirs; a figure is the median of the runs' ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import peers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TANDEM = os.path.join(ROOT, "build", "release", "bin", "tandem")
PYTHON = os.path.join(ROOT, ".venv", "bin", "python")
SERVER_REFERENCE = 200_000  # steps/s: what a Python server of raw bytes was measured to give

PEER = """
import json, sys, time
import numpy as np
kind, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
actions = np.random.default_rng(0).uniform(-1, 1, (64, count, 6)).astype(np.float32)
if kind == "envpool":
    import envpool
    envs = envpool.make("HalfCheetah-v5", env_type="gymnasium", num_envs=count, num_threads=2)
    actions = actions.astype(envs.action_space.dtype)
elif kind == "async":
    import gymnasium
    envs = gymnasium.make_vec("HalfCheetah-v5", count, vectorization_mode="async")
else:
    import gymnasium
    envs = [gymnasium.make("HalfCheetah-v5") for _ in range(count)]

if kind == "loop":
    for env in envs: env.reset()
    def step(batch):
        for env, action in zip(envs, batch):
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated: env.reset()
else:
    envs.reset()
    step = envs.step
for i in range(10): step(actions[i])
times = [time.perf_counter()]
while times[-1] - times[0] < seconds:
    step(actions[len(times) % 64])
    times.append(time.perf_counter())
print(json.dumps({"steps_per_second": count * (len(times) - 1) / (times[-1] - times[0]),
                  "p50_ms": 1e3 * float(np.median(np.diff(times)))}))
"""


def peer(kind, count, seconds):
    python = PYTHON
    if kind == "envpool":
        python = peers.install("envpool", dependencies=True)
    done = subprocess.run([python, "-c", PEER, kind, str(count), str(seconds)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"env: error: {kind} failed with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(arguments, count, seconds):
    command = [TANDEM, "env", "bench", *arguments, "--num-envs", str(count), "--seconds", str(seconds), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, TANDEM_PYTHON=PYTHON))
    if done.returncode != 0:
        sys.exit(f"env: error: {' '.join(command)} failed with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(values):
    if len(values) < 4:
        return (max(values) - min(values)) / statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / statistics.median(values)


def result(case, pairs, reference, unit="steps/s"):
    """One line of the report from the runs' (ours, theirs)."""
    ratios = [mine / theirs for mine, theirs in pairs]
    return {"bench": "env", "case": case, "value": statistics.median(mine for mine, _ in pairs), "unit": unit,
            "reference": reference, "reference_value": statistics.median(theirs for _, theirs in pairs),
            "ratio": statistics.median(ratios), "runs": len(pairs), "spread": spread(ratios)}


def halfcheetah_native(options):
    for kind, name in [("async", "Gymnasium's async vector"), ("envpool", "EnvPool, 2 threads")]:
        pairs = []
        for _ in range(options.runs):
            theirs = peer(kind, 64, options.seconds)["steps_per_second"]
            pairs.append((ours(["half_cheetah", "--threads", "2"], 64, options.seconds)["steps_per_second"], theirs))
        yield result(f"halfcheetah_native_{kind}", pairs, name)


def python_server(options):
    command = f"{PYTHON} {os.path.join(ROOT, 'bench', 'zero_cost_env.py')}"
    pairs = [(ours(["--command", command], 64, options.seconds)["steps_per_second"], SERVER_REFERENCE)
             for _ in range(options.runs)]
    yield result("python_server", pairs, "a Python server of raw bytes")


def beside_a_loop(case, source, options):
    pairs = []
    for _ in range(options.runs):
        theirs = peer("loop", 16, options.seconds)["p50_ms"]
        pairs.append((ours([source], 16, options.seconds)["p50_ms"], theirs))
    return result(case, pairs, "Gymnasium called in a loop", unit="ms a batch")


def remote_overhead(options):
    yield beside_a_loop("remote_overhead", "gym:HalfCheetah-v5", options)


def remote_overhead_grpc(options):
    server = subprocess.Popen([PYTHON, os.path.join(ROOT, "python", "tandem_env.py"), "--gym", "HalfCheetah-v5",
                               "--listen", "localhost:0"], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()  # "tandem_env: 64 environments on localhost:12345"
        if not line:
            sys.exit("env: error: python/tandem_env.py did not start")
        yield beside_a_loop("remote_overhead_grpc", line.split()[-1], options)
    finally:
        server.terminate()
        server.wait()


CASES = {case.__name__: case
         for case in (halfcheetah_native, python_server, remote_overhead, remote_overhead_grpc)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="only this one; may be repeated")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not os.path.exists(TANDEM):
        sys.exit(f"env: error: {TANDEM} does not exist: run ./dev build")
    if not options.json:
        print(f"{'case':28} {'value':>12} {'reference':>12} {'ratio':>7} {'spread':>7}  against")
    for name in options.case or CASES:
        for line in CASES[name](options):
            if options.json:
                print(json.dumps(line), flush=True)
            else:
                digits = 0 if line["unit"] == "steps/s" else 3
                print(f"{line['case']:28} {line['value']:12,.{digits}f} {line['reference_value']:12,.{digits}f} "
                      f"{line['ratio']:7.2f} {line['spread']:7.2f}  {line['reference']}, {line['unit']}", flush=True)


if __name__ == "__main__":
    main()
