"""An environment of your own behind Tandem's server: a ball that wants to be in the middle.

    ./dev train recipes/mbpo/own_environment.yaml

The recipe names this program as env.command: the actor starts it, tells it by TANDEM_ENV_LISTEN
where to listen, and starts it again should it die. It learns in about a quarter of a minute.

Alone it serves at the address given (--listen localhost:7000), for actors with
env.server=localhost:7000, and `tandem env check localhost:7000` checks it. Gymnasium is not needed:
any class with the five methods below will do.
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tandem_env  # noqa: E402  (after the path)


class Box:
    """Numbers between bounds; Gymnasium's spaces serve as well."""

    def __init__(self, low, high, shape):
        self.low, self.high = np.full(shape, low, np.float32), np.full(shape, high, np.float32)
        self.shape, self.dtype = shape, np.dtype(np.float32)


class Ball:
    """Observation: position, speed. Action: a push. Reward: how near the middle it is, (0, 1]."""

    observation_space = Box(-4, 4, (2,))
    action_space = Box(-1, 1, (1,))
    max_episode_steps = 100

    def __init__(self, start=1.0):  # arguments come from env.arguments, such as {"start": 2}
        self._start, self._rng = start, np.random.default_rng()

    def reset(self, seed=None, options=None):
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._position, self._speed = self._rng.uniform(-self._start, self._start), 0.0
        self._steps = 0
        return self._observation(), {}

    def step(self, action):
        self._speed = float(np.clip(0.95 * self._speed + 0.1 * action[0], -1, 1))
        self._position += 0.2 * self._speed
        self._steps += 1
        terminated = bool(abs(self._position) > 3)  # it fell off
        truncated = self._steps == self.max_episode_steps
        reward = float(np.exp(-self._position**2))
        return self._observation(), reward, terminated, truncated, {}

    def close(self):
        pass

    def _observation(self):
        return np.array([self._position, self._speed], np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--listen", help="unix:PATH or HOST:PORT; else $TANDEM_ENV_LISTEN")
    parser.add_argument("--num-envs", type=int, default=64, help="at most, over all clients")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: in this one")
    options = parser.parse_args()
    tandem_env.serve(Ball, options.num_envs, options.listen, options.workers, name="ball")
