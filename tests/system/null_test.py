"""The null of the monitor in a whole run: where the simulator is the model there is nothing to exploit."""

import os
import tempfile
import unittest

from run import Run, json_lines


class NullTest(unittest.TestCase):
    def test_a_policy_that_learns_while_it_plays_exploits_nothing(self):
        """Updates are spread over the steps, so each step is acted by another policy, and each earns more than the last."""
        with tempfile.TemporaryDirectory(prefix="tandem-test-") as scratch:
            run = Run(os.path.join(scratch, "run"), "study/pendulum.yaml", "model.kind=SIMULATOR", "pace.steps_per_round=1",
                      "actor.num_envs=1", "pace.warmup_steps=400", "pace.refit_interval=400", "pace.updates_per_step=2",
                      "policy.hidden=[32,32]", "policy.batch_size=64", "imagination.rollouts_per_refit=5000",
                      "actor.evaluation_episodes=1", "stop.max_env_steps=4400", "run.seed=3")
            self.addCleanup(run.kill)
            code, _, err = run.finish(timeout=240)
            self.assertEqual(code, 0, f"{err}\n{run.logs()}")
            lines = json_lines(os.path.join(run.folder, "state", "monitor", "history.jsonl"))
        judged = [line for line in lines if line["kind"] == "checkpoint" and line["number"] > 3]
        self.assertGreaterEqual(len(judged), 6)
        learned = max(c["real_return"] for c in judged) - judged[0]["real_return"]
        self.assertGreater(learned, 200, "a policy that does not learn shows nothing")
        # Short windows are many; a swing-up that two episodes make or miss is no news about the model.
        for name, most, mean in (("gap_5", 0.05, 0.02), ("gap_25", 0.1, 0.03), ("gap_100", 0.4, 0.12)):
            gaps = [c[name] for c in judged]
            self.assertLess(max(map(abs, gaps)), most, (name, gaps))
            self.assertLess(abs(sum(gaps) / len(gaps)), mean, (name, gaps))
        self.assertLess(max(map(abs, (c["index"] for c in judged))), 0.05)
        self.assertFalse([c["sentence"] for c in judged if c["verdict"] == "exploiting"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
