"""The whole system as a user meets it: `tandem train` with its five services as real processes."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import unittest

from run import BINARIES, RECIPES, SMALL, Run, json_lines, tandem


class TrainTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(self.scratch.cleanup)
        self.folder = os.path.join(self.scratch.name, "run")

    def start(self, *overrides, folder=None, preexec=None):
        run = Run(folder or self.folder, "mbpo/cartpole_continuous.yaml", *SMALL, *overrides, preexec=preexec)
        self.addCleanup(run.kill)
        return run

    def small_disk(self, size):
        """A folder on a file system of so many bytes. Skips where this process may not mount one."""
        folder = os.path.join(self.scratch.name, "disk")
        os.mkdir(folder)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                               capture_output=True, text=True, check=False)
        if mount.returncode != 0:
            self.skipTest(f"needs the right to mount a tmpfs: {mount.stderr.strip()}")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", folder], check=True))
        return folder

    def fill(self, disk):
        """Writes until nothing more fits on it."""
        with open(os.path.join(disk, "ballast"), "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(bytes(4096))

    def expect_disk_error(self, run, reason):
        """The run must fail with one line that names its folder, and leave no process behind."""
        code, _, err = run.finish(timeout=60)
        self.assertEqual(code, 1, err)
        errors = [line for line in err.splitlines() if line.startswith("tandem: ")]
        self.assertEqual(len(errors), 1, err)
        self.assertEqual(err.splitlines()[-1], errors[0])
        self.assertIn(run.folder, errors[0])
        self.assertIn(reason, errors[0])
        self.assertEqual(run.processes(), [])

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
        policy = os.path.join(self.folder, "state/policy_trainer/checkpoint.safetensors")
        self.assertIn(f"policy: {policy}", err)
        self.assertIn(policy, report)
        self.assertNotIn("cannot be continued", err)
        self.expect_the_folder_is_taken()
        self.expect_the_report_can_be_written_again(report)

    def expect_the_folder_is_taken(self):
        recipe = os.path.join(RECIPES, "mbpo/pendulum.yaml")
        again = tandem("train", recipe, "--run-dir", self.folder)
        self.assertEqual(again.returncode, 1, again.stderr)
        self.assertIn(f"{self.folder} exists, and a run cannot be continued", again.stderr)
        self.assertEqual(len(again.stderr.strip().splitlines()), 1, again.stderr)
        self.assertEqual(os.listdir(self.scratch.name), ["run"])

    def expect_the_report_can_be_written_again(self, report):
        os.remove(os.path.join(self.folder, "report.html"))
        self.assertIn(f"`tandem report {self.folder}` writes it", tandem("status", self.folder).stdout)
        self.assertIsNone(json.loads(tandem("status", "--json", self.folder).stdout)["report"])
        written = tandem("report", self.folder)
        self.assertEqual((written.returncode, written.stdout), (0, f"report: {self.folder}/report.html\n"), written.stderr)
        with open(os.path.join(self.folder, "report.html"), encoding="utf-8") as file:
            self.assertEqual(file.read(), report)
        self.assertIn(f"report: {self.folder}/report.html", tandem("status", self.folder).stdout)

    def test_a_name_that_is_taken_is_told_of(self):
        os.makedirs(os.path.join(self.scratch.name, "runs/mine"))
        with subprocess.Popen(
                [os.path.join(BINARIES, "tandem"), "train", os.path.join(RECIPES, "mbpo/pendulum.yaml"), *SMALL,
                 "run.name=mine"], stdout=subprocess.PIPE, text=True, cwd=self.scratch.name) as process:
            self.addCleanup(lambda: process.poll() is None and process.kill())
            lines = [process.stdout.readline().strip() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        root = os.path.realpath(self.scratch.name)
        self.assertEqual(lines, [f"{root}/runs/mine exists: a new run begins in mine-2", f"run folder: {root}/runs/mine-2"])

    def test_an_interrupt_drains_and_still_reports(self):
        run = self.start("stop.max_env_steps=100000")
        run.wait_for(lambda: any(r.get("env_steps", 0) > 120 for r in run.records()), "training")
        pids = [run.endpoints(m)["pid"] for m in ("replay_buffer", "model_trainer", "policy_trainer", "monitor")]
        run.interrupt()
        code, _, err = run.finish(timeout=20)
        self.assertEqual(code, 130, err)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "report.html")))
        self.assertIn("this run cannot be continued", err)
        for pid in pids:
            with self.assertRaises(ProcessLookupError):
                os.kill(pid, 0)

    def test_any_process_but_the_replay_buffer_may_be_killed(self):
        # Random actions keep the pole up for some 25 steps; the first evaluation comes after all kills.
        run = self.start("stop.max_env_steps=20000", "stop.return_at_least=60", "stop.evaluations_in_a_row=1",
                         "actor.evaluation_interval=2000", "runtime.checkpoint_seconds=0.5")
        run.wait_for(lambda: run.steps() > 0, "the first steps")
        for member in ("actor-0", "model_trainer", "policy_trainer", "monitor"):
            before = run.wait_for(lambda m=member: run.endpoints(m), f"{member} to start")
            os.kill(before["pid"], signal.SIGKILL)
            run.wait_for(
                lambda m=member, b=before: (run.endpoints(m) or b)["pid"] != b["pid"], f"{member} to come back")
        status = tandem("status", self.folder)
        code, _, err = run.finish(timeout=180)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        self.assertIn("goal reached", err)
        self.assertGreaterEqual(run.evaluations()[-1]["mean_return"], 60)
        self.assertEqual(status.returncode, 0, status.stderr)
        for member in ("actor-0", "model_trainer", "policy_trainer", "monitor"):
            self.assertRegex(status.stdout, rf"{member}[^\n]*restart", status.stdout)

    def test_the_same_seed_gives_the_same_run_bit_for_bit(self):
        figures = []
        for threads in (1, 2):  # which change no number either
            run = self.start("stop.max_env_steps=400", "run.seed=5", f"runtime.threads={threads}",
                             folder=os.path.join(self.scratch.name, f"with-{threads}"))
            code, _, err = run.finish(timeout=120)
            self.assertEqual(code, 0, f"{err}\n{run.logs()}")
            digests = {}
            for trainer in ("model_trainer", "policy_trainer"):
                with open(os.path.join(run.folder, "state", trainer, "checkpoint.safetensors"), "rb") as file:
                    digests[trainer] = hashlib.sha256(file.read()).hexdigest()
            figures.append((run.evaluations(), digests))
        self.assertEqual([e["env_steps"] for e in figures[0][0]], [100, 200, 300, 400])
        self.assertEqual(figures[0], figures[1])

    def test_a_full_disk_at_the_start_is_one_clear_line(self):
        disk = self.small_disk("64k")
        self.fill(disk)
        self.expect_disk_error(self.start(folder=os.path.join(disk, "run")), "No space left")

    def test_a_disk_that_fills_while_training_is_one_clear_line(self):
        disk = self.small_disk("8m")
        run = self.start("stop.max_env_steps=1000000", "runtime.checkpoint_seconds=0.5",
                         folder=os.path.join(disk, "run"))
        run.wait_for(lambda: run.steps() > 100, "training")
        self.fill(disk)
        self.expect_disk_error(run, "No space left")

    def test_a_limit_on_file_sizes_is_one_clear_line(self):
        # 100 bytes stop the start. With 6000, checkpoints fail and training goes on until metrics.jsonl is full.
        for size in (100, 6000):
            def limit(size=size):
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

            with self.subTest(size):
                run = self.start("stop.max_env_steps=1000000", "runtime.checkpoint_seconds=0.5", preexec=limit,
                                 folder=os.path.join(self.scratch.name, str(size)))
                self.expect_disk_error(run, "File too large")

    def test_options_that_a_service_refuses_end_the_run_at_once(self):
        run = self.start("imagination.rollouts_per_refit=1000000", "imagination.horizon_start=100",
                         "imagination.horizon_end=100", "imagination.retain_refits=2")
        code, out, err = run.finish(timeout=30)
        self.assertEqual(code, 1, err)
        self.assertIn("policy_trainer rejects its configuration", err)
        self.assertIn("imagination: rollouts_per_refit x horizon", err)
        self.assertNotIn("report", err + out.replace("verdict_sentence", ""))
        events = json_lines(os.path.join(self.folder, "events.jsonl"))
        self.assertEqual([e["event"] for e in events if e["member"] == "policy_trainer"], ["started", "died"])

    def test_the_variant_with_learned_termination_differs_in_that_alone(self):
        def lines(recipe):
            result = tandem("config", "print", os.path.join(RECIPES, "mbpo", recipe))
            self.assertEqual(result.returncode, 0, result.stderr)
            return result.stdout.splitlines()

        known, learned = lines("inverted_pendulum.yaml"), lines("inverted_pendulum_learned_termination.yaml")
        self.assertEqual(len(known), len(learned))
        differing = {(a.strip(), b.strip()) for a, b in zip(known, learned) if a != b}
        self.assertIn(("termination: KNOWN", "termination: LEARNED"), differing)
        self.assertLessEqual({a.split(":")[0] for a, _ in differing}, {"termination", "name"})

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
            "env.name=gym:NoSuchTask-v0": "LEARNED or NEVER",
            "env.name=": "env.name is missing",
            "env.arguments='{}'": "takes none",
            "env.name=inverted_pendulm": 'override "env.name=inverted_pendulm": env.name: unknown environment',
            "env.name=Hopper-v5": '"gym:Hopper-v5"',
            "monitor.dashboard=127.0.0.1:99999": 'expected "host:port", port 0 to 65535',
            "env.server=localhost:0": "port 1 to 65535",
        }.items():
            with self.subTest(override):
                result = tandem("train", recipe, override, "--run-dir", self.folder)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(expected, result.stderr)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
                self.assertFalse(os.path.exists(self.folder))

    def test_a_mistake_in_the_file_is_told_with_its_line(self):
        recipe = os.path.join(self.scratch.name, "r.yaml")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write("run:\n  seed: 1\nenv:\n  name: inverted_pendulm\n")
        result = tandem("train", recipe)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(f"{recipe}:4: env.name: unknown environment", result.stderr)
        self.assertIn("cannot read the recipe: open nosuch.yaml", tandem("train", "nosuch.yaml").stderr)

    def test_a_command_that_is_none_is_named(self):
        for words, expected in {("trian",): 'no command "trian"; did you mean "train"?',
                                ("env", "chekc"): 'no command "env chekc"; did you mean "env check"?',
                                ("zzz", "--help"): 'no command "zzz"; there are train, status',
                                ("knob", "set", "rollout_horizon", "three", "--reason", "x"): "expected a number",
                                ("report", "nosuch"): 'there is no run "nosuch"'}.items():
            with self.subTest(words):
                result = tandem(*words)
                self.assertIn(result.returncode, (1, 2))
                self.assertIn(expected, result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertEqual(tandem("report", "--help").returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
