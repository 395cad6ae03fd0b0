"""The monitor as a side of a whole run: a model with a planted error, a controller that acts, and a monitor that dies."""

import os
import re
import signal
import tempfile
import unittest
import urllib.request

from run import Run, json_lines

# A reward that only the model pays, where Pendulum turns fast; the policy finds it within some hundred steps.
TRAPDOOR = [
    "study.planted_reward=40", "study.planted_element=2", "study.planted_low=4", "study.planted_high=8.5",
    "study.planted_from=600", "imagination.real_share=0", "imagination.horizon_start=10", "imagination.horizon_end=10",
    "control.mode=ACT", "monitor.false_alarm_interval=5",
    "control.knobs=rollout_horizon,real_share,pessimism",  # all of the policy trainer, and figures of a checkpoint
    # What learns fast enough for a test.
    "model.hidden=[32,32]", "model.members=3", "model.elites=2", "model.max_gradient_steps=60",
    "policy.hidden=[32,32]", "policy.batch_size=64", "imagination.rollouts_per_refit=1000",
    "pace.warmup_steps=200", "pace.refit_interval=200", "pace.steps_per_round=200",
    "actor.evaluation_interval=200", "actor.evaluation_episodes=2", "monitor.warmup_refits=2",
    "monitor.model_steps_per_checkpoint=20000", "monitor.rollouts=5", "run.seed=3",
]
# The figure of a checkpoint that shows the knob in force.
SHOWN_BY = {"rollout_horizon": "horizon", "real_share": "real_share", "pessimism": "pessimism"}
RECEIVERS = {"actor", "model_trainer", "policy_trainer"}


class ControllerTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(self.scratch.cleanup)

    def start(self, name, *overrides):
        run = Run(os.path.join(self.scratch.name, name), "study/pendulum.yaml", *TRAPDOOR, *overrides)
        self.addCleanup(run.kill)
        return run

    def history(self, run, *kinds):
        """The lines of the monitor's history so far; of events those of these kinds."""
        lines = json_lines(os.path.join(run.folder, "state", "monitor", "history.jsonl"))
        return [line for line in lines if line.get("event", line["kind"]) in kinds]

    def course(self, run):
        """What a seed settles: checkpoints, alarms, actions and evaluations in their order, without wall times."""
        lines = self.history(run, "checkpoint", "evaluation", "alarm", "all_clear", "action", "rollback")
        end = self.history(run, "checkpoint")[-1]["env_steps"]
        # The evaluation at the end is held against the model only if there is time before the services are stopped.
        return [{name: value for name, value in line.items() if name != "wall_seconds"} for line in lines
                if line["kind"] != "evaluation" or line["env_steps"] < end]

    def knob_in_force(self, run, knob):
        """A knob of the policy trainer as its metrics page has it; None while there is no page."""
        endpoints = run.endpoints("policy_trainer")
        if endpoints is None:
            return None
        with urllib.request.urlopen(f"http://{endpoints['metrics']}/metrics", timeout=5) as page:
            text = page.read().decode()
        return float(re.search(rf'^tandem_policy_trainer_knob_value{{knob="{knob}"}} (\S+)$', text, re.MULTILINE)[1])

    def test_a_seed_settles_every_verdict_and_every_action(self):
        courses = []
        for name in ("first", "again"):
            run = self.start(name, "stop.max_env_steps=2200")
            code, _, err = run.finish(timeout=120)
            self.assertEqual(code, 0, f"{err}\n{run.logs()}")
            courses.append(self.course(run))
        kinds = [line.get("event", line["kind"]) for line in courses[0]]
        self.assertEqual(kinds.count("checkpoint"), 10)
        self.assertIn("alarm", kinds)
        self.assertIn("action", kinds)
        self.assertEqual(courses[0], courses[1])
        self.expect_knobs_to_follow(run)
        self.expect_acknowledgements(run)

    def expect_knobs_to_follow(self, run):
        """The policy of the checkpoint after an action has trained with the knob where the action put it. Those of the
        imagined steps show once there are some again."""
        checkpoints = {line["env_steps"]: line for line in self.history(run, "checkpoint")}
        looked_at = 0
        for action in self.history(run, "action"):
            after = checkpoints.get(action["env_steps"] + 200)
            if after is not None and (action["knob"] == "real_share" or after["real_share"] < 1):
                self.assertAlmostEqual(after[SHOWN_BY[action["knob"]]], action["after"], msg=action)
                looked_at += 1
        self.assertGreater(looked_at, 0)

    def expect_acknowledgements(self, run):
        """Each directive that was followed by another fit was applied by all who receive directives."""
        states = [line["state"] for line in self.history(run, "state")]
        last = max(state["checkpoints"] for state in states)
        versions = {state["directive"]["version"] for state in states if state["checkpoints"] < last} - {0}
        self.assertTrue(versions)
        said = re.findall(r"Directive (\d+): applied by (\w+) ",
                          "".join(line["text"] for line in self.history(run, "acknowledged")))
        for version in versions:
            self.assertEqual({who for number, who in said if int(number) == version}, RECEIVERS, version)
        self.assertEqual(self.history(run, "refused", "expired", "unacknowledged"), [])

    def test_a_killed_monitor_comes_back_with_what_it_knew(self):
        run = self.start("run", "stop.max_env_steps=100000")
        action = run.wait_for(lambda: self.history(run, "action"), "an action")[0]
        before = run.endpoints("monitor")
        os.kill(before["pid"], signal.SIGKILL)
        known = self.history(run, "checkpoint")
        restart = run.wait_for(lambda: self.history(run, "restart"), "the monitor's return", timeout=30)[0]
        self.assertIn(f"{len(known)} judged checkpoints were read; the evidence and the controller came back",
                      restart["text"])
        run.wait_for(lambda: len(self.history(run, "checkpoint")) > len(known) + 1, "checkpoints after its return")
        numbers = [line["number"] for line in self.history(run, "checkpoint")]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

        def follows():
            turned = [a for a in self.history(run, "action") if a["knob"] == action["knob"]][-1]
            return self.knob_in_force(run, action["knob"]) == turned["after"]

        run.wait_for(follows, f"{action['knob']} in force as the controller left it", timeout=30)
        run.interrupt()
        code, _, err = run.finish(timeout=20)
        self.assertEqual(code, 130, err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
