"""An environment that costs nothing, 17 observations and 6 actions, served as the benchmark env serves it.

    python bench/zero_cost_env.py      # listens at TANDEM_ENV_LISTEN
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python"))
import tandem_env  # noqa: E402


class Box:
    """What tandem_env reads of gymnasium.spaces.Box."""

    def __init__(self, size, bound):
        self.shape, self.dtype = (size,), np.dtype(np.float32)
        self.low = np.full(size, -bound, np.float32)
        self.high = np.full(size, bound, np.float32)


class ZeroCost:
    """Five methods of Gymnasium that hand out the same array."""

    observation_space, action_space = Box(17, np.inf), Box(6, 1.0)

    def __init__(self):
        self.observation = np.zeros(17, np.float32)

    def reset(self, *, seed=None, options=None):
        return self.observation, {}

    def step(self, action):
        return self.observation, 0.0, False, False, {}

    def close(self):
        pass


if __name__ == "__main__":
    tandem_env.serve(ZeroCost, num_envs=64)
