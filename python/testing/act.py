"""Acts with FOLDER/policy.safetensors on FOLDER/observations, in numpy: what policy_parity_test.cc
compares with. Files are raw float32: reads observations [B, observation] and sampled [B, action];
writes means, log_stds and actions (deterministic), [B, action], and log_probs [B] of `sampled`.
The policy of examples/load_and_act.py must give the same actions."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from examples.load_and_act import Policy  # noqa: E402  (after the path)
from tandem_client import SacPolicy  # noqa: E402

folder = pathlib.Path(sys.argv[1])
policy = SacPolicy((folder / "policy.safetensors").read_bytes())
rows = int(sys.argv[2])
observations = np.fromfile(folder / "observations", np.float32).reshape(rows, -1)
sampled = np.fromfile(folder / "sampled", np.float32).reshape(rows, -1)
means, log_stds = policy.distribution(observations)
for name, array in {"means": means, "log_stds": log_stds, "actions": policy.act(observations)[0],
                    "log_probs": policy.log_prob(observations, sampled)}.items():
    array.astype(np.float32).tofile(folder / name)
drawn, log_probs = policy.act(observations, np.random.default_rng(1))
np.testing.assert_allclose(policy.log_prob(observations, drawn), log_probs, rtol=1e-3, atol=1e-2)
example = Policy(folder / "policy.safetensors")
np.testing.assert_allclose([example.act(row) for row in observations],
                           policy.act(observations)[0], rtol=0, atol=1e-6)
