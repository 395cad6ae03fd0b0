"""A simulator that owns its loop, here a pendulum, as the only actor of a run.

    python python/examples/own_loop.py --bin build/release/bin --steps 3000

starts a replay buffer and the two trainers on this machine and learns for about a minute (a swing up
returns more than -300; the first evaluations about -1200). With --replay ADDRESS --policy ADDRESS
it joins a run that is there already, beside its other actors.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tandem_client import Actor, Episode, Spec  # noqa: E402  (after the path)

SETTINGS = [
    "env.name=pendulum", "actor.evaluation_interval=1000", "pace.warmup_steps=400",
    "pace.refit_interval=200", "pace.updates_per_step=4", "model.members=3", "model.elites=2",
    "model.hidden=[64,64]", "model.max_gradient_steps=200", "policy.hidden=[64,64]",
    "imagination.rollouts_per_refit=10000"]


class Pendulum:
    """Swing a pendulum up with too weak a motor (as Gymnasium's Pendulum-v1)."""

    STEPS = 200
    SPEC = Spec("pendulum", [-1, -1, -8], [1, 1, 8], -2, 2, max_episode_steps=STEPS)

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def reset(self):
        self._angle, self._speed = self._rng.uniform([-np.pi, -1], [np.pi, 1])
        self._steps = 0
        return self._observation()

    def step(self, action):
        torque = float(np.clip(action[0], -2, 2))
        angle = (self._angle + np.pi) % (2 * np.pi) - np.pi
        reward = -(angle**2 + 0.1 * self._speed**2 + 0.001 * torque**2)
        self._speed += (15 * np.sin(self._angle) + 3 * torque) * 0.05
        self._speed = float(np.clip(self._speed, -8, 8))
        self._angle += self._speed * 0.05
        self._steps += 1
        return self._observation(), reward, False, self._steps == self.STEPS

    def _observation(self):
        return np.array([np.cos(self._angle), np.sin(self._angle), self._speed], np.float32)


def evaluate(policy):
    """Three episodes of the deterministic policy."""
    played = []
    for seed in range(3):
        simulator, total = Pendulum(seed), 0.0
        first = observation = simulator.reset()
        for _ in range(Pendulum.STEPS):
            actions, _ = policy.act(observation[None])
            observation, reward, _, _ = simulator.step(actions[0])
            total += reward
        played.append(Episode(total, Pendulum.STEPS, False, first))
    print(f"evaluation of the policy of {policy.updates} updates: mean return "
          f"{np.mean([episode.total_reward for episode in played]):.0f}", flush=True)
    return played


@contextlib.contextmanager
def services(binaries, folder, settings):
    """A replay buffer and the two trainers; gives the addresses of buffer and policy trainer."""
    roles = ["replay_buffer", "model_trainer", "policy_trainer"]
    config = pathlib.Path(folder, "config.yaml")
    config.write_text("{}\n", encoding="utf-8")
    peers = [f"endpoints.{role}=unix:{folder}/{role}.sock" for role in roles]
    processes = []
    try:
        for role in roles:
            with open(f"{folder}/{role}.log", "wb") as log:
                processes.append(subprocess.Popen(
                    [os.path.join(binaries, f"tandem_{role}"), "--config", config, *settings,
                     *peers, f"endpoints.listen=unix:{folder}/{role}.sock",
                     "endpoints.metrics=127.0.0.1:0", f"endpoints.state_dir={folder}/{role}"],
                    stdout=log, stderr=log))
        yield f"unix:{folder}/replay_buffer.sock", f"unix:{folder}/policy_trainer.sock"
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(20)


def act(replay, policy, name, seed):
    """Acts until the run is over."""
    simulator, begin = Pendulum(seed), time.monotonic()
    with Actor(replay, policy, Pendulum.SPEC, name=name, evaluate=evaluate, seed=seed) as actor:
        actor.begin(simulator.reset())
        while (action := actor.act()) is not None:
            observation, reward, terminated, truncated = simulator.step(action)
            actor.record(reward, observation, terminated, truncated)
            if terminated or truncated:
                actor.begin(simulator.reset())
        print(f"{actor.env_steps} steps in the run, {actor.episodes} episodes here, "
              f"{time.monotonic() - begin:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", help="folder of Tandem's binaries: start a run")
    parser.add_argument("--steps", type=int, default=3000, help="of that run")
    parser.add_argument("--replay", help="address of a run's replay_buffer")
    parser.add_argument("--policy", help="address of a run's policy_trainer")
    parser.add_argument("--name", default="simulator-0", help="of this simulator in the run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.replay and options.policy:
        act(options.replay, options.policy, options.name, options.seed)
        return
    if not options.bin:
        parser.error("--bin, or --replay and --policy")
    with tempfile.TemporaryDirectory() as folder:
        settings = [*SETTINGS, f"stop.max_env_steps={options.steps}"]
        with services(options.bin, folder, settings) as at:
            act(*at, options.name, options.seed)


if __name__ == "__main__":
    main()
