"""How Gymnasium's classic tasks are played for comparison: see gymnasium_rollout.py."""

import numpy as np


class Pendulum:
    env_id, limit = "Pendulum-v1", None

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        return rng.uniform(-2.5, 2.5, 1).astype(np.float32)  # also beyond the bounds

    def gymnasium_action(self, action):
        return action


def balance(obs):
    """Whether to push a cart with its pole to the right."""
    return obs[2] + 0.5 * obs[3] + 0.05 * obs[0] + 0.1 * obs[1] > 0


class CartpoleContinuous:
    env_id, limit = "CartPole-v1", 200  # full force to either side is what both can do
    numbers = 1

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        right = rng.uniform() < 0.5 if episode % 2 else balance(obs)
        return np.array([1.0 if right else -1.0], dtype=np.float32)

    def gymnasium_action(self, action):
        return int(action[0] > 0)


class Choices:
    """Scores of `choices`, the highest of which is taken: random ones, often equal, in odd episodes.

    In even ones `best(obs)` is taken.
    """

    limit = None

    def __init__(self, env_id, choices, best, cut=None):
        self.env_id, self.choices, self.best, self.cut = env_id, choices, best, cut

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        scores = rng.integers(-2, 3, self.choices).astype(np.float32) / 2
        if episode % 2 == 0:
            scores = np.minimum(scores, np.float32(0.5))
            scores[self.best(obs)] = 1.0
        return scores

    def gymnasium_action(self, action):
        return int(np.argmax(action))


class MountainCarContinuous:
    env_id, limit, cut = "MountainCarContinuous-v0", None, 200

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        force = rng.uniform(-1, 1) if episode % 2 else np.sign(obs[1]) * rng.uniform(0.8, 1)
        return np.array([force], dtype=np.float32)

    def gymnasium_action(self, action):
        return action


TASKS = {
    "acrobot": lambda: Choices("Acrobot-v1", 3, lambda obs: 1 + int(np.sign(obs[5])), cut=150),
    "cartpole": lambda: Choices("CartPole-v1", 2, lambda obs: int(balance(obs))),
    "cartpole_continuous": CartpoleContinuous,
    "mountain_car": lambda: Choices("MountainCar-v0", 3, lambda obs: 1 + int(np.sign(obs[1]))),
    "mountain_car_continuous": MountainCarContinuous,
    "pendulum": Pendulum,
}
