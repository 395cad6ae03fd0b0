"""Runs on the joint objective through all five services: classifier, price and bound, resumed and refused."""

import glob
import hashlib
import json
import os
import signal
import struct
import tempfile
import time
import unittest

from run import BINARIES, SMALL, Run, json_lines

JOINT = ["objective.kind=MNM", "objective.classifier_hidden=[16]", "objective.classifier_first_steps=100",
         "objective.classifier_steps=30", "stop.return_at_least=1e9", "model.first_gradient_steps=0",
         "monitor.in_lockstep=false"]


def header(path):
    """Names and metadata of a safetensors file."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(size))


def children(pid):
    """The child processes of a process."""
    found = set()
    for path in glob.glob(f"/proc/{pid}/task/*/children"):  # of each of its threads
        try:
            with open(path, encoding="utf-8") as file:
                found |= set(file.read().split())
        except OSError:  # it has ended
            pass
    return found


class JointTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(self.scratch.cleanup)

    def start(self, recipe, *overrides, folder="run"):
        run = Run(os.path.join(self.scratch.name, folder), recipe, *SMALL, *JOINT, *overrides)
        self.addCleanup(run.kill)
        return run

    def test_the_maze_runs_to_its_end_the_same_twice_and_says_what_the_objective_does(self):
        digests = []
        for folder in ("first", "again"):
            run = self.start("mnm/maze.yaml", "stop.max_env_steps=500", "env.warmup_episode_steps=30",
                             "model.members=1", "model.elites=1", "objective.weight_mode=DUAL",
                             "objective.model_value_weight=0.01", folder=folder)
            code, _, err = run.finish(timeout=180)
            self.assertEqual(code, 0, f"{err}\n{run.logs()}")
            digest = []
            for trainer in ("model_trainer", "policy_trainer"):
                path = os.path.join(run.folder, "state", trainer, "checkpoint.safetensors")
                with open(path, "rb") as file:
                    digest.append(hashlib.sha256(file.read()).hexdigest())
            digests.append(digest)
        self.assertEqual(digests[0], digests[1])
        model = header(os.path.join(run.folder, "state", "model_trainer", "checkpoint.safetensors"))
        self.assertIn("classifier.w0", model)
        self.assertEqual(model["__metadata__"]["smallest_reward"], "1")
        policy = header(os.path.join(run.folder, "state", "policy_trainer", "checkpoint.safetensors"))
        weight = float(policy["__metadata__"]["joint_reward.weight"])
        self.assertGreaterEqual(weight, 0.02)
        self.assertLessEqual(weight, 1)
        history = json_lines(os.path.join(run.folder, "state", "monitor", "history.jsonl"))
        judged = [line for line in history if line["kind"] == "checkpoint"]
        self.assertTrue(judged, run.logs())
        self.assertIn("ratio_weight", judged[-1])
        self.assertLessEqual(judged[-1]["log_ratio_1"], 0)
        self.assertNotIn("index", judged[-1])

    def test_one_server_process_has_the_environments_of_the_warm_up_and_all_others(self):
        serve = f"{os.path.join(BINARIES, 'tandem')} env serve maze --num-envs 5"  # all that are there at once
        run = self.start("mnm/maze.yaml", f"env.command={serve}", "env.warmup_episode_steps=30", "actor.num_envs=1",
                         "stop.max_env_steps=300")
        actor = run.wait_for(lambda: run.endpoints("actor-0"), "the actor")["pid"]
        seen, most = set(), 0
        while run.process.poll() is None:
            servers = children(actor)
            seen |= servers
            most = max(most, len(servers))
            time.sleep(0.02)
        code, _, err = run.finish(timeout=10)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        self.assertEqual((most, len(seen)), (1, 1), run.logs())

    def test_both_trainers_may_be_killed_and_come_back_with_classifier_and_weight(self):
        run = self.start("mnm/maze.yaml", "stop.max_env_steps=1500", "env.warmup_episode_steps=0",
                         "objective.weight_mode=DUAL", "runtime.checkpoint_seconds=0.2")

        def counted(member, key):
            path = os.path.join(run.folder, "state", member, "checkpoint.safetensors")
            return int(header(path)["__metadata__"][key]) if os.path.exists(path) else 0

        for member, key, least in (("model_trainer", "classifier.fits", 4),
                                   ("policy_trainer", "joint_reward.updates", 500)):
            run.wait_for(lambda m=member, k=key, n=least: counted(m, k) >= n, f"{least} {key} in a checkpoint")
            before = run.endpoints(member)
            os.kill(before["pid"], signal.SIGKILL)
            run.wait_for(
                lambda m=member, b=before: (run.endpoints(m) or b)["pid"] != b["pid"], f"{member} to come back")
        self.assertLess(run.steps(), 1500)
        code, _, err = run.finish(timeout=180)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        for member, restored in (("model_trainer", "restored the model's weights from"),
                                 ("policy_trainer", "restored the policy after")):
            with open(os.path.join(run.folder, "logs", member + ".log"), encoding="utf-8") as file:
                self.assertIn(restored, file.read())
        # Counted on across the restart: of 15 fits at most the one under way is lost, and every update moved the weight.
        self.assertGreaterEqual(counted("model_trainer", "classifier.fits"), 13)
        self.assertEqual(counted("policy_trainer", "joint_reward.updates"),
                         counted("policy_trainer", "policy_updates"))

    def test_costs_are_paid_as_they_are_with_every_option_of_the_classifier(self):
        run = self.start("mnm/pendulum.yaml", "stop.max_env_steps=600", "objective.classifier_label_range=0.05",
                         "objective.classifier_max_gradient_norm=100", "objective.classifier_layer_norm=true",
                         "objective.ratio_warmup_updates=50")
        code, _, err = run.finish(timeout=180)
        self.assertEqual(code, 0, f"{err}\n{run.logs()}")
        model = header(os.path.join(run.folder, "state", "model_trainer", "checkpoint.safetensors"))
        self.assertIn("classifier.norm_gain", model)
        policy = header(os.path.join(run.folder, "state", "policy_trainer", "checkpoint.safetensors"))["__metadata__"]
        self.assertEqual(float(policy["joint_reward.shift"]), 0)
        self.assertGreater(int(policy["joint_reward.updates"]), 50)
        judged = [line for line in json_lines(os.path.join(run.folder, "state", "monitor", "history.jsonl"))
                  if line["kind"] == "checkpoint"]
        self.assertIn("log_ratio_1", judged[-1], run.logs())  # by the classifier with a normalised layer

    def test_rewards_that_are_not_positive_end_the_run_in_one_clear_line(self):
        run = self.start("mbpo/pendulum.yaml", "objective.reward_shift=0", "stop.max_env_steps=500")
        code, _, err = run.finish(timeout=60)
        self.assertEqual(code, 1, err)
        self.assertIn("the bound needs positive rewards", err)
        self.assertIn("expected reward_shift >=", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
