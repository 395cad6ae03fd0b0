"""Plays episodes in Gymnasium and prints every number, for comparison with our environments.

    gymnasium_rollout.py NAME STEPS SEED [NAME STEPS SEED]...

NAME is one of our environments; one after the other is played. At least STEPS steps are played, and
the last episode is played to its end where it has one. Lines of numbers, to 17 digits so that none
is lost; CUT is the limit that holds here, MAX_EPISODE_STEPS or a shorter one:

    spec OBS_DIM ACTION_DIM MAX_EPISODE_STEPS CUT ACTION_LOW... ACTION_HIGH...
    starts COUNT MEAN... STANDARD_DEVIATION... LEAST... GREATEST...   (of first observations)
    episode STATE... FIRST_OBSERVATION...
    step ACTION... OBSERVATION... REWARD TERMINATED TRUNCATED
"""

import sys

import gymnasium
import gymnasium_classic
import gymnasium_mujoco
import numpy as np

STARTS = 800


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


TASKS = {
    "inverted_pendulum": InvertedPendulum,
    **gymnasium_classic.TASKS,
    **gymnasium_mujoco.TASKS,
}


def line_of_starts(env, seed):
    env.reset(seed=seed)
    starts = np.array([env.reset()[0] for _ in range(STARTS)], dtype=np.float64)
    line("starts", [STARTS], starts.mean(0), starts.std(0), starts.min(0), starts.max(0))


def play(task, steps, seed):
    limit = task.limit or gymnasium.spec(task.env_id).max_episode_steps
    cut = getattr(task, "cut", None) or limit
    env = gymnasium.make(task.env_id, max_episode_steps=cut)
    rng = np.random.default_rng(seed)
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        numbers = getattr(task, "numbers", env.action_space.n)
        bounds = [[-1.0] * numbers, [1.0] * numbers]
    else:
        bounds = [env.action_space.low, env.action_space.high]
    line("spec", env.observation_space.shape, [len(bounds[0]), limit, cut], *bounds)
    line_of_starts(env.unwrapped, seed)
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


def main():
    for name, steps, seed in zip(*[iter(sys.argv[1:])] * 3):
        play(TASKS[name](), int(steps), int(seed))


if __name__ == "__main__":
    main()
