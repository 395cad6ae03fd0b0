"""Plays episodes in Gymnasium and prints every number, for comparison with our environments.

    gymnasium_rollout.py NAME STEPS SEED

NAME is one of our environments. At least STEPS steps are played, and the last episode is played to
its end where it has one. Lines of numbers, to 17 digits so that none is lost:

    spec OBS_DIM ACTION_DIM MAX_EPISODE_STEPS ACTION_LOW... ACTION_HIGH...
    episode STATE... FIRST_OBSERVATION...
    step ACTION... OBSERVATION... REWARD TERMINATED TRUNCATED
"""

import sys

import gymnasium
import numpy as np


def line(word, *parts):
    numbers = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])
    print(word, *(format(x, ".17g") for x in numbers))


class InvertedPendulum:
    env_id, limit = "InvertedPendulum-v5", None

    def state(self, env):
        return np.concatenate([env.data.qpos, env.data.qvel])

    def action(self, rng, episode, obs):
        # Even episodes balance for long; odd ones push at random until the pole falls.
        if episode % 2 == 0:
            push = 10 * obs[1] + 2 * obs[3] + 0.3 * obs[0] + 0.6 * obs[2] + rng.normal(0, 0.5)
        else:
            push = rng.uniform(-0.5, 0.5)
        return np.clip(np.array([push], dtype=np.float32), -3, 3)

    def gymnasium_action(self, action):
        return action


class Pendulum:
    env_id, limit = "Pendulum-v1", None

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        return rng.uniform(-2.5, 2.5, 1).astype(np.float32)  # also beyond the bounds

    def gymnasium_action(self, action):
        return action


class CartpoleContinuous:
    env_id, limit = "CartPole-v1", 200  # full force to either side is what both can do

    def state(self, env):
        return env.state

    def action(self, rng, episode, obs):
        lean = obs[2] + 0.5 * obs[3] + 0.05 * obs[0] + 0.1 * obs[1]
        right = rng.uniform() < 0.5 if episode % 2 else lean > 0
        return np.array([1.0 if right else -1.0], dtype=np.float32)

    def gymnasium_action(self, action):
        return int(action[0] > 0)


TASKS = {
    "cartpole_continuous": CartpoleContinuous(),
    "inverted_pendulum": InvertedPendulum(),
    "pendulum": Pendulum(),
}


def main():
    name, steps, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    task = TASKS[name]
    env = gymnasium.make(task.env_id, max_episode_steps=task.limit)
    limit = env.spec.max_episode_steps
    rng = np.random.default_rng(seed)
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        bounds = [-1.0, 1.0]
    else:
        bounds = [env.action_space.low, env.action_space.high]
    line("spec", env.observation_space.shape, [1, limit], *bounds)
    played, episode, done = 0, 0, True
    while played < steps or not done:
        if done:
            obs, _ = env.reset(seed=seed + episode)
            line("episode", task.state(env.unwrapped), obs)
            done = False
        action = task.action(rng, episode, obs)
        obs, reward, terminated, truncated, _ = env.step(task.gymnasium_action(action))
        line("step", action, obs, [reward, terminated, truncated])
        played += 1
        done = terminated or truncated
        episode += int(done)


if __name__ == "__main__":
    main()
