"""What the monitor costs a run: its share of the run's CPU time, its memory, and environment steps a second without it.

  ./dev bench monitor_cost [--runs 3] [--steps 1000] [--json] [field=value ...]

Trains the same recipe with the monitor and without it, one run after the other and --runs of each, and prints medians.
Without it a program that sleeps stands in its place. CPU time is read from /proc four times a second, so a program's last
quarter of a second is missed; ratios of it are what a busy machine leaves comparable. Wall times, and so steps a second
(counted from the first policy update on), are only as good as the machine is quiet: their spread tells. Exits 1 where the
share is above --most-share, or the monitor's peak of memory above --most-mebibytes.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from run_files import json_lines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ["tandem_replay_buffer", "tandem_model_trainer", "tandem_policy_trainer", "tandem_actor"]


def without_monitor(binaries, folder):
    """A folder of the same programs, but for a monitor that sleeps."""
    os.makedirs(folder)
    shutil.copy(os.path.join(binaries, "tandem"), folder)  # it looks for the others where it lies itself
    for program in PROGRAMS:
        os.symlink(os.path.join(binaries, program), os.path.join(folder, program))
    stand_in = os.path.join(folder, "tandem_monitor")
    with open(stand_in, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec sleep 1000000\n")
    os.chmod(stand_in, 0o755)
    return folder


def children(parent):
    """(pid, program, CPU seconds so far, most memory so far [MiB]) of each child of a process; the program of one that
    has ended but is not yet waited for is empty."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) != parent:
                continue
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                peaks = [line for line in file if line.startswith("VmHWM")]
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                program = os.path.basename(file.read().split("\0")[0])
        except (OSError, IndexError):
            continue
        ticks = int(fields[11]) + int(fields[12])
        yield pid, program, ticks / os.sysconf("SC_CLK_TCK"), int(peaks[0].split()[1]) / 1024 if peaks else 0


def steps_per_second(run):
    """From the first policy update on."""
    records = [r for r in json_lines(os.path.join(run, "metrics.jsonl")) if r["kind"] == "progress"]
    going = [record for record in records if record["policy_updates"] > 0]
    if not going:
        return float("nan")
    first = going[0]
    last = next(record for record in records if record["env_steps"] == records[-1]["env_steps"])
    return (last["env_steps"] - first["env_steps"]) / (last["elapsed_seconds"] - first["elapsed_seconds"])


def end(process):
    """Ends `tandem train`, which ends its services."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()  # the services receive SIGTERM when their parent dies


def measure(args, binaries, run):
    """One whole run: CPU seconds by program, the monitor's peak memory [MiB], steps a second."""
    with open(run + ".log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [os.path.join(binaries, "tandem"), "train", args.recipe, f"stop.max_env_steps={args.steps}",
             "--run-dir", run, "--json", *args.overrides], stdout=log, stderr=log)
        cpu, peak = {}, 0
        deadline = time.monotonic() + args.timeout
        try:
            while process.poll() is None and time.monotonic() < deadline:
                for pid, program, seconds, mebibytes in children(process.pid):
                    cpu[pid] = (program or cpu.get(pid, ("",))[0], seconds)
                    if program == "tandem_monitor":
                        peak = max(peak, mebibytes)
                time.sleep(0.25)
        finally:
            if process.poll() is None:
                end(process)
    if process.returncode != 0:
        with open(run + ".log", encoding="utf-8") as log:
            sys.exit(f"bench/monitor_cost: the run failed or took more than {args.timeout:g} s\n{log.read()[-2000:]}")
    by_program = {}
    for program, seconds in cpu.values():
        by_program[program] = by_program.get(program, 0) + seconds
    return {"cpu": by_program, "total": sum(by_program.values()), "peak": peak, "rate": steps_per_second(run)}


def line(case, values, unit, reference, reference_value, ratio=None):
    """One result, as docs and other benchmarks have it."""
    value = statistics.median(values)
    return {"bench": "monitor_cost", "case": case, "value": round(value, 4), "unit": unit, "reference": reference,
            "reference_value": round(reference_value, 4),
            "ratio": round(value / reference_value if ratio is None else ratio, 3), "runs": len(values),
            "spread": round((max(values) - min(values)) / abs(value) if value else 0, 3)}


def results(args, pairs):
    with_it, without = [a for a, _ in pairs], [b for _, b in pairs]
    monitor = [run["cpu"]["tandem_monitor"] for run in with_it]
    lines = [
        line("cpu_share", [m / run["total"] for m, run in zip(monitor, with_it)], "of the run's CPU time", "limit",
             args.most_share),
        line("cpu_seconds", monitor, "s", "the whole run with the monitor",
             statistics.median(run["total"] for run in with_it)),
        line("run_cpu", [run["total"] for run in with_it], "s", "without the monitor",
             statistics.median(run["total"] for run in without)),
        line("env_steps", [run["rate"] for run in with_it], "1/s", "without the monitor",
             statistics.median(run["rate"] for run in without)),
        line("peak_memory", [run["peak"] for run in with_it], "MiB", "limit", args.most_mebibytes),
    ]
    for name in sorted({name for run in with_it for name in run["cpu"]}):
        lines.append(line(f"cpu_{name.removeprefix('tandem_')}", [run["cpu"].get(name, 0) for run in with_it], "s",
                          "the whole run with the monitor", statistics.median(run["total"] for run in with_it)))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=[], help="field=value for both kinds of runs")
    parser.add_argument("--recipe", default=os.path.join(ROOT, "recipes/mbpo/inverted_pendulum.yaml"))
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    parser.add_argument("--steps", type=int, default=1000, help="environment steps of a run")
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build/release/bin"))
    parser.add_argument("--timeout", type=float, default=1800, help="of one run [s]")
    parser.add_argument("--most-share", type=float, default=0.03)
    parser.add_argument("--most-mebibytes", type=float, default=300)
    parser.add_argument("--json", action="store_true", help="one object a line")
    args = parser.parse_args()
    binaries = os.path.abspath(args.binaries)
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        bare = without_monitor(binaries, os.path.join(folder, "bin"))
        pairs = []
        for i in range(args.runs):
            pairs.append((measure(args, binaries, os.path.join(folder, f"with-{i}")),
                          measure(args, bare, os.path.join(folder, f"without-{i}"))))
            print(f"bench/monitor_cost: {i + 1} of {args.runs} pairs of runs done", file=sys.stderr)
    lines = results(args, pairs)
    for result in lines:
        if args.json:
            print(json.dumps(result))
        else:
            print(f"{result['case']:<24} {result['value']:>10.4g} {result['unit']:<24} {result['ratio']:>7.3f} of "
                  f"{result['reference']} ({result['reference_value']:.4g}), spread {result['spread']:.2f}")
    within = {result["case"]: result["ratio"] <= 1 for result in lines}
    return 0 if within["cpu_share"] and within["peak_memory"] else 1


if __name__ == "__main__":
    sys.exit(main())
