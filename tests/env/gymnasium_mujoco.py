"""How Gymnasium's MuJoCo tasks are played for comparison: see gymnasium_rollout.py."""

import gymnasium
import mujoco
import numpy as np

mujoco.set_mju_user_warning(lambda message: None)  # else it writes a file where it stands


class Mujoco:
    """Even episodes move gently, to last long; odd ones throw the body about until it falls.

    `cut`, where given, is a shorter limit [steps] for both sides: gentle episodes reach it.
    `gentle` and `rough` are fractions of the action range, `hold` how many steps an action of a
    rough episode lasts. `upright(obs)` is an action that keeps a body from falling, to which gentle
    ones are added.
    """

    limit = None

    def __init__(self, name, cut=None, gentle=0.1, rough=1.0, hold=1, upright=None):
        self.env_id, self.cut = name + "-v5", cut
        self.gentle, self.rough, self.hold = gentle, rough, hold
        self.upright = upright
        self.high = gymnasium.make(self.env_id).action_space.high
        self.last, self.age = None, 0

    def state(self, env):
        return np.concatenate([env.data.qpos, env.data.qvel])

    def action(self, rng, episode, obs):
        rough = episode % 2 == 1
        if self.last is None or not rough or self.age % self.hold == 0:
            scale = self.rough if rough else self.gentle
            self.last = (scale * rng.uniform(-self.high, self.high)).astype(np.float32)
        self.age += 1
        if rough or self.upright is None:
            return self.last
        return np.clip(self.upright(obs) + self.last, -self.high, self.high).astype(np.float32)

    def gymnasium_action(self, action):
        return action


def stiff_humanoid(obs):
    """Joints like springs. Without ankles it falls all the same, after 70 steps and more."""
    torque = -100 * obs[5:22] - obs[28:45]
    torque[[0, 1]] = torque[[1, 0]]  # the first two motors come in the other order
    gear = [100, 100, 100, 100, 100, 300, 200, 100, 100, 300, 200, 25, 25, 25, 25, 25, 25]
    return torque / gear


TASKS = {
    "ant": lambda: Mujoco("Ant", cut=200, hold=10),
    "half_cheetah": lambda: Mujoco("HalfCheetah", gentle=0.5),
    "hopper": lambda: Mujoco("Hopper", cut=200, gentle=0.05,
                             upright=lambda obs: -obs[2:5] - 0.1 * obs[-3:]),
    "humanoid": lambda: Mujoco("Humanoid", cut=60, gentle=0.01, upright=stiff_humanoid),
    "inverted_double_pendulum": lambda: Mujoco("InvertedDoublePendulum", cut=8),
    "pusher": lambda: Mujoco("Pusher", gentle=0.5, hold=5),
    "reacher": lambda: Mujoco("Reacher", gentle=0.5, hold=5),
    "swimmer": lambda: Mujoco("Swimmer", gentle=0.5, hold=5),
    "walker2d": lambda: Mujoco("Walker2d", cut=200, gentle=0.05,
                               upright=lambda obs: -3 * obs[2:8] - 0.03 * obs[-6:]),
}
