"""Starts `tandem train` as a user would and looks at what it leaves behind. Used by the system tests."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ["TANDEM_SOURCE_DIR"], "bench"))
from run_files import json_lines  # noqa: E402

BINARIES = os.path.join(os.environ["TANDEM_BINARY_DIR"], "bin")
RECIPES = os.path.join(os.environ["TANDEM_SOURCE_DIR"], "recipes")

# Small networks and few steps: the whole job through all five services in about a quarter of a minute.
SMALL = [
    "model.hidden=[32,32]", "model.members=3", "model.elites=2", "model.max_gradient_steps=40",
    "policy.hidden=[32,32]", "policy.batch_size=64", "imagination.rollouts_per_refit=2000",
    "pace.warmup_steps=100", "pace.refit_interval=100", "pace.updates_per_step=2",
    "actor.evaluation_interval=100", "actor.evaluation_episodes=3", "monitor.interval_seconds=0.2",
]


def tandem(*args, timeout=60):
    """Runs one `tandem` command to its end."""
    return subprocess.run([os.path.join(BINARIES, "tandem"), *args], capture_output=True, text=True,
                          timeout=timeout, check=False)


def wait_for(condition, what, timeout=60):
    """The first true value of condition()."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {timeout} s")


class Run:
    """One `tandem train` in the background."""

    def __init__(self, folder, recipe, *overrides, preexec=None):
        self.folder = str(folder)
        self.process = subprocess.Popen(
            [os.path.join(BINARIES, "tandem"), "train", os.path.join(RECIPES, recipe), *overrides,
             "--run-dir", self.folder, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=preexec)

    def finish(self, timeout):
        """Waits for the end; returns (exit code, standard output, standard error)."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.interrupt()
            out, err = self.process.communicate(timeout=30)
            raise AssertionError(f"no end within {timeout} s\n{out[-2000:]}\n{err[-4000:]}\n{self.logs()}") from None
        return self.process.returncode, out, err

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def kill(self):
        """At once, where it still runs."""
        if self.process.poll() is None:
            self.process.kill()

    def endpoints(self, member):
        """endpoints.json of a service, or None while it has not started."""
        try:
            with open(os.path.join(self.folder, "state", member, "endpoints.json"), encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def wait_for(self, condition, what, timeout=60):
        def reached():
            value = condition()
            if not value and self.process.poll() is not None:
                out, err = self.process.communicate()
                raise AssertionError(f"ended with {self.process.returncode} before {what}\n{out[-2000:]}\n{err[-4000:]}")
            return value

        try:
            return wait_for(reached, what, timeout)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.logs()}") from None

    def records(self):
        """What metrics.jsonl holds so far."""
        return json_lines(os.path.join(self.folder, "metrics.jsonl"))

    def events(self, kind):
        """The events of one kind that events.jsonl holds so far."""
        return [e for e in json_lines(os.path.join(self.folder, "events.jsonl")) if e["event"] == kind]

    def steps(self):
        """Environment steps taken, as far as metrics.jsonl knows."""
        return max((r.get("env_steps", 0) for r in self.records()), default=0)

    def evaluations(self):
        """What must be equal in runs of one seed: the evaluations without their times."""
        return [{name: value for name, value in r.items() if name not in ("time", "elapsed_seconds")}
                for r in self.records() if r["kind"] == "evaluation"]

    def processes(self):
        """The processes, dead ones not reaped aside, that have this run's folder on their command line."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace")
            except OSError:  # it has ended
                continue
            if self.folder in words and "tandem" in words.split("\0")[0]:
                found.append(int(pid))
        return found

    def logs(self):
        """The last lines of every service's log."""
        folder = os.path.join(self.folder, "logs")
        text = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                text.append(f"--- {name}\n" + "".join(file.readlines()[-8:]))
        return "\n".join(text)
