"""What goes wrong in a run is told where its user looks: on the terminal, by `tandem status`, in the report."""

import os
import re
import resource
import signal
import socket
import sys
import tempfile
import unittest

from run import SMALL, Run, tandem

# A robot whose emergency stop is pressed while a file is there; with WRONG its observations are too long.
ROBOT = '''
import os
import sys

import numpy as np
from gymnasium.spaces import Box

from tandem_env import serve


class Robot:
    observation_space = Box(-1, 1, (3,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)
    max_episode_steps = 40

    def reset(self, *, seed=None, options=None):
        self._steps = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        if os.path.exists(sys.argv[1]):
            raise RuntimeError("emergency stop pressed")
        size = 4 if len(sys.argv) > 2 else 3
        self._steps += 1
        return np.full(size, 0.1, np.float32), float(action[0]), False, self._steps == self.max_episode_steps, {}

    def close(self):
        pass


serve(Robot, name="robot", num_envs=8)
'''


class TroubleTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="tandem-test-")
        self.addCleanup(self.scratch.cleanup)
        self.folder = os.path.join(self.scratch.name, "run")
        self.stop = os.path.join(self.scratch.name, "stop")
        self.robot = os.path.join(self.scratch.name, "robot.py")
        with open(self.robot, "w", encoding="utf-8") as file:
            file.write(ROBOT)

    def start(self, *overrides, preexec=None):
        run = Run(self.folder, "mbpo/own_environment.yaml", *SMALL, "stop.max_env_steps=100000", *overrides,
                  preexec=preexec)
        self.addCleanup(run.kill)
        return run

    def start_robot(self, *words, overrides=()):
        return self.start("env.name=", f"env.command={sys.executable} {self.robot} {self.stop} {' '.join(words)}",
                          *overrides)

    def end(self, run):
        """Interrupts it; what it said to people."""
        run.interrupt()
        code, _, err = run.finish(timeout=30)
        self.assertEqual(code, 130, err)
        return err

    def test_a_robot_that_fails_in_the_midst_is_told_of_everywhere_and_so_is_its_return(self):
        run = self.start_robot()
        run.wait_for(lambda: run.steps() > 120, "training")
        with open(self.stop, "w", encoding="utf-8"):
            pass
        record = run.wait_for(lambda: [r for r in run.records() if r.get("troubles") and r["stands_still"]],
                              "a record with the trouble")[-1]
        self.assertRegex(record["troubles"]["actor-0"],
                         r"^environment 0 failed.*: RuntimeError: emergency stop pressed$")
        status = tandem("status", self.folder)
        self.assertRegex(status.stdout, r"in trouble: actor-0: environment 0 failed.*: RuntimeError: emergency stop "
                                        r"pressed \(logs/actor-0\.log\)")
        os.remove(self.stop)
        run.wait_for(lambda: run.steps() > record["env_steps"], "steps again")
        err = self.end(run)
        self.assertRegex(err, r"(?m)^actor-0: environment 0 failed.*RuntimeError: emergency stop pressed")
        with open(os.path.join(self.folder, "report.html"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"in trouble</td><td>environment 0 failed.*emergency stop pressed")

    def test_observations_of_a_wrong_size_are_told_of_before_the_first_step(self):
        run = self.start_robot("WRONG")
        run.wait_for(lambda: any("wrong" in str(r.get("troubles")) or "expected" in str(r.get("troubles"))
                                 for r in run.records()), "the trouble")
        self.end(run)

    def test_a_server_that_is_not_there_is_named(self):
        run = self.start("env.name=", "env.command=", "env.server=localhost:1")
        run.wait_for(lambda: any("where no server answers" in str(r.get("troubles")) for r in run.records()),
                     "the trouble")
        status = tandem("status", self.folder)
        self.assertIn("in trouble: actor-0: waiting for environments at localhost:1, where no server answers",
                      status.stdout)
        self.assertNotIn("no side waits", status.stdout)
        self.end(run)

    def test_a_death_has_its_reason_on_the_terminal(self):
        run = self.start("env.name=", "env.command=sh -c 'echo no such robot; exit 3'")
        run.wait_for(lambda: run.events("restarted"), "a restart")
        err = self.end(run)
        self.assertRegex(err, r"actor-0 died \(exit code 1: .*no such robot\) and was started again, restart 1")

    def test_what_no_start_can_mend_ends_the_run_at_once(self):
        token = os.path.join(self.scratch.name, "token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("0123456789abcdef\n")
        os.chmod(token, 0o644)
        for override, member, reason in (
                (f"control.token_file={token}", "monitor", "only its owner may read it"),
                ("env.name=gym:NoSuchTask-v0", "actor-0", "NoSuchTask"),
                ("actor.evaluation_episodes=9", "actor-0", "actor.evaluation_episodes=9")):
            with self.subTest(override):
                folder = self.folder + member + str(len(override))
                robot = ["env.name=", f"env.command={sys.executable} {self.robot} {self.stop}"]
                if "gym:" in override:
                    robot = ["env.command=", "model.termination=LEARNED"]
                run = Run(folder, "mbpo/own_environment.yaml", *SMALL, *robot, override)
                self.addCleanup(run.kill)
                code, _, err = run.finish(timeout=60)
                self.assertEqual(code, 1, err)
                self.assertIn(f"{member} rejects its configuration: ", err)
                self.assertIn(reason, err)
                self.assertNotIn("started again", err)

    def test_a_taken_port_costs_nothing_but_the_port(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            run = self.start(f"monitor.dashboard={taken}", "env.name=pendulum", "env.command=")
            run.wait_for(lambda: run.steps() > 0, "the first step")
            err = self.end(run)
        self.assertRegex(err, r"dashboard: http://127\.0\.0\.1:\d+/ \(the port of " + re.escape(taken) + r" is taken\)")
        self.assertNotIn("died", err)

    def test_a_policy_that_cannot_be_saved_is_told_of(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))

        run = self.start("env.name=pendulum", "env.command=", "runtime.checkpoint_seconds=0.5", "policy.hidden=[128,128]",
                         preexec=limit)
        run.wait_for(lambda: any("policy_trainer" in r.get("troubles", {}) for r in run.records()), "the trouble")
        self.assertIn("in trouble: policy_trainer: no checkpoint is written: ", tandem("status", self.folder).stdout)
        err = self.end(run)
        self.assertRegex(err, r"(?m)^policy_trainer: no checkpoint is written: .*File too large")
        self.assertRegex(err, r"(?m)^no policy was saved: write .*File too large")

    def test_a_second_interrupt_says_that_it_was_asked_for(self):
        # Long enough for the others to end, and for the second signal to come before the first one's patience ends.
        run = self.start_robot(overrides=["runtime.drain_seconds=60"])
        run.wait_for(lambda: run.steps() > 120, "training")
        # A member that does not end by itself: the second signal must take it.
        pid = run.endpoints("model_trainer")["pid"]
        os.kill(pid, signal.SIGSTOP)
        run.interrupt()
        run.wait_for(lambda: run.endpoints("monitor") is None, "the others to end")
        run.interrupt()
        code, _, err = run.finish(timeout=30)
        self.assertEqual(code, 130, err)
        self.assertIn("(again: kill at once)", err)
        self.assertIn("model_trainer was killed, as asked", err)
        self.assertNotIn("did not end in time", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
