"""The study's arms are configurations that `tandem` accepts, and its rows are what the monitor wrote."""

import concurrent.futures
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coadaptation_answer as answer  # noqa: E402
import coadaptation_leads as leads  # noqa: E402
import coadaptation_report as report  # noqa: E402
import coadaptation_runs as runs_of  # noqa: E402
import coadaptation_study as study  # noqa: E402

BINARIES = os.path.join(os.environ.get("TANDEM_BINARY_DIR", os.path.join(study.ROOT, "build", "release")), "bin")


def print_config(key):
    env, arm = key
    recipe = os.path.join(study.ROOT, "recipes", "study", env + ".yaml")
    done = subprocess.run([os.path.join(BINARIES, "tandem"), "config", "print", recipe, *study.ARMS[arm].fields(env)],
                          capture_output=True, text=True, timeout=30)
    return key, done.returncode, done.stdout, done.stderr


def write_run(out, env, arm, seed, gaps):
    """The files of a run whose checkpoints lie 600 steps apart and whose evaluations lie halfway."""
    folder = study.run_folder(out, env, arm, seed)
    os.makedirs(os.path.join(folder, "state", "monitor"))
    with open(os.path.join(folder, "state", "monitor", "history.jsonl"), "w", encoding="utf-8") as file:
        for i, gap in enumerate(gaps, 1):
            own = {"kind": "evaluation", "env_steps": 600 * i + 300, "gap": gap, "real_return": 100 - 50 * (gap > 0.2)}
            other = {"kind": "evaluation", "env_steps": 600 * i + 600, "gap": 9, "real_return": 0}
            checkpoint = {"kind": "checkpoint", "number": i, "env_steps": 600 * i + 600, "index": gap / 2,
                          "gap_100": gap, "gap_episode": gap / 2, "model_env_steps": 600 * i,
                          "verdict": "exploiting" if gap > 0.5 else "healthy", "early": gap > 0.5}
            for record in (own, other, checkpoint):
                print(json.dumps(record), file=file)
        file.write('{"kind": "checkpoint", "torn')
    with open(os.path.join(folder, "study.json"), "w", encoding="utf-8") as file:
        json.dump({"env": env, "arm": arm, "seed": seed, "exit": 0, "wall_s": 1}, file)


class Study(unittest.TestCase):
    def test_every_arm_is_a_configuration(self):
        keys = [(env, arm) for env in study.ENVIRONMENTS for arm in study.ARMS]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for key, code, config, errors in pool.map(print_config, keys):
                self.assertEqual(code, 0, f"{key}: {errors}")
                self.assertIn(f"name: {key[0]}", config)

    def test_rows_carry_the_evaluation_halfway_and_only_complete_runs_count(self):
        with tempfile.TemporaryDirectory() as out:
            write_run(out, "pendulum", "I3", 3, [0.0, 0.1, 0.3, 0.9, 0.9])
            os.makedirs(study.run_folder(out, "pendulum", "I3", 4))  # begun, not complete
            rows, runs = study.collect(out)
            self.assertEqual([r["label_gap"] for r in rows], [0.0, 0.1, 0.3, 0.9, 0.9])
            self.assertEqual(runs[0]["checkpoints"], 5)
            self.assertTrue(study.is_complete(study.run_folder(out, "pendulum", "I3", 3)))
            self.assertFalse(study.is_complete(study.run_folder(out, "pendulum", "I3", 4)))
            with open(os.path.join(out, "checkpoints.csv"), encoding="utf-8", newline="") as file:
                self.assertEqual(len(list(csv.DictReader(file))), 5)
            read = report.read(out)
            self.assertEqual([r["positive"] for r in read], [False, False, True, True, True])
            self.assertAlmostEqual(read[3]["combined"], (0.45 + 0.9) / 2)
            summary = report.summarise(read)
            self.assertEqual((summary["alarm"], summary["exploited"]), (3, True))

    def test_collapses_are_counted_by_what_was_there_to_be_seen(self):
        with tempfile.TemporaryDirectory() as out:
            write_run(out, "pendulum", "I3", 1, [0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.9, 0.9])
            _, runs = study.collect(out)
            rows = report.read(out)
            for row in rows:  # it learned, and lost it again
                row["return_scale"] = 100
            rows[0]["label_real_return"] = 0
            run = report.summarise(rows)
            self.assertEqual((run["onset"], run["alarm"], run["warning"], run["harm_before"]), (4, 4, 4, 1))
            lines = report.collapse_section({("pendulum", "I3", "1"): rows})
            self.assertIn("| 1 positive checkpoints up to the onset | 1 | 1 (100 %) | 0.0 | 0 | "
                          "1 (100 %) | 0.0 | 0 | 1 (100 %) | 0.0 | 0 |",
                          lines)

    def test_a_detector_needs_evidence_and_a_figure_above_its_limit_now(self):
        rows = [{"evidence_log10": e, "read_gap_100": g} for e, g in ((2.0, 0.3), (2.4, 0.1), (2.4, 0.3), (3.0, 0.3))]
        self.assertEqual(leads.detected(rows, 0, "confirmed", 200), 2)
        self.assertEqual(leads.detected(rows, 0, "confirmed", 50), 0)
        self.assertEqual(leads.detected(rows, 3, "confirmed", 50), 3)
        self.assertIsNone(leads.detected(rows, 0, "early", 20))

    def test_the_curve_of_bounds_needs_what_only_judging_again_writes(self):
        with tempfile.TemporaryDirectory() as out:
            write_run(out, "pendulum", "I3", 1, [0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.9, 0.9])
            study.collect(out)
            rows = report.read(out)
            for row in rows:
                row.update(return_scale=100, evidence_log10=3, evidence_early_log10=3)
            rows[0]["label_real_return"] = 0
            runs = {("pendulum", "I3", "1"): rows}
            self.assertEqual(leads.curve_section(out, runs), [])
            for row in rows:
                row.update(read_gap_episode=row["gap_episode"])
            self.assertIn("| confirmed | 200 | 1 (100 %) | 0.0 | 0 | 0 | over 0 |", leads.curve_section(out, runs))

    def test_half_of_what_the_mitigated_control_learns_is_what_can_be_lost(self):
        def run(*returns):
            return [{"label_real_return": float(r)} for r in returns]
        runs = {("pendulum", "C1", "1"): run(-1400, -800, *[-200] * 5), ("pendulum", "I1", "1"): run(-1400, -1400)}
        self.assertEqual(leads.halfway(runs), {"pendulum": -800})

    def test_false_alarms_are_counted_up_to_the_first_in_runs_that_did_not_exploit(self):
        def run(alarm, positives):
            return [{"env": "pendulum", "arm": "C1", "seed": "1", "label_gap": 0, "label_real_return": 1.0,
                     "positive": i in positives, "verdict": "exploiting" if i == alarm else "healthy", "early": 0,
                     "env_steps": i} for i in range(20)]
        runs = {("pendulum", "C1", "1"): run(None, ()), ("pendulum", "C1", "2"): run(7, ()),
                ("pendulum", "C1", "3"): run(7, (6, 7))}  # this one did exploit
        self.assertEqual(runs_of.first_alarms(runs_of.sound(runs), lambda run, _: run["alarm"]), (2, 1, 17 + 5))
        self.assertIn("1 in 2 runs (22 checkpoints)", answer.rate(runs_of.sound(runs), "alarm"))

    def test_what_the_controller_kept_is_measured_by_the_mitigated_control_of_the_same_seeds(self):
        def run(first, last):
            return [{"label_real_return": float(r)} for r in (first, *[last] * 5)]
        runs = {("pendulum", "C1", "1"): run(-1400, -200), ("pendulum", "C1", "2"): run(-1400, -200),
                ("pendulum", "C1", "3"): run(0, 1000)}
        controlled = {("pendulum", "I2", "1"): run(-1400, -200), ("pendulum", "I2", "2"): run(-1400, -800)}
        self.assertEqual(answer.kept(runs, controlled), {("pendulum", "I2"): [1.0, 0.5]})
        found = [line[2] for line in answer.control_rows(runs, controlled)]
        self.assertEqual(found, ["0 of 1 (0 %) arms; not I2 on pendulum 75 %", "1 of 2 (50 %), the lowest 50 %"])

    def test_told_to_end_it_leaves_no_process_and_goes_on_later(self):
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, os.path.join(study.ROOT, "bench", "coadaptation_study.py"), "--out", out,
                       "--binaries", BINARIES, "--arms", "C0", "--envs", "cartpole_continuous", "--seeds", "0", "--jobs", "1"]
            driver = subprocess.Popen([*command, "stop.max_env_steps=10000000"], stdout=subprocess.PIPE, text=True)
            history = os.path.join(study.run_folder(out, "cartpole_continuous", "C0", 0), "state", "monitor",
                                   "history.jsonl")
            until = time.monotonic() + 60
            while not os.path.exists(history) and driver.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            driver.send_signal(signal.SIGTERM)
            output, _ = driver.communicate(timeout=60)
            self.assertEqual(driver.returncode, 130, output)
            self.assertIn("0 runs with 0 checkpoints", output)
            self.assertEqual(processes_about(out), [])
            listed = subprocess.run([*command, "--list"], capture_output=True, text=True, timeout=30, check=True)
            self.assertIn("1 runs, 1 to do", listed.stdout)


def processes_about(text):
    """Command lines of living processes that name it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(pid) != os.getpid():
            found.append(line)
    return found


if __name__ == "__main__":
    unittest.main()
