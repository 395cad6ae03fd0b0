"""The whole system as a user meets it: `tandem train` with its five services as real processes."""

import json
import os
import signal
import tempfile
import unittest

from run import RECIPES, SMALL, Run, tandem


class TrainTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(self.scratch.cleanup)
        self.folder = os.path.join(self.scratch.name, "run")

    def start(self, *overrides):
        run = Run(self.folder, "mbpo/cartpole_continuous.yaml", *SMALL, *overrides)
        self.addCleanup(lambda: run.process.poll() is None and run.process.kill())
        return run

    def test_runs_to_its_end_and_leaves_a_report(self):
        run = self.start("stop.max_env_steps=300")
        code, out, err = run.finish(timeout=120)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        for line in out.splitlines():
            json.loads(line)  # --json prints nothing else on standard output
        records = run.records()
        self.assertGreaterEqual(max(r.get("env_steps", 0) for r in records), 300)
        with open(os.path.join(self.folder, "report.html"), encoding="utf-8") as file:
            report = file.read()
        self.assertIn("uPlot", report)
        config = tandem("config", "validate", os.path.join(self.folder, "config.yaml"))
        self.assertEqual(config.returncode, 0, config.stderr)

    def test_an_interrupt_drains_and_still_reports(self):
        run = self.start("stop.max_env_steps=100000")
        run.wait_for(lambda: any(r.get("env_steps", 0) > 120 for r in run.records()), "training")
        pids = [run.endpoints(m)["pid"] for m in ("replay_buffer", "model_trainer", "policy_trainer", "monitor")]
        run.interrupt()
        code, _, err = run.finish(timeout=20)
        self.assertEqual(code, 130, err)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "report.html")))
        for pid in pids:
            with self.assertRaises(ProcessLookupError):
                os.kill(pid, 0)

    def test_any_process_but_the_replay_buffer_may_be_killed(self):
        run = self.start("stop.max_env_steps=2000", "actor.evaluation_interval=500",
                         "runtime.checkpoint_seconds=0.5")
        for member in ("actor-0", "model_trainer", "policy_trainer", "monitor"):
            before = run.wait_for(lambda m=member: run.endpoints(m), f"{member} to start")
            steps = max((r.get("env_steps", 0) for r in run.records()), default=0)
            run.wait_for(lambda s=steps: any(r.get("env_steps", 0) >= s + 10 for r in run.records()),
                         "progress")
            os.kill(before["pid"], signal.SIGKILL)
            run.wait_for(
                lambda m=member, b=before: (run.endpoints(m) or b)["pid"] != b["pid"], f"{member} to come back")
        status = tandem("status", self.folder)
        code, _, err = run.finish(timeout=180)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        self.assertGreaterEqual(max(r.get("env_steps", 0) for r in run.records()), 2000)
        self.assertEqual(status.returncode, 0, status.stderr)
        for member in ("actor-0", "model_trainer", "policy_trainer", "monitor"):
            self.assertRegex(status.stdout, rf"{member}[^\n]*restart", status.stdout)

    def test_losing_the_replay_buffer_ends_the_run_in_plain_words(self):
        run = self.start("stop.max_env_steps=100000")
        run.wait_for(lambda: any(r.get("env_steps", 0) > 50 for r in run.records()), "training")
        os.kill(run.endpoints("replay_buffer")["pid"], signal.SIGKILL)
        code, _, err = run.finish(timeout=30)
        self.assertEqual(code, 1)
        self.assertIn("replay_buffer", err)

    def test_two_actors_share_a_run(self):
        run = self.start("stop.max_env_steps=300", "actor.processes=2", "actor.num_envs=2", "pace.mode=async")
        code, _, err = run.finish(timeout=120)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")

    def test_mistakes_in_a_recipe_are_one_clear_line(self):
        recipe = os.path.join(RECIPES, "mbpo/pendulum.yaml")
        for override, expected in {
            "polcy.lr=1": 'did you mean "policy"',
            "policy.lr=fast": "policy.lr",
            "env.name=pendulun": 'did you mean "pendulum"',
            "model.elites=9": "model.elites",
        }.items():
            with self.subTest(override):
                result = tandem("train", recipe, override, "--run-dir", self.folder)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(expected, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
