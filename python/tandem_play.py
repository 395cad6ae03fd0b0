"""One environment to play episodes in: Gymnasium's, one of a server, or one of Tandem's own, with
observations and actions as the flat rows that policies see."""

from __future__ import annotations

import json
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
from tandem_env import Leaf, data, decode, encode

SERVER_START_S = 30.0
CONNECT_S = 10.0
REPLY_S = 60.0  # of a step or a reset
FRAME = (320, 240)  # size unless asked otherwise, of environments that have none


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
            self._open(arguments)
        except BaseException:
            self._channel.close()
            raise

    def _open(self, arguments: dict) -> None:
        import grpc

        try:
            grpc.channel_ready_future(self._channel).result(CONNECT_S)
        except grpc.FutureTimeoutError:
            raise Unusable(f"no server answers at {self._address}") from None
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
