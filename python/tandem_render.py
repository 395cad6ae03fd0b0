"""Plays episodes by a policy and shows them as a GIF or PNG: what `tandem env render` runs.

    python -m tandem_render gym:Hopper-v5 --policy runs/hopper-s0 --out hopper.gif

Gymnasium's environments draw themselves (MuJoCo's without a screen, through EGL or OSMesa). What
cannot be drawn, here or at all, is plotted instead: observations, actions, rewards and the return
over the steps, and the path where a map of the plane is known. Other environments are stepped
through their server, which speaks proto/tandem/env/v1/env.proto.

Needs numpy, grpcio and pillow, and gymnasium for its environments.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tandem_play import (BuiltInEnvironment, GymEnvironment, ServedEnvironment, Unusable,
                         random_actions, unflatten, widths)

PROBE_S = 90.0  # of the first picture: a library may have to compile its shaders
POLICY_S = 10.0  # of the first snapshot
MOST_FRAMES = 600  # kept of an episode for a GIF; of more every second goes, again and again
PLOT, LEAST_PLOT = (800, 600), (320, 240)  # sizes: unless asked otherwise, and at least
MOST_RATE = 25.0  # pictures a second unless asked otherwise
CHECKPOINT = "state/policy_trainer/checkpoint.safetensors"  # of a run's folder
SOCKET = "sock/policy_trainer.sock"  # there while the run trains


# --- Whether this machine draws -------------------------------------------------------------------


def why_not_drawn(name: str, arguments: dict, size: tuple[int, int] | None) -> str:
    """Empty where Gymnasium's environment draws itself here; else why it does not. Sets MUJOCO_GL
    to what works. It is tried in a process of its own, which a broken library may take down."""
    chosen = os.environ.get("MUJOCO_GL")
    reasons: dict[str, str] = {}  # why not -> with which library first
    for library in [chosen] if chosen else ["egl", "osmesa"]:
        environment = {**os.environ, "MUJOCO_GL": library, "SDL_VIDEODRIVER": "dummy"}
        question = json.dumps([name, arguments, size])
        try:
            probe = subprocess.run([sys.executable, __file__, "--probe", question], timeout=PROBE_S,
                                   capture_output=True, text=True, errors="replace", check=False,
                                   env=environment)
        except subprocess.TimeoutExpired:
            reasons.setdefault(f"no picture after {PROBE_S:.0f} s", library)
            continue
        if probe.returncode == 0:
            os.environ.update(MUJOCO_GL=library, SDL_VIDEODRIVER="dummy")
            return ""
        last = (probe.stderr.strip().splitlines() or ["no word"])[-1].strip()
        if probe.returncode < 0:
            last = f"it died of signal {-probe.returncode}"
        reasons.setdefault(last, library)
    if len(reasons) == 1 and not chosen:  # it has nothing to do with the library
        return next(iter(reasons))
    return "; ".join(f"with {library}: {why}" for why, library in reasons.items())


def probe(question: str) -> None:
    """Draws one picture, or ends with the reason in the last line of stderr."""
    name, arguments, size = json.loads(question)
    try:
        env = GymEnvironment(name, arguments, size, draws=True)
        env.reset(0)
        env.render()
    except Exception as error:  # whatever a graphics library raises
        words = " ".join(str(error).split()) or type(error).__name__
        print(words, file=sys.stderr, flush=True)
        os._exit(1)  # a broken library may not let us end
    os._exit(0)


# --- Policies -------------------------------------------------------------------------------------


def newest_from(address: str) -> bytes | None:
    """The newest policy of a policy_trainer; None where none comes in time."""
    from tandem_client import Watcher

    watcher = Watcher(address, "policy", "render")
    try:
        newest = watcher.wait_other(None, POLICY_S)
        return newest.data if newest is not None else None
    finally:
        watcher.close()


def snapshot_of(where: str) -> tuple[bytes, str]:
    """The newest policy of a run's folder, a file or a policy_trainer's address; and whence."""
    path = pathlib.Path(where)
    for folder in (path, pathlib.Path("runs", where)):
        if not folder.is_dir():
            continue
        live = (folder / SOCKET).resolve()
        if live.is_socket():
            newest = newest_from(f"unix:{live}")
            if newest is not None:
                return newest, f"{folder}, which trains"
        if (folder / CHECKPOINT).is_file():
            return (folder / CHECKPOINT).read_bytes(), str(folder / CHECKPOINT)
        raise Unusable(f"{folder} holds no policy: expected {CHECKPOINT}, which a run writes "
                       "every runtime.checkpoint_seconds and at its end")
    if path.is_file():
        return path.read_bytes(), where
    if ":" not in where:
        raise Unusable(f"{where} is no folder of a run, no file and no address")
    newest = newest_from(where)
    if newest is None:
        raise Unusable(f"no policy came from {where} within {POLICY_S:.0f} s")
    return newest, where


def load_policy(where: str, env: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Acts as the policy would without noise."""
    from tandem_client import SacPolicy

    raw, origin = snapshot_of(where)
    try:
        policy = SacPolicy(raw)
        sizes = [int(policy.metadata[name]) for name in ("obs_dim", "action_dim")]
    except (ValueError, KeyError) as error:
        raise Unusable(f"{origin} is no policy: {error}") from None
    here = [sum(widths(leaves)) for leaves in (env.observation, env.action)]
    if sizes != here:
        raise Unusable(f"the policy of {policy.metadata.get('environment')} takes {sizes[0]} "
                       f"numbers and gives {sizes[1]}; {env.name} gives {here[0]} and takes "
                       f"{here[1]}")
    print(f"policy: {origin}, after {policy.updates} updates", flush=True)
    return lambda observation: policy.act(observation[None])[0][0]


# --- Playing --------------------------------------------------------------------------------------


def play(env: Any, act: Callable[[np.ndarray], np.ndarray], seed: int, limit: int, rate: float,
         most: int) -> tuple[Any, list[np.ndarray], float]:
    """One episode of at most `limit` steps (0: to its end), at most `most` frames of it (0: none),
    about `rate` for each second of the environment's time, and their real rate."""
    from tandem_plot import Episode

    every = max(1, round(env.rate / rate))
    observations, actions, rewards, frames = [env.reset(seed)], [], [], []
    if most:
        frames.append(env.render())
    end = "cut off"
    while end == "cut off" and (limit == 0 or len(rewards) < limit):
        action = act(observations[-1])
        observation, reward, terminated, truncated = env.step(action)
        observations.append(observation)
        actions.append(np.concatenate([np.asarray(array, np.float64).reshape(-1)
                                       for array in unflatten(env.action, action)]))
        rewards.append(reward)
        end = "terminated" if terminated else "truncated" if truncated else end
        if most and (len(rewards) % every == 0 or end != "cut off"):
            frames.append(env.render())
        if len(frames) > most > 0:
            frames, every = frames[::2], 2 * every
    return (Episode(np.array(observations), np.array(actions), np.array(rewards), end), frames,
            env.rate / every)


def opened(options: argparse.Namespace) -> tuple[Any, str]:
    """The environment, and why it is plotted instead of drawn: empty where it is drawn."""
    gym = options.environment.removeprefix("gym:") if options.environment.startswith(
        "gym:") else options.twin
    if options.environment.startswith("dm_env_rpc:"):
        raise Unusable("episodes of dm_env_rpc's servers cannot be shown")
    if not gym and ":" in options.environment:
        env: Any = ServedEnvironment(options.environment, options.arguments)
        return env, "a server gives no pictures"
    if not gym:
        return (BuiltInEnvironment(options.environment, options.program),
                f"nothing draws {options.environment}")
    reason = "a plot was asked for" if options.plot else why_not_drawn(gym, options.arguments,
                                                                        options.size)
    if reason:
        os.environ["MUJOCO_GL"] = "disable"  # else MuJoCo does not load where the library is broken
    try:
        return GymEnvironment(gym, options.arguments, options.size, draws=not reason), reason
    except Unusable:
        if not options.twin:
            raise
        return BuiltInEnvironment(options.environment, options.program), reason


def render(options: argparse.Namespace) -> None:
    """Plays and writes the file."""
    try:
        from PIL import Image

        import tandem_plot
    except ImportError:
        raise Unusable(f"pictures need pillow: {sys.executable} -m pip install pillow") from None
    env, reason = opened(options)
    try:
        if options.policy:
            act = load_policy(options.policy, env)
        else:
            act = random_actions(env.action, options.seed)
            print("no --policy: random actions", flush=True)
        rows, rate = [], options.fps or MOST_RATE
        moves = options.out.lower().endswith(".gif")
        most = 0 if reason else MOST_FRAMES if moves else 2 * tandem_plot.STRIP
        field = tandem_plot.Field(**options.map) if options.map else None
        shape = tuple(np.maximum(options.size or PLOT, LEAST_PLOT).tolist())
        name = env.name if ":" in options.environment else options.environment
        for number in range(options.episodes):
            episode, frames, drawn = play(env, act, options.seed + number, options.steps,
                                          options.fps or min(MOST_RATE, env.rate), most)
            print(f"episode {number + 1}: return {episode.total:.6g} in {len(episode.rewards)} "
                  f"steps, {episode.end}", flush=True)
            title = f"{name}  episode {number + 1}"
            if not reason:
                pictures = [Image.fromarray(frame) for frame in frames]
                rows.append([picture.resize(options.size) if options.size else picture
                             for picture in pictures])
                rate = drawn
            elif moves:
                rows.append(tandem_plot.frames_of(episode, title, shape, field))
            else:
                rows.append([tandem_plot.plot(episode, title, shape, field)])
        tandem_plot.save(options.out, rows, rate)
    finally:
        env.close()
    print(f"{options.out}: " + (f"a plot ({reason})" if reason else
                                f"drawn by {env.name.removeprefix('gym:')}"), flush=True)


def size_of(text: str) -> tuple[int, int]:
    """"640x480" as numbers."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 64 <= int(width) <= 4096
            and 64 <= int(height) <= 4096):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, 64 to 4096 each, got {text}")
    return int(width), int(height)


class Parser(argparse.ArgumentParser):
    """Tells of a mistake in a line, as `tandem` does; its usage is that of `tandem env render`."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"tandem: {message}; see tandem env render --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = Parser(prog="tandem env render", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("environment", help="a built-in name, gym:ID, host:port or unix:PATH")
    parser.add_argument("--policy", help="folder of a run, file, or address of a policy_trainer")
    parser.add_argument("--out", default="episode.gif", help="FILE.gif or FILE.png")
    parser.add_argument("--episodes", type=int, default=1, help="how many, >= 1")
    parser.add_argument("--steps", type=int, default=0, help="at most, of an episode; 0: its end")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--size", type=size_of, help="WIDTHxHEIGHT [pixels]; plots: >= 320x240")
    parser.add_argument("--fps", type=float, default=0, help="pictures a second; 0: at most 25")
    parser.add_argument("--plot", action="store_true", help="plot also what can be drawn")
    parser.add_argument("--arguments", type=json.loads, default={}, help="the maker's, as JSON")
    parser.add_argument("--twin", default="", help="Gymnasium's id of a built-in environment")
    parser.add_argument("--map", type=json.loads, help="of the plane, a JSON object (see Field)")
    parser.add_argument("--program", default="tandem", help="that serves built-in environments")
    options = parser.parse_args(argv)
    if not options.out.lower().endswith((".gif", ".png")):
        parser.error(f"--out: expected FILE.gif or FILE.png, got {options.out}")
    if not pathlib.Path(options.out).absolute().parent.is_dir():
        parser.error(f"--out: there is no folder {pathlib.Path(options.out).parent}")
    try:
        render(options)
    except (Unusable, OSError) as error:
        print(f"tandem: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        probe(sys.argv[2])
    sys.exit(main())
