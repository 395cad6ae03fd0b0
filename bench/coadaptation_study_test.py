"""The study's arms are configurations that `tandem` accepts, and its rows are what the monitor wrote."""

import concurrent.futures
import csv
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import coadaptation_report as report  # noqa: E402
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
                          "verdict": "exploiting" if gap > 0.5 else "healthy"}
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


if __name__ == "__main__":
    unittest.main()
