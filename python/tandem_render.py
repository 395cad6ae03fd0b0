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
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tandem_env
from tandem_env import Leaf, data, decode, encode, integer

SERVER_START_S = 30.0
CONNECT_S = 10.0
REPLY_S = 60.0  # of a step or a reset
PROBE_S = 90.0  # of the first picture: a library may have to compile its shaders
POLICY_S = 10.0  # of the first snapshot
MOST_FRAMES = 600  # kept of an episode for a GIF; of more every second goes, again and again
FRAME, PLOT = (320, 240), (800, 600)  # sizes unless asked otherwise, of environments that have none
MOST_RATE = 25.0  # pictures a second unless asked otherwise
CHECKPOINT = "state/policy_trainer/checkpoint.safetensors"  # of a run's folder
SOCKET = "sock/policy_trainer.sock"  # there while the run trains


class Unusable(Exception):
    """What was asked for does not work; the message is for people."""


# --- Between environments and flat rows -----------------------------------------------------------


def flatten(leaves: Sequence[Leaf], arrays: Sequence[Any]) -> np.ndarray:
    """An observation as the learners see it, float32: a choice of n as n numbers, one of them 1."""
    parts = []
    for leaf, array in zip(leaves, arrays):
        values = np.asarray(array).reshape(-1)
        if leaf.choices:
            values = np.concatenate([np.eye(n, dtype=np.float32)[int(value) - leaf.start]
                                     for n, value in zip(leaf.choices, values)])
        parts.append(values.astype(np.float32))
    return np.concatenate(parts)


def widths(leaves: Sequence[Leaf]) -> list[int]:
    """Numbers of the flat row that belong to each leaf."""
    return [sum(leaf.choices) or int(np.prod(leaf.shape, dtype=np.int64)) for leaf in leaves]


def unflatten(leaves: Sequence[Leaf], flat: np.ndarray) -> list[np.ndarray]:
    """A flat action as the arrays of the leaves: the highest score of a choice, a binary above 0,
    and numbers within their bounds, whole where the leaf's are."""
    arrays = []
    for leaf, part in zip(leaves, np.split(flat, np.cumsum(widths(leaves))[:-1])):
        if leaf.choices:
            scores = np.split(part, np.cumsum(leaf.choices)[:-1])
            values = np.array([int(np.argmax(each)) + leaf.start for each in scores])
        elif leaf.kind == tandem_env.MULTI_BINARY:
            values = part > 0
        else:
            low, high = bounds(leaf)
            values = np.clip(part, low, high)
            values = values if leaf.dtype.kind == "f" else np.rint(values)
        arrays.append(values.astype(leaf.dtype).reshape(leaf.shape))
    return arrays


def bounds(leaf: Leaf) -> tuple[np.ndarray, np.ndarray]:
    """Of the flat row: of the numbers of a box, of scores otherwise."""
    if leaf.kind != tandem_env.BOX:
        return np.array([-1.0]), np.array([1.0])
    return np.frombuffer(leaf.low, "<f8"), np.frombuffer(leaf.high, "<f8")


def random_actions(leaves: Sequence[Leaf], seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Acts uniformly, whatever is observed."""
    rng = np.random.default_rng(seed)
    ranges = [(*bounds(leaf), width) for leaf, width in zip(leaves, widths(leaves))]
    if not all(np.isfinite(low).all() and np.isfinite(high).all() for low, high, _ in ranges):
        raise Unusable("its actions have no bounds, so that none can be drawn: give a --policy")
    return lambda observation: np.concatenate(
        [rng.uniform(low, high, width) for low, high, width in ranges]).astype(np.float32)


# --- Environments ---------------------------------------------------------------------------------


class GymEnvironment:
    """One environment of Gymnasium, in this process."""

    def __init__(self, name: str, arguments: dict, size: tuple[int, int] | None, draws: bool):
        try:
            make = tandem_env.gym_maker(name)
            options = {**arguments, **({"render_mode": "rgb_array"} if draws else {})}
            try:
                width, height = size or FRAME
                sized = {"width": width, "height": height} if draws else {}
                self._env = make(**{**sized, **options})
            except TypeError:  # one that has a size of its own
                self._env = make(**options)
        except ImportError as error:
            raise Unusable(f"{name} needs a package: {error}\n  {sys.executable} -m pip install "
                           "'gymnasium[mujoco]' (or what the line above names)") from None
        except Exception as error:  # Gymnasium's own, of many classes
            raise Unusable(f"Gymnasium does not make {name}: {error}") from None
        self.name = f"gym:{name}"
        self.observation, self.action = tandem_env.describe(self._env)[:2]
        self.rate = float(self._env.metadata.get("render_fps") or 30)
        self._read = tandem_env.reader(self._env.observation_space)
        self._build = tandem_env.builder(self._env.action_space)

    def reset(self, seed: int) -> np.ndarray:
        observation, _ = self._env.reset(seed=seed)
        return flatten(self.observation, self._read(observation))

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        native = [array.astype(leaf.native_dtype).reshape(leaf.native_shape)
                  for leaf, array in zip(self.action, unflatten(self.action, action))]
        observation, reward, terminated, truncated, _ = self._env.step(self._build(iter(native)))
        return (flatten(self.observation, self._read(observation)), float(reward),
                bool(terminated), bool(truncated))

    def render(self) -> np.ndarray:
        frame = np.asarray(self._env.render())
        if frame.ndim != 3 or frame.shape[2] != 3 or not frame.any():
            raise Unusable("it gives no picture")
        return frame.astype(np.uint8)

    def close(self) -> None:
        self._env.close()


class ServedEnvironment:
    """One environment of a server of tandem.env.v1."""

    rate = 30.0

    def __init__(self, address: str, arguments: dict):
        import grpc

        self._error = grpc.RpcError
        self._address = address
        self._channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        try:
            grpc.channel_ready_future(self._channel).result(CONNECT_S)
        except grpc.FutureTimeoutError:
            raise Unusable(f"no server answers at {address}") from None
        what = self._call("Describe", (1, tandem_env.PROTOCOL_VERSION), (2, "tandem env render"))
        self.name = data(what, 2).decode(errors="replace")
        self.observation, self.action = ([Leaf.of(raw) for raw in what.get(n, [])] for n in (3, 4))
        milliseconds = int(REPLY_S * 1000)
        opened = self._call("Open", (1, tandem_env.PROTOCOL_VERSION), (2, 1),
                            (3, json.dumps(arguments) if arguments else ""), (5, milliseconds),
                            (6, milliseconds), (7, "tandem env render"))
        self._session = data(opened, 1)
        self._step_id = 0
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._stream = self._channel.stream_stream("/tandem.env.v1.VectorEnvService/Step")(
            iter(self._requests.get, None))

    def reset(self, seed: int) -> np.ndarray:
        answer = self._ask((4, b"\x01"), (5, np.array([seed], np.uint64).tobytes()))
        return self._observation(answer, 2)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        columns = [array.tobytes() for array in unflatten(self.action, action)]
        answer = self._ask((3, columns))
        terminated, truncated = (any(data(answer, n)) for n in (4, 5))
        reward = float(np.frombuffer(data(answer, 3), "<f4")[0])
        last = terminated or truncated
        return self._observation(answer, 6 if last else 2), reward, terminated, truncated

    def close(self) -> None:
        self._requests.put(None)
        try:
            self._call("Close", (1, self._session))
        except Unusable:
            pass  # it is gone already
        self._channel.close()

    def _call(self, method: str, *fields: tuple[int, Any]) -> dict[int, list]:
        stub = self._channel.unary_unary(f"/tandem.env.v1.VectorEnvService/{method}")
        try:
            return decode(stub(encode(*fields), timeout=REPLY_S))
        except self._error as error:
            raise Unusable(f"{self._address}: {method}: {error.details()}") from None

    def _ask(self, *fields: tuple[int, Any]) -> dict[int, list]:
        self._step_id += 1
        self._requests.put(encode((1, self._session), (2, self._step_id), *fields))
        watchdog = threading.Timer(REPLY_S, self._stream.cancel)
        watchdog.start()
        try:
            answer = decode(next(self._stream))
        except (self._error, StopIteration) as error:
            raise Unusable(f"{self._address}: "
                           f"{getattr(error, 'details', lambda: 'the stream ended')()}") from None
        finally:
            watchdog.cancel()
        if any(outcome in (tandem_env.LOST, tandem_env.ABSENT) for outcome in data(answer, 7)):
            faults = [data(decode(raw), 3).decode(errors="replace") for raw in answer.get(8, [])]
            raise Unusable(f"{self._address}: the environment failed: {'; '.join(faults)}")
        return answer

    def _observation(self, answer: dict[int, list], number: int) -> np.ndarray:
        columns = answer.get(number, [])
        if [len(column) for column in columns] != [leaf.row_bytes for leaf in self.observation]:
            raise Unusable(f"{self._address}: an observation does not fit its description")
        return flatten(self.observation, [np.frombuffer(column, leaf.dtype) for column, leaf
                                          in zip(columns, self.observation)])


class BuiltInEnvironment(ServedEnvironment):
    """One of Tandem's own, served by a child process."""

    def __init__(self, name: str, program: str):
        self._folder = tempfile.TemporaryDirectory(prefix="tandem-render-")
        address = f"unix:{self._folder.name}/env.sock"
        with open(f"{self._folder.name}/log", "wb") as log:
            self._server = subprocess.Popen([program, "env", "serve", name, "--listen", address],
                                            stdout=log, stderr=log)
        try:
            self._await_listening(pathlib.Path(self._folder.name, "env.sock"))
            super().__init__(address, {})
        except Unusable as error:
            log = pathlib.Path(self._folder.name, "log").read_text(errors="replace").strip()
            self._end()
            raise Unusable(f"{error}\n{log}".strip()) from None

    def close(self) -> None:
        super().close()
        self._end()

    def _await_listening(self, socket: pathlib.Path) -> None:
        end = time.monotonic() + SERVER_START_S
        while not socket.exists():
            if self._server.poll() is not None or time.monotonic() > end:
                raise Unusable("the environment's server does not start")
            time.sleep(0.02)

    def _end(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._folder.cleanup()


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


def snapshot_of(where: str) -> tuple[bytes, str]:
    """The newest policy of a run's folder, a file, or the address of a policy_trainer; and whence."""
    from tandem_client import Watcher

    path = pathlib.Path(where)
    for folder in (path, pathlib.Path("runs", where)):
        if not folder.is_dir():
            continue
        live = (folder / SOCKET).resolve()
        if live.is_socket():
            watcher = Watcher(f"unix:{live}", "policy", "render")
            newest = watcher.wait_other(None, POLICY_S)
            watcher.close()
            if newest is not None:
                return newest.data, f"{folder}, which trains"
        if (folder / CHECKPOINT).is_file():
            return (folder / CHECKPOINT).read_bytes(), str(folder / CHECKPOINT)
        raise Unusable(f"{folder} holds no policy: expected {CHECKPOINT}, which a run writes "
                       "every runtime.checkpoint_seconds and at its end")
    if path.is_file():
        return path.read_bytes(), where
    if ":" not in where:
        raise Unusable(f"{where} is no folder of a run, no file and no address")
    watcher = Watcher(where, "policy", "render")
    newest = watcher.wait_other(None, POLICY_S)
    watcher.close()
    if newest is None:
        raise Unusable(f"no policy came from {where} within {POLICY_S:.0f} s")
    return newest.data, where


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
    """One episode of at most `limit` steps (0: to its end), at most `most` frames of it (0: none) at
    about `rate` a second of the environment's time, and their real rate."""
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
        shape = options.size or PLOT
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


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tandem env render",
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("environment", help="a built-in name, gym:ID, host:port or unix:PATH")
    parser.add_argument("--policy", help="folder of a run, file, or address of a policy_trainer")
    parser.add_argument("--out", default="episode.gif", help="FILE.gif or FILE.png")
    parser.add_argument("--episodes", type=int, default=1, help="how many, >= 1")
    parser.add_argument("--steps", type=int, default=0, help="at most, of an episode; 0: its end")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--size", type=size_of, help="WIDTHxHEIGHT [pixels]")
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
