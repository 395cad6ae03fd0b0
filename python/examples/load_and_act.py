"""Loads the policy that a run has learned, and acts: what a robot needs once training is over.

    .venv/bin/python python/examples/load_and_act.py runs/inverted_pendulum-s0 0.01 0 0 0

prints the action for that observation. In a program of your own:

    policy = Policy("runs/inverted_pendulum-s0")
    action = policy.act(observation)

Needs numpy and safetensors alone, no part of Tandem: copy it where you like. The file is weights
and text; nothing in it can run code. docs/policies.md says what it holds.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from safetensors import SafetensorError, safe_open

CHECKPOINT = "state/policy_trainer/checkpoint.safetensors"  # of a run's folder


class Policy:
    """The learned actor without its noise. Immutable, thread-safe."""

    def __init__(self, where: str | pathlib.Path):
        """`where`: the folder of a run, or a file. ValueError where that is no policy, OSError
        where there is none."""
        path = pathlib.Path(where)
        path = path / CHECKPOINT if path.is_dir() else path
        try:
            with safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("kind") != "sac":
                    raise ValueError(f"{path}: expected a policy of kind sac, got "
                                     f"{metadata.get('kind')!r}")
                layers = len(metadata["hidden"].split(",")) + 1
                self._layers = [(file.get_tensor(f"actor.w{i}"), file.get_tensor(f"actor.b{i}"))
                                for i in range(layers)]
                low, high = file.get_tensor("action_low"), file.get_tensor("action_high")
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path}: {error}") from None
        self.environment = metadata.get("environment", "")
        self.updates = int(metadata.get("policy_updates", 0))
        self.observation_size = self._layers[0][0].shape[0]
        self._centre, self._half = (low + high) / 2, (high - low) / 2

    def act(self, observation) -> np.ndarray:
        """The action [action], in the environment's units, for one observation [observation]."""
        h = np.asarray(observation, np.float32).reshape(-1)
        if h.size != self.observation_size or not np.isfinite(h).all():
            raise ValueError(f"expected {self.observation_size} finite numbers, got {h}")
        for weight, bias in self._layers[:-1]:
            h = np.maximum(h @ weight + bias, 0)
        weight, bias = self._layers[-1]
        mean, _ = np.split(h @ weight + bias, 2)  # the other half is how much it explores
        return self._centre + self._half * np.tanh(mean)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("policy", help="folder of a run, or a checkpoint.safetensors")
    parser.add_argument("observation", type=float, nargs="+", help="its numbers")
    options = parser.parse_args()
    try:
        print(*Policy(options.policy).act(options.observation))
    except (ValueError, OSError) as problem:
        raise SystemExit(f"load_and_act: {problem}") from None
