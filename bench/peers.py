#!/usr/bin/env python3
"""mbrl-lib's three pieces of MBPO beside Tandem's, with the same sizes, on one thread, in one run.

    ./dev bench peers                # installs mbrl-lib into .cache/peers, once, then measures
    ./dev bench peers --runs 15 --json

The pieces are mbrl-lib's own classes: a SAC update (third_party/pytorch_sac_pranz24), a gradient step
of the Gaussian ensemble (models.GaussianMLP in OneDTransitionRewardModel, with its normaliser) and the
rollout of algorithms/mbpo.py into a replay buffer. The sizes are those of bench_learning: observation
4, action 1, policy 2 x 256, 7 members of 4 x 200, batches of 256, 100,000 rollouts of one step. It uses
the torch of .venv, so both stand on the same library. Times are CPU time of the process, medians; each
of ours is measured right after each of theirs. The ratio is our time over theirs: lower is better.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(ROOT, ".cache", "peers")
PYTHON = os.path.join(PEERS, "bin", "python")
OBS, ACTION, BATCH, STEPS = 4, 1, 256, 100_000


# ---- installation ------------------------------------------------------------------------------------

def run(*command):
    print("peers:", " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode != 0:
        sys.exit(f"peers: error: that command failed with status {done.returncode}")


def install(name="peers", dependencies=False):
    """The Python of .cache/NAME, a virtual environment of what packages/NAME.txt lists that sees .venv's packages behind
    its own."""
    folder = os.path.join(ROOT, ".cache", name)
    python = os.path.join(folder, "bin", "python")
    stamp = os.path.join(folder, "installed.txt")
    wanted = os.path.join(ROOT, "packages", f"{name}.txt")
    with open(wanted, encoding="utf-8") as file:
        text = file.read()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == text:
                return python
    main_python = os.path.join(ROOT, ".venv", "bin", "python")
    run(main_python, "-m", "venv", "--clear", folder)
    run(python, "-m", "pip", "install", "--quiet", *([] if dependencies else ["--no-deps"]), "-r", wanted)
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    ours, theirs = (subprocess.check_output([each, "-c", site], text=True).strip() for each in (main_python, python))
    with open(os.path.join(theirs, "behind.pth"), "w", encoding="utf-8") as file:
        file.write(ours + "\n")
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(text)
    return python


# ---- mbrl-lib's pieces, in the peers' environment --------------------------------------------------------

def spaces():
    import gymnasium
    import numpy as np
    observation = gymnasium.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action = gymnasium.spaces.Box(-3.0, 3.0, (ACTION,), np.float32)
    return observation, action


def buffer_of(rows, seed):
    import mbrl.util
    import numpy as np
    rng = np.random.default_rng(seed)
    buffer = mbrl.util.ReplayBuffer(rows, (OBS,), (ACTION,), rng=rng)
    none = np.zeros(rows, dtype=bool)
    buffer.add_batch(rng.normal(size=(rows, OBS)), rng.uniform(-3, 3, (rows, ACTION)),
                     rng.normal(size=(rows, OBS)), rng.normal(size=rows), none, none)
    return buffer


def make_sac():
    import omegaconf
    from mbrl.third_party.pytorch_sac_pranz24.sac import SAC
    _, action = spaces()
    args = omegaconf.OmegaConf.create({
        "gamma": 0.99, "tau": 0.005, "alpha": 0.2, "policy": "Gaussian", "target_update_interval": 1,
        "automatic_entropy_tuning": True, "target_entropy": -1, "hidden_size": 256, "device": "cpu",
        "lr": 3e-4})
    return SAC(OBS, action, args)


def make_model():
    import omegaconf
    from mbrl.models import GaussianMLP, OneDTransitionRewardModel
    silu = omegaconf.OmegaConf.create({"_target_": "torch.nn.SiLU"})
    ensemble = GaussianMLP(OBS + ACTION, OBS + 1, "cpu", num_layers=4, ensemble_size=7, hid_size=200,
                           propagation_method="random_model", activation_fn_cfg=silu)
    ensemble.set_elite([0, 1, 2, 3, 4])
    return OneDTransitionRewardModel(ensemble, target_is_delta=True, normalize=True,
                                     normalize_double_precision=True, learned_rewards=True,
                                     num_elites=5)


def sac_update():
    agent, buffer = make_sac(), buffer_of(STEPS, 1)
    step = iter(range(10**9))
    return lambda: agent.update_parameters(buffer, BATCH, next(step), reverse_mask=True), 10


def ensemble_update():
    import torch
    from mbrl.util.replay_buffer import BootstrapIterator
    model, buffer = make_model(), buffer_of(BATCH, 1)
    model.update_normalizer(buffer.get_all())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    model.train()
    batches = BootstrapIterator(buffer.get_all(), BATCH, 7)

    def step():  # one epoch of one batch, as models.ModelTrainer takes it
        for batch in batches:
            model.update(batch, optimiser)
    return step, 4


def imagined_step():
    import types
    import torch
    from mbrl.algorithms.mbpo import rollout_model_and_populate_sac_buffer
    from mbrl.models import ModelEnv
    from mbrl.planning.sac_wrapper import SACAgent
    observation, action = spaces()
    env = types.SimpleNamespace(observation_space=observation, action_space=action)
    model, agent, real = make_model(), SACAgent(make_sac()), buffer_of(1000, 1)
    model.update_normalizer(real.get_all())
    generator = torch.Generator()
    generator.manual_seed(1)
    model_env = ModelEnv(env, model, lambda act, next_obs: torch.zeros(len(next_obs), 1, dtype=bool),
                         None, generator=generator)
    pool = buffer_of(STEPS, 2)
    return lambda: rollout_model_and_populate_sac_buffer(model_env, real, agent, pool, True, 1,
                                                         STEPS), 1


PIECES = {"sac_update": (sac_update, "ms", 1e3), "ensemble_update": (ensemble_update, "ms", 1e3),
          "imagined_step": (imagined_step, "us", 1e6 / STEPS)}


def measure(names, runs):
    import torch
    torch.set_num_threads(1)
    for name in names:
        make, unit, scale = PIECES[name]
        work, repeat = make()
        work()
        seconds = []
        for _ in range(runs if repeat > 1 else max(3, runs // 3)):
            start = time.process_time()
            for _ in range(repeat):
                work()
            seconds.append((time.process_time() - start) / repeat)
        print(json.dumps({"peer": "mbrl-lib", "case": name, "unit": unit,
                          "value": statistics.median(seconds) * scale}), flush=True)


# ---- beside ours ---------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="samples of each piece; default: 9")
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    parser.add_argument("--measure", nargs="*", metavar="CASE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:  # in the peers' environment
        return measure(args.measure or PIECES, args.runs)
    install()
    binary = os.path.join(ROOT, "build/release/bin/bench_learning")
    if not os.path.exists(binary):
        run(os.path.join(ROOT, "dev"), "build", "release", "bench_learning")
    if not args.json:
        print(f"{'case':<16} {'Tandem':>12} {'mbrl-lib':>12} {'ratio':>7}")
    for name in PIECES:
        script = os.path.abspath(__file__)
        theirs = json.loads(subprocess.check_output(
            [PYTHON, script, "--runs", str(args.runs), "--measure", name], text=True))
        ours = json.loads(subprocess.check_output(
            [binary, "--json", "--exact", "--case", name, "--runs", str(args.runs)],
            text=True))
        ratio = ours["value"] / theirs["value"]
        if args.json:
            print(json.dumps({**ours, "bench": "peers", "reference": "mbrl-lib",
                              "reference_value": theirs["value"], "ratio": round(ratio, 3)}))
        else:
            print(f"{name:<16} {ours['value']:>9.3f} {ours['unit']} {theirs['value']:>9.3f} "
                  f"{theirs['unit']} {ratio:>7.2f}", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
