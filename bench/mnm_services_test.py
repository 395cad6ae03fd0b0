"""bench/mnm_services.py reads a complete run only where it is the one that is asked for."""

import argparse
import json
import os
import tempfile
import unittest

import mnm_services


def arguments(out, *overrides):
    return argparse.Namespace(out=out, overrides=list(overrides), binaries="/opt/tandem/bin", timeout=1)


def write_run(args, seed, checkpoint=8500):
    """What a complete run on the maze leaves behind, as far as it is read."""
    folder = os.path.join(args.out, "maze", "mnm", str(seed))
    os.makedirs(os.path.join(folder, "state", "monitor"))
    evaluation = {"kind": "evaluation", "env_steps": checkpoint, "real_return": 3000, "model_return": 3100}
    files = {"state/monitor/history.jsonl": [{"kind": "checkpoint", "verdict": "healthy"}, evaluation],
             "metrics.jsonl": [{**evaluation, "mean_return": 3000}]}
    for path, lines in files.items():
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    with open(os.path.join(folder, "command.txt"), "w", encoding="utf-8") as file:
        file.write(" ".join(mnm_services.command_of(args, "maze", "mnm", seed, checkpoint, folder)) + "\n")
    with open(os.path.join(folder, "row.json"), "w", encoding="utf-8") as file:
        json.dump({"checkpoint": checkpoint}, file)


class MnmServicesTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.out = scratch.name

    def read(self, *overrides, checkpoint=8500):
        return mnm_services.run(arguments(self.out, *overrides), "maze", "mnm", 3, checkpoint)

    def refusal(self, *overrides, checkpoint=8500):
        with self.assertRaises(SystemExit) as end:
            self.read(*overrides, checkpoint=checkpoint)
        return str(end.exception)

    def test_the_same_run_is_read_wherever_its_programs_lie(self):
        write_run(arguments(self.out, "policy.lr=1e-4", "control.knobs=pessimism, real_share"), 3)
        args = arguments(self.out, "control.knobs=pessimism, real_share", "policy.lr=1e-4")
        args.binaries = "/elsewhere"
        self.assertEqual(mnm_services.run(args, "maze", "mnm", 3, 8500)["real"], 3000)

    def test_a_run_of_other_fields_is_refused_and_says_which(self):
        write_run(arguments(self.out, "policy.lr=1e-4", "control.knobs=pessimism, real_share"), 3)
        said = self.refusal("policy.lr=1e-3", "model.members=5")
        self.assertIn(os.path.join(self.out, "maze", "mnm", "3"), said)
        self.assertIn("policy.lr was 1e-4 and is now 1e-3", said)
        self.assertIn("model.members was as in the recipe and is now 5", said)
        self.assertIn("control.knobs was pessimism, real_share and is now as in the recipe", said)
        self.assertNotIn("run.seed", said)
        self.assertIn("remove that run", said)

    def test_a_longer_run_has_an_earlier_checkpoint_but_no_later_one(self):
        write_run(arguments(self.out), 3, checkpoint=600)
        self.assertEqual(self.read(checkpoint=600)["env_steps"], 600)
        self.assertIn("the checkpoint was at 600 steps and is now at 8500", self.refusal())
        said = self.refusal("stop.max_env_steps=900", checkpoint=600)
        self.assertIn("stop.max_env_steps was 750 and is now 900", said)


if __name__ == "__main__":
    unittest.main()
