"""Serves Python environments to Tandem's actors: one file that needs numpy and grpcio alone.
Python 3.10 or newer.

    python -m tandem_env --gym Hopper-v5 --num-envs 16 --listen unix:/tmp/hopper.sock

or, for an environment of your own with Gymnasium's five methods (reset, step, close,
observation_space, action_space):

    import tandem_env
    tandem_env.serve(MyEnvironment, num_envs=16, address="localhost:7000")

The protocol is proto/tandem/env/v1/env.proto: many environments in one message, arrays as columns.
The few messages are written by hand here, so that neither protobuf nor generated code is needed.
There is no authentication: listen on a unix socket, on localhost, or in a network of your own.

Beside the unix socket PATH listens a second one, PATH.frames, on which the same requests and
answers go as frames: a client on the same machine steps there without gRPC, which saves both sides
most of what a step costs beyond the environments' own time. Everything else stays with gRPC.

Spaces: Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of them, told apart by the
names of their classes, so that Gymnasium need not be installed. Types that the wire lacks become
the next wider one (bool: uint8 from 0 to 1; float16: float32; int16 and uint16: int32; uint32:
int64); MultiDiscrete and MultiBinary of several dimensions are sent flat. Everything else
is refused.

An episode that ends is reset in the same step. An environment that raises, or gives numbers that
are not finite or of a wrong type or shape, loses its episode and is made anew: at once, and where
that fails again with growing pauses. The others go on.

With workers=0 the environments run in this process, which is fastest, but one that hangs or crashes
takes all with it. With workers=K every session has K processes (forked from one that was forked
before gRPC started, so environments need not be importable); one that dies or hangs is killed and
started anew, and only its environments are lost.

Without workers a session's environments may be called from one thread now and from another later;
what is bound to one thread, such as an OpenGL context, needs workers=1.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import faulthandler
import importlib
import json
import logging
import math
import mmap
import os
import pickle
import secrets
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

LOG = logging.getLogger("tandem_env")
VERSION = "1.0"
PROTOCOL_VERSION = 1
LISTEN = "TANDEM_ENV_LISTEN"  # environment variable with the address to listen on
ARGUMENTS = "TANDEM_ENV_ARGUMENTS"  # and one with arguments for every maker, as JSON
MAX_ENVS = 65536
MAX_MESSAGE = 4096  # bytes of a fault's message
MAX_PAUSE_S = 30.0  # between two restarts of one environment
HEALTHY_STEPS = 100  # so many steps after a restart what failed before is forgotten
MAX_SESSIONS = 256  # each holds a thread while its stream is open
WORKER_FILES = 4  # that the zygote hands to a worker
SPIN_S = 1e-4  # how long a server looks for the next request before it sleeps
FRAMES = ".frames"  # what follows the unix socket's path in that of the frames
FRAME = struct.Struct("<4sII")  # FRAME_MAGIC, a gRPC status code, bytes of the message that follows
FRAME_MAGIC = b"TEF1"
# Of an environment, also asyncio's CancelledError and the panics of Rust's libraries; a signal's
# KeyboardInterrupt comes to the main thread alone, which steps none.
FAILURES = BaseException
SAID: set[str] = set()  # kinds of MuJoCo's warnings that were logged

# env.proto's enums.
BOX, DISCRETE, MULTI_DISCRETE, MULTI_BINARY = 1, 2, 3, 4
STEPPED, LOST, ABSENT, STARTED = 0, 1, 2, 3
EXCEPTION, CRASHED, HUNG, NOT_FINITE, WRONG_SHAPE = 1, 2, 3, 4, 5
ELEMENT_TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 4, "int8": 5, "uint8": 6}
WIDER = {"bool": "uint8", "float16": "float32", "int16": "int32", "uint16": "int32",
         "uint32": "int64"}


# --- Protobuf's wire format -----------------------------------------------------------------------


def varint(value: int) -> bytes:
    """An unsigned varint; negative numbers as 64-bit two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def prefix(number: int, length: int) -> bytes:
    """What stands before `length` bytes of the field `number`."""
    return varint(number << 3 | 2) + varint(length)


def encode(*fields: tuple[int, Any]) -> bytes:
    """A message of (number, value). int and bool become varints, float a double, str and bytes
    themselves; a list repeats bytes, or packs integers. Zero and empty values are left out."""
    out = []
    for number, value in fields:
        if isinstance(value, (list, tuple)):
            if value and isinstance(value[0], int):
                packed = b"".join(map(varint, value))
                out += (prefix(number, len(packed)), packed)
            else:
                for item in value:
                    out += (prefix(number, len(item)), item)
        elif isinstance(value, float):
            if value != 0:
                out += (varint(number << 3 | 1), np.float64(value).tobytes())
        elif isinstance(value, int):
            if value:
                out += (varint(number << 3), varint(value))
        elif value:
            data = value.encode() if isinstance(value, str) else value
            out += (prefix(number, len(data)), data)
    return b"".join(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("a varint is too long")


def decode(data: bytes) -> dict[int, list]:
    """The fields of a message by number: varints as int, all else as bytes (numbers little-endian).
    ValueError for bytes that are no message."""
    fields: dict[int, list] = {}
    at, end = 0, len(data)
    try:
        while at < end:
            key = data[at]  # one byte, in most fields; so is a length
            at += 1
            if key > 0x7F:
                key, at = _read_varint(data, at - 1)
            kind = key & 7
            if kind == 0:
                value, at = _read_varint(data, at)
            else:
                if kind == 2:
                    length = data[at]
                    at += 1
                    if length > 0x7F:
                        length, at = _read_varint(data, at - 1)
                elif kind in (1, 5):
                    length = 8 if kind == 1 else 4
                else:
                    raise ValueError(f"wire type {kind} is unknown")
                value = data[at:at + length]
                at += length
                if at > end:
                    raise ValueError("a field is cut off")
            fields.setdefault(key >> 3, []).append(value)
    except IndexError:
        raise ValueError("a message is cut off") from None
    return fields


def integer(fields: dict[int, list], number: int) -> int:
    """The last value of an int64 field, 0 where it is absent."""
    value = fields.get(number, (0,))[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {number} is not an integer")
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


def integers(fields: dict[int, list], number: int) -> list[int]:
    """The values of a repeated int64 field, packed or not."""
    out = []
    for value in fields.get(number, ()):
        packed, at = (varint(value), 0) if isinstance(value, int) else (value, 0)
        try:
            while at < len(packed):
                one, at = _read_varint(packed, at)
                out.append(one - (1 << 64) if one >> 63 else one)
        except IndexError:
            raise ValueError(f"field {number} is cut off") from None
    return out


def data(fields: dict[int, list], number: int) -> bytes:
    """The last value of a bytes field, empty where it is absent."""
    value = fields.get(number, (b"",))[-1]
    if isinstance(value, int):
        raise ValueError(f"field {number} is not a string")
    return value


# --- Spaces ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One array of a space: what env.proto's SpaceLeaf says, and how the environment has it."""

    name: str
    kind: int
    dtype: np.dtype  # on the wire
    shape: tuple[int, ...]  # on the wire
    native_dtype: np.dtype
    native_shape: tuple[int, ...]
    low: bytes = b""
    high: bytes = b""
    choices: tuple[int, ...] = ()
    start: int = 0

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def message(self) -> bytes:
        return encode((1, self.name), (2, self.kind), (3, ELEMENT_TYPES[self.dtype.name]),
                      (4, self.shape), (5, self.low), (6, self.high), (7, self.choices),
                      (8, self.start))

    @classmethod
    def of(cls, raw: bytes) -> Leaf:
        """A leaf that another server describes. ValueError for one that makes no sense."""
        fields = decode(raw)
        types = {number: np.dtype(name) for name, number in ELEMENT_TYPES.items()}
        kind, dtype = integer(fields, 2), types.get(integer(fields, 3))
        shape, choices = tuple(integers(fields, 4)), tuple(integers(fields, 7))
        if not BOX <= kind <= MULTI_BINARY or dtype is None or any(n < 1 for n in shape + choices):
            raise ValueError(f"a leaf of kind {kind}, type {dtype}, shape {shape}")
        return cls(data(fields, 1).decode(errors="replace"), kind, dtype, shape, dtype, shape,
                   data(fields, 5), data(fields, 6), choices, integer(fields, 8))


def _is(space: Any, name: str) -> bool:
    return any(base.__name__ == name for base in type(space).__mro__)


def _children(space: Any) -> list[tuple[Any, Any]] | None:
    """(key, space) of a Dict or Tuple, None of any other."""
    if _is(space, "Dict"):
        return list(space.spaces.items())
    if _is(space, "Tuple"):
        return list(enumerate(space.spaces))
    return None


def _bounds(space: Any, shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """The lower and the upper bounds of a Box: one of each where all are alike, else one of each
    for every element."""
    full = [np.broadcast_to(np.asarray(bound, "<f8"), shape).reshape(-1)
            for bound in (space.low, space.high)]
    if all((side == side[0]).all() for side in full):
        full = [side[:1] for side in full]
    return full[0].tobytes(), full[1].tobytes()


def _leaf(space: Any, name: str, use: str) -> Leaf:
    where = f"the {use} space" + (f"'s leaf '{name}'" if name else "")
    native = np.dtype(getattr(space, "dtype", None) or np.int64)
    dtype = np.dtype(WIDER.get(native.name, native.name))
    if dtype.name not in ELEMENT_TYPES:
        raise ValueError(f"{where} holds {native.name}; served are {', '.join(ELEMENT_TYPES)}")
    shape = tuple(int(n) for n in (getattr(space, "shape", None) or ()))
    if any(n < 1 for n in shape):
        raise ValueError(f"{where} has the empty shape {shape}")
    if _is(space, "Box"):
        return Leaf(name, BOX, dtype, shape, native, shape, *_bounds(space, shape))
    if _is(space, "Discrete"):
        return Leaf(name, DISCRETE, dtype, (), native, (), choices=(int(space.n),),
                    start=int(getattr(space, "start", 0)))
    if _is(space, "MultiDiscrete"):
        if np.any(np.asarray(getattr(space, "start", 0)) != 0):
            raise ValueError(f"{where} is a MultiDiscrete that does not start at 0")
        choices = tuple(int(n) for n in np.asarray(space.nvec).reshape(-1))
        shape = np.asarray(space.nvec).shape
        return Leaf(name, MULTI_DISCRETE, dtype, (len(choices),), native, shape, choices=choices)
    if _is(space, "MultiBinary"):
        shape = shape or (int(space.n),)
        return Leaf(name, MULTI_BINARY, dtype, (math.prod(shape),), native, shape)
    raise ValueError(f"{where} is a {type(space).__name__}; served are Box, Discrete, "
                     "MultiDiscrete, MultiBinary, Dict and Tuple")


def leaves_of(space: Any, use: str) -> list[Leaf]:
    """The leaves of a space, in order. ValueError names a leaf that cannot be served. `use`:
    "observation" or "action", for messages."""
    def walk(part: Any, path: str) -> Iterator[Leaf]:
        children = _children(part)
        if children is None:
            yield _leaf(part, path, use)
        else:
            for key, child in children:
                yield from walk(child, f"{path}.{key}" if path else str(key))

    leaves = list(walk(space, ""))
    names = [leaf.name for leaf in leaves]
    if not leaves or len(set(names)) < len(names):
        raise ValueError(f"the {use} space has no leaf, or two of one name: {names}")
    return leaves


def reader(space: Any) -> Callable[[Any], list]:
    """value of a space -> its arrays, in the order of the leaves."""
    children = _children(space)
    if children is None:
        return lambda value: [value]
    parts = [(key, reader(child)) for key, child in children]
    return lambda value: [array for key, read in parts for array in read(value[key])]


def builder(space: Any) -> Callable[[Iterator], Any]:
    """Arrays in the order of the leaves -> value of a space."""
    children = _children(space)
    if children is None:
        return next
    parts = [(key, builder(child)) for key, child in children]
    if _is(space, "Dict"):
        return lambda arrays: {key: build(arrays) for key, build in parts}
    return lambda arrays: tuple(build(arrays) for _, build in parts)


# --- Environments ---------------------------------------------------------------------------------


class Description(NamedTuple):
    """What one environment looks like."""

    observation: list[Leaf]
    action: list[Leaf]
    max_episode_steps: int  # 0: unknown


class Fault(NamedTuple):
    """Why an environment failed."""

    env: int
    kind: int
    message: str


class Bad(Exception):
    """What an environment gave cannot be used."""

    def __init__(self, kind: int, message: str):
        super().__init__(message)
        self.kind = kind


class Refused(Exception):
    """A request that cannot be served; `code` names a gRPC status."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def _status(error: Exception) -> Any:
    """The gRPC status of a Refused, or of another error that a request has caused."""
    import grpc

    return grpc.StatusCode[getattr(error, "code", "INVALID_ARGUMENT")]


def describe(env: Any) -> Description:
    """Description of a Gymnasium-like environment."""
    spec = getattr(env, "spec", None)
    limit = getattr(spec, "max_episode_steps", None) or getattr(env, "max_episode_steps", None)
    return Description(leaves_of(env.observation_space, "observation"),
                       leaves_of(env.action_space, "action"), int(limit or 0))


def probe(make_env: Callable[..., Any], arguments: dict) -> Description:
    """Makes an environment to describe it."""
    env = make_env(**arguments)
    try:
        return describe(env)
    finally:
        env.close()


def words(error: BaseException) -> str:
    """An exception and the last lines of where it came from."""
    if isinstance(error, (Bad, Refused)):
        return str(error)[-MAX_MESSAGE:]
    return "".join(traceback.format_exception(error)[-3:]).strip()[-MAX_MESSAGE:]


def refuses(error: BaseException) -> bool:
    """Whether a maker's exception is about its arguments."""
    return isinstance(error, (TypeError, ValueError, Refused))


def check_wanted(wanted: Callable[[], bool]) -> None:
    """Refused where nobody waits for the environments any more."""
    if not wanted():
        raise Refused("CANCELLED", "the client has gone")


def pause_after(failures: int) -> float:
    """Seconds until the next restart, after so many failures in a row: none, then growing."""
    return 0.0 if failures < 2 else min(MAX_PAUSE_S, 0.1 * 2.0 ** min(failures - 2, 20))


def json_object(text: str | bytes) -> dict:
    """Arguments of a maker. ValueError for anything but a JSON object."""
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise ValueError(f"arguments are no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"arguments: expected a JSON object, got {arguments!r:.100}")
    return arguments


class Columns:
    """The arrays of N environments, in one block of memory that processes can share."""

    def __init__(self, description: Description, count: int, file: int | None = None):
        """`file`: memory to be shared, which becomes as long as it must."""
        columns = [(leaf.dtype, (count, *leaf.shape)) for leaf in
                   [*description.observation, *description.observation, *description.action]]
        flags = [(np.dtype(np.uint8), (count,))] * 6
        layout = [*columns, (np.dtype(np.float32), (count,)), *flags,
                  (np.dtype(np.uint64), (count,)), (np.dtype(np.int64), (count, 2))]
        places = [0]
        for dtype, shape in layout:
            places.append(places[-1] + (dtype.itemsize * math.prod(shape) + 63) // 64 * 64)
        if file is None:
            memory: Any = np.zeros(places[-1], np.uint8)
        else:
            os.ftruncate(file, places[-1])
            memory = mmap.mmap(file, places[-1])
        arrays = iter([np.ndarray(shape, dtype, buffer=memory, offset=at)
                       for at, (dtype, shape) in zip(places, layout)])
        self.observations = [next(arrays) for _ in description.observation]
        self.finals = [next(arrays) for _ in description.observation]
        self.actions = [next(arrays) for _ in description.action]
        self.rewards = next(arrays)
        self.terminated, self.truncated, self.outcomes, self.restart, self.reset = (
            next(arrays) for _ in range(5))
        self.seeded, self.seeds = next(arrays), next(arrays)  # whether, and what, at the last reset
        # Of the first environment of each process: which one is in work, i where it steps and ~i
        # where it is made, reset or closed; and since when [ns of time.monotonic]. The second is
        # written first and read last.
        self.progress = next(arrays)

    def rows(self, first: int, count: int) -> Columns:
        """A part of the environments."""
        part = object.__new__(Columns)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                value = value[first:first + count]
            elif isinstance(value, list):
                value = [array[first:first + count] for array in value]
            setattr(part, name, value)
        return part


class Task(NamedTuple):
    """What a session asked for."""

    count: int
    arguments: dict
    max_episode_steps: int = 0  # 0: the environment's own
    step_timeout_s: float = 60.0
    reset_timeout_s: float = 60.0


class Fleet:
    """N environments in this process, one after the other. Not thread-safe."""

    def __init__(self, make_env: Callable[..., Any], description: Description, task: Task,
                 columns: Columns | None = None, generation: int = 0, first: int = 0):
        """`generation`, `first`: of the process, 0 where it is the server itself, and which of the
        session's it begins with."""
        n = task.count
        self._make = make_env
        self._description = description
        self._task = task
        self.columns = columns or Columns(description, n)
        self.outcomes = self.columns.outcomes
        self._progress = self.columns.progress[0].data
        self._serial = 0  # requests so far
        self._generation, self._first = generation, first
        self._envs: list[Any] = [None] * n
        self._running = [False] * n  # an episode goes on
        self._unstarted = [False] * n  # one ended well and the next could not begin: not yet told
        self._steps = [0] * n  # in the episode
        self._failures = [0] * n  # in a row
        self._restarts = [0] * n
        self._since = [0] * n  # serial of the last restart
        self._due = [0.0] * n  # when to restart
        self._flat_action = [leaf.name for leaf in description.action] == [""]
        self._read: Callable[[Any], list] = list  # of the space, once one was made
        self._build: Callable[[Iterator], Any] = list
        self._faults: list[Fault] = []

    def make(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Makes all environments; the first exception goes through. Refused once not `wanted`."""
        for i in range(self._task.count):
            check_wanted(wanted)
            self._make_one(i)

    def reset(self, seeds: bool) -> list[Fault]:
        """Resets those of columns.reset, with columns.seeds if `seeds`."""
        self._serial += 1
        columns = self.columns
        columns.outcomes[:] = [STEPPED if runs else ABSENT for runs in self._running]
        self._unstarted = [False] * self._task.count
        for i in np.flatnonzero(columns.reset).tolist():
            # 32 bits: numpy's RandomState takes no more.
            self._try(i, int(columns.seeds[i]) & 0xFFFFFFFF if seeds else None)
        return self._take_faults()

    def revive(self) -> list[Fault]:
        """Makes and resets all that do not run, where it is time."""
        for i in range(self._task.count):
            self._revive(i)
        return self._take_faults()

    def wait(self, limit_s: float) -> None:
        """Returns when a restart is due, or after the limit."""
        time.sleep(max(0.0, min(limit_s, min(self._due) - time.monotonic())))

    def close(self) -> None:
        for i in range(self._task.count):
            self._close_one(i)

    def step(self, restart: bool) -> list[Fault]:
        """One step of all, with columns.actions; restarts those of columns.restart if `restart`."""
        columns, envs, running, steps = self.columns, self._envs, self._running, self._steps
        columns.rewards.fill(0)
        columns.terminated.fill(0)
        columns.truncated.fill(0)
        columns.outcomes.fill(STEPPED)
        if restart:
            for i in np.flatnonzero(columns.restart).tolist():
                self._unstarted[i] = False
                self._fail(i)
        self._serial += 1
        progress, now = self._progress, time.monotonic_ns
        watched = self._generation > 0  # by a Pool, through the progress
        limit = self._task.max_episode_steps
        rewards, store = columns.rewards, self._store
        single = columns.observations[0] if len(columns.observations) == 1 else None
        dtype, shape = (single.dtype, single.shape[1:]) if single is not None else (None, None)
        ndarray = np.ndarray
        for i, action in enumerate(self._actions()):
            if not running[i]:
                if self._unstarted[i]:
                    self._unstarted[i], columns.outcomes[i] = False, LOST
                else:
                    self._revive(i)
                continue
            if watched:
                progress[1] = now()
                progress[0] = i
            try:
                result = envs[i].step(action)
                if type(result) is not tuple or len(result) != 5:
                    result = _parts("step", result, STEP_PARTS)
                observation, reward, terminated, truncated, _ = result
                if single is not None and type(observation) is ndarray and (
                        observation.shape == shape and observation.dtype is dtype):
                    single[i] = observation
                else:
                    store(columns.observations, i, observation)
                if type(reward) not in NUMBERS:
                    reward = _number(reward)
                if type(terminated) is not bool:
                    terminated = _flag(terminated, "terminated")
                if type(truncated) is not bool:
                    truncated = _flag(truncated, "truncated")
                rewards[i] = reward
                steps[i] += 1
                if terminated or truncated or steps[i] == limit:
                    self._end(i, terminated)
            except FAILURES as error:
                self._lose(i, error)
        self._check_finite()
        return self._take_faults()

    def _actions(self) -> Iterator[Any]:
        """Each environment's action, in arrays of its own: environments may keep them."""
        columns = [column.astype(leaf.native_dtype).reshape(len(column), *leaf.native_shape)
                   for leaf, column in zip(self._description.action, self.columns.actions)]
        if self._flat_action:
            return iter(columns[0])
        return (self._build(iter(row)) for row in zip(*columns))

    def _begins(self, i: int) -> None:
        """Environment i is now made, reset or closed."""
        self._progress[1] = time.monotonic_ns()
        self._progress[0] = ~i

    def _make_one(self, i: int) -> None:
        self._begins(i)
        env = self._make(**self._task.arguments)
        self._envs[i] = env
        got = describe(env)
        for expected, leaves in zip(self._description[:2], got[:2]):
            if leaves != expected:
                raise Refused("INVALID_ARGUMENT", "the arguments change the spaces: give them to "
                              f"the server itself. Expected {expected}, got {leaves}"[:MAX_MESSAGE])
        self._read = reader(env.observation_space)
        self._build = builder(env.action_space)
        limit, wrapper = self._task.max_episode_steps, env
        while limit and wrapper is not None:
            if type(wrapper).__name__ == "TimeLimit":
                wrapper._max_episode_steps = limit  # pylint: disable=protected-access
            wrapper = getattr(wrapper, "__dict__", {}).get("env")

    def _close_one(self, i: int) -> None:
        env, self._envs[i], self._running[i] = self._envs[i], None, False
        self._begins(i)
        try:
            if env is not None:
                env.close()
        except FAILURES:
            pass  # it is given up anyway

    def _begin(self, i: int, seed: int | None) -> None:
        if self._envs[i] is None:
            self._make_one(i)
        self._begins(i)
        observation, _ = _parts("reset", self._envs[i].reset(seed=seed), RESET_PARTS)
        self._store(self.columns.observations, i, observation)
        self._check_row(self.columns.observations, i)
        self._steps[i], self._running[i] = 0, True

    def _try(self, i: int, seed: int | None) -> None:
        restarts = not self._running[i]
        try:
            self._begin(i, seed)
            self.columns.outcomes[i] = STARTED
            if restarts:
                self._since[i] = self._serial
        except FAILURES as error:
            self._lose(i, error)
            self.columns.outcomes[i] = ABSENT

    def _revive(self, i: int) -> None:
        if self._envs[i] is None and time.monotonic() < self._due[i]:
            self.columns.outcomes[i] = ABSENT
            return
        seed = None
        if self.columns.seeded[i] and self._envs[i] is None:
            self._restarts[i] += 1  # a stream of its own, not the same episode again
            path = (int(self.columns.seeds[i]), self._generation, self._restarts[i],
                    self._first + i)
            seed = int(np.random.SeedSequence(path).generate_state(1, np.uint32)[0])
        self._try(i, seed)

    def _end(self, i: int, terminated: bool) -> None:
        """An episode ended: keeps its last observation, and begins the next."""
        columns = self.columns
        self._check_row(columns.observations, i)
        for final, column in zip(columns.finals, columns.observations):
            final[i] = column[i]
        columns.terminated[i] = terminated
        columns.truncated[i] = not terminated
        try:
            self._begin(i, None)
        except FAILURES as error:
            self._fail(i, error)  # the step itself counts: the next one is lost
            self._unstarted[i] = True
            for final, column in zip(columns.finals, columns.observations):
                column[i] = final[i]

    def _lose(self, i: int, error: BaseException) -> None:
        self._fail(i, error)
        columns = self.columns
        columns.outcomes[i] = LOST
        columns.rewards[i] = columns.terminated[i] = columns.truncated[i] = 0

    def _fail(self, i: int, error: BaseException | None = None) -> None:
        if error is not None:
            kind = error.kind if isinstance(error, Bad) else EXCEPTION
            self._faults.append(Fault(i, kind, words(error)))
        if self._running[i] and self._serial - self._since[i] > HEALTHY_STEPS:
            self._failures[i] = 0
        self._failures[i] += 1
        self._due[i] = time.monotonic() + pause_after(self._failures[i])
        self._close_one(i)

    def _take_faults(self) -> list[Fault]:
        faults, self._faults = self._faults, []
        return faults

    def _store(self, columns: list[np.ndarray], i: int, observation: Any) -> None:
        try:
            values = self._read(observation)
        except (KeyError, IndexError, TypeError) as error:
            raise Bad(WRONG_SHAPE, f"an observation lacks a part of its space: {error!r}") from None
        for leaf, column, value in zip(self._description.observation, columns, values):
            array = np.asarray(value)
            if array.shape != leaf.native_shape or not np.can_cast(array.dtype, leaf.dtype,
                                                                   "same_kind"):
                raise Bad(WRONG_SHAPE, f"{_of(leaf)}: expected {leaf.native_dtype} "
                          f"{leaf.native_shape}, got {array.dtype} {array.shape}")
            if array.dtype != leaf.dtype and array.dtype.kind in "iu" and leaf.dtype.kind in "iu":
                held = np.iinfo(leaf.dtype)  # numpy would wrap the others
                if int(array.min()) < held.min or int(array.max()) > held.max:
                    raise Bad(WRONG_SHAPE, f"{_of(leaf)}: expected integers from "
                              f"{held.min} to {held.max}, got {array.min()} to {array.max()}")
            column[i] = array.reshape(leaf.shape)

    def _check_row(self, columns: list[np.ndarray], i: int) -> None:
        for leaf, column in zip(self._description.observation, columns):
            if column.dtype.kind == "f" and not np.isfinite(column[i]).all():
                raise _not_finite(leaf, column[i])

    def _check_finite(self) -> None:
        columns = self.columns
        for leaf, column in zip(self._description.observation, columns.observations):
            if column.dtype.kind == "f" and not _finite(column):
                bad = ~np.isfinite(column).reshape(len(column), -1).all(axis=1)
                for i in np.flatnonzero(bad).tolist():
                    if self._running[i]:
                        self._lose(i, _not_finite(leaf, column[i]))
                    column[i] = 0
        if not _finite(columns.rewards):
            for i in np.flatnonzero(~np.isfinite(columns.rewards)).tolist():
                self._lose(i, Bad(NOT_FINITE, f"the reward is {columns.rewards[i]}"))


STEP_PARTS = ("observation", "reward", "terminated", "truncated", "info")
RESET_PARTS = ("observation", "info")


def _parts(method: str, result: Any, names: Sequence[str]) -> Sequence[Any]:
    """What a method of an environment gave. Bad for anything but a tuple of so many."""
    if isinstance(result, (tuple, list)) and len(result) == len(names):
        return result
    got = f"{len(result)} values" if isinstance(result, (tuple, list)) else _told(result)
    raise Bad(WRONG_SHAPE, f"{method}: expected {len(names)} values ({', '.join(names)}), got {got}")


def _of(leaf: Leaf) -> str:
    """What a part of an observation is called; one that is an array has no name."""
    return f"observation '{leaf.name}'" if leaf.name else "the observation"


NUMBERS = frozenset((float, int, np.float32, np.float64))  # the usual types of a reward


def _number(value: Any) -> float:
    """A reward of an unusual type. Bad for what is no number."""
    array = np.asarray(value)
    if array.shape or array.dtype.kind not in "biuf":
        raise Bad(WRONG_SHAPE, f"the reward: expected a number, got {_told(value)}")
    return float(array)


def _flag(value: Any, name: str) -> bool:
    """A flag of another type than bool. Bad for what is neither true nor false."""
    if type(value) is np.bool_:
        return bool(value)
    array = np.asarray(value)
    if array.shape or array.dtype.kind not in "biu":
        raise Bad(WRONG_SHAPE, f"{name}: expected True or False, got {_told(value)}")
    return bool(array)


def _told(value: Any) -> str:
    return f"{value!r:.200} ({type(value).__name__})"


def _finite(column: np.ndarray) -> bool:
    """np.isfinite(column).all(), in half the time where it is small."""
    return b"\0" not in np.isfinite(column).tobytes()


def _not_finite(leaf: Leaf, row: np.ndarray) -> Bad:
    return Bad(NOT_FINITE, f"{_of(leaf)} is not finite: {row.tolist()}"[:MAX_MESSAGE])


# --- Worker processes -----------------------------------------------------------------------------


class Zygote:
    """A process without threads that forks the workers and buries them. To be made before gRPC has
    threads. It ends, and its workers and their children with it, when its creator is gone.
    Thread-safe."""

    def __init__(self, make_env: Callable[..., Any], arguments: dict):
        """RuntimeError, with its words, where no environment can be made."""
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.setpgid(0, 0)  # what ends its creator's group leaves it time to end the workers
                self._socket.close()
                os.close(read)
                _zygote(theirs, write, make_env, arguments)
            finally:
                os._exit(0)
        theirs.close()
        os.close(write)
        good, self.description = _unpickle(read) or (False, "its process is gone")
        if not good:
            self.close()
            raise RuntimeError(f"the environment cannot be described: {self.description}")

    def start(self, fds: list[int]) -> int:
        """Forks a worker, which runs _worker with these open files. Returns its process id. Bad
        where there is none."""
        return self._ask(b"fork", fds)

    def bury(self, pid: int) -> int:
        """Kills a worker, if it still runs, and its children. Returns how it ended, as os.waitpid
        says. Bad where that is not known."""
        return self._ask(str(pid).encode(), [])

    def gone(self) -> bool:
        """It has died: no worker starts any more."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    def close(self) -> None:
        self._socket.close()
        os.waitpid(self._pid, 0)

    def _ask(self, message: bytes, fds: list[int]) -> int:
        try:
            with self._lock:
                if fds:
                    socket.send_fds(self._socket, [message], fds)
                else:
                    self._socket.send(message)
                answer = self._socket.recv(4096).decode(errors="replace")
            return int(answer)
        except OSError as error:
            raise Bad(CRASHED, f"the process that forks workers is gone: {error}") from None
        except ValueError:
            raise Bad(CRASHED, answer or "the process that forks workers is gone") from None


def _unpickle(fd: int) -> Any:
    """What a child has written; None where it died before."""
    with os.fdopen(fd, "rb") as pipe:
        try:
            return pickle.load(pipe)
        except (EOFError, pickle.UnpicklingError):
            return None


def _zygote(creator: socket.socket, answer: int, make_env: Callable[..., Any], arguments: dict
            ) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    good, description = found = _probe_apart(make_env, arguments)
    with os.fdopen(answer, "wb") as out:
        pickle.dump(found, out)
    workers: set[int] = set()
    try:
        while good:
            message, fds, _, _ = socket.recv_fds(creator, 64, WORKER_FILES)
            if not message:
                break
            try:
                if message == b"fork":
                    reply = _fork_worker(creator, make_env, description, fds)
                    workers.add(reply)
                else:
                    workers.remove(int(message))
                    reply = _reap(int(message))
            except (OSError, KeyError) as error:
                reply = f"no process: {error}"
            for fd in fds:
                os.close(fd)
            creator.send(str(reply).encode())
    finally:
        for pid in workers:
            _kill(pid)


def _probe_apart(make_env: Callable[..., Any], arguments: dict) -> tuple[bool, Any]:
    """(True, description) of an environment that is made in a process of its own, which may crash;
    (False, why) where there is none."""
    read, write = os.pipe()

    def work() -> None:
        try:
            result = True, probe(make_env, arguments)
        except FAILURES as error:
            result = False, words(error)
        with os.fdopen(write, "wb") as out:
            pickle.dump(result, out)

    pid = _fork(work)
    os.close(write)
    result = _unpickle(read)
    status = os.waitstatus_to_exitcode(_reap(pid))
    return result or (False, f"its process ended with {status}")


def _fork_worker(creator: socket.socket, make_env: Callable[..., Any], description: Description,
                 fds: list[int]) -> int:
    if len(fds) != WORKER_FILES:
        raise OSError("too many open files")
    for fd in fds:
        os.set_inheritable(fd, False)  # else a worker's child would keep its socket open

    def work() -> None:
        creator.close()
        _worker(make_env, description, *fds)

    return _fork(work)


def _fork(work: Callable[[], None]) -> int:
    """Does `work` in a new process, which ends with this one and leads a group of its children."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work()
            status = 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
    try:
        os.setpgid(pid, pid)  # whoever comes first
    except OSError:
        pass  # it has ended already
    return pid


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reap(pid: int) -> int:
    """Kills a child and its group; how it ended, as os.waitpid says."""
    _kill(pid)
    return os.waitpid(pid, 0)[1]


def _worker(make_env: Callable[..., Any], description: Description, commands: int, memory: int,
            log: int, work: int) -> None:
    """A worker process: does what the Pool asks over the socket `commands`, on shared columns."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable(2)
    pool = socket.socket(fileno=commands)
    with os.fdopen(work, "rb") as file:
        file.seek(0)
        task, total, first, generation = pickle.load(file)
    columns = Columns(description, total, memory).rows(first, task.count)
    fleet = Fleet(make_env, description, task, columns, generation, first)
    calls = {b"m": fleet.make, b"v": fleet.revive, b"s": lambda: fleet.step(False),
             b"x": lambda: fleet.step(True), b"r": lambda: fleet.reset(False),
             b"e": lambda: fleet.reset(True)}
    while command := pool.recv(16):
        try:
            faults = calls[command]() or []
            room = 40_000 // max(len(faults), 1)  # of what fits into one packet
            reply = {"faults": [(*fault[:2], fault.message[-room:]) for fault in faults[:1000]]}
        except FAILURES as error:
            reply = {"error": words(error), "refused": refuses(error)}
        pool.send(pickle.dumps(reply))
    fleet.close()


class Worker:
    """One worker process as the Pool sees it. Not thread-safe."""

    def __init__(self, zygote: Zygote, task: Task, work: tuple, memory: int, progress: np.ndarray):
        """`work`: what _worker reads. `progress`: of its first environment. Bad or OSError where no
        process can be had."""
        self._zygote = zygote
        self._task = task
        self._progress = progress
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        try:
            with os.fdopen(os.memfd_create("tandem_env_work"), "wb") as file:
                pickle.dump(work, file)
                file.flush()
                self._pid = zygote.start([theirs.fileno(), memory, write, file.fileno()])
        except (Bad, OSError):
            self.socket.close()
            os.close(read)
            raise
        finally:
            theirs.close()
            os.close(write)
        self._tail = b""
        self._log = threading.Thread(target=self._follow, args=(read,), daemon=True)
        self._log.start()
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)

    def ask(self, command: bytes) -> None:
        self._progress[1] = time.monotonic_ns()  # until it has begun with one
        self._progress[0] = 0 if command in b"sx" else ~0
        try:
            self.socket.send(command)
        except OSError:
            pass  # it is dead: the answer says so

    def answer(self, wait: bool = True) -> dict | None:
        """The reply; waits for it until the worker is late with one environment. Without `wait`
        None where there is none yet. Bad (HUNG, CRASHED) where no reply will come."""
        while True:
            beginning, limit = self._progress[0] < 0, self._task.step_timeout_s
            if beginning:
                limit = self._task.reset_timeout_s
            left = int(self._progress[1]) / 1e9 + limit - time.monotonic()
            if self._poll.poll(1000 * max(0.0, left) if wait else 0):
                try:
                    reply = self.socket.recv(1 << 18)
                except OSError:
                    reply = b""
                if not reply:
                    raise Bad(CRASHED, "")
                return pickle.loads(reply)
            if left <= 0:
                doing = "reset" if beginning else "step"
                raise Bad(HUNG, f"a {doing} took longer than {limit:g} s")
            if not wait:
                return None

    def end(self, error: Bad | None = None) -> str:
        """Ends the process: at once for an error, of which it then tells all that is known."""
        self.socket.close()
        if error is None:
            self._log.join(1.0)  # it closes its environments
        how = str(error or "")
        try:
            number = os.waitstatus_to_exitcode(self._zygote.bury(self._pid))
            how = how or (f"its process was ended by {signal.Signals(-number).name}" if number < 0
                          else f"its process ended with exit code {number}")
        except (Bad, ValueError) as unknown:  # also a signal without a name
            how = how or str(unknown)
        self._log.join(0.2)
        return how + "\n" + self._tail.decode(errors="replace")

    def _follow(self, fd: int) -> None:
        """Passes the worker's output on, and keeps the end of it."""
        with os.fdopen(fd, "rb", 0) as log:
            while part := log.read(4096):
                self._tail = (self._tail + part)[-2048:]
                sys.stderr.write(part.decode(errors="replace"))


class Pool:
    """N environments in K processes; the same methods as Fleet's. A process that dies or hangs is
    started anew, with growing pauses, while the others go on."""

    def __init__(self, zygote: Zygote, workers: int, task: Task):
        count = task.count
        self._zygote = zygote
        self._task = task
        self._file = os.memfd_create("tandem_env")
        self.columns = Columns(zygote.description, count, self._file)
        self.outcomes = np.zeros(count, np.uint8)
        bounds = np.linspace(0, count, min(workers, count) + 1).astype(int).tolist()
        self._slots = [_Slot(first, end - first) for first, end in zip(bounds, bounds[1:])]

    def make(self, wanted: Callable[[], bool]) -> None:
        for slot in self._slots:
            self._start(slot, b"m")
        for slot in self._slots:
            check_wanted(wanted)
            try:
                reply = slot.worker.answer()
            except Bad as error:
                worker, slot.worker = slot.worker, None
                raise RuntimeError(f"an environment failed: {worker.end(error)}") from None
            if "error" in reply:
                raise Refused("INVALID_ARGUMENT" if reply["refused"] else "INTERNAL",
                              reply["error"])
            slot.ready = True

    def reset(self, seeds: bool) -> list[Fault]:
        return self._all(b"e" if seeds else b"r")

    def step(self, restart: bool) -> list[Fault]:
        return self._all(b"x" if restart else b"s")

    def wait(self, limit_s: float) -> None:
        """Returns when a worker may be ready, or after the limit."""
        poll = select.poll()
        due = limit_s
        for slot in self._slots:
            if slot.worker is not None and not slot.ready:
                poll.register(slot.worker.socket, select.POLLIN)
            elif slot.worker is None:
                due = min(due, slot.due - time.monotonic())
        poll.poll(1000 * max(0.0, due))

    def close(self) -> None:
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.socket.close()
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.end()
                slot.worker = None
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _start(self, slot: _Slot, command: bytes) -> None:
        task = self._task._replace(count=slot.count)
        slot.generation += 1
        slot.worker = Worker(self._zygote, task,
                             (task, self._task.count, slot.first, slot.generation), self._file,
                             self.columns.progress[slot.first])
        slot.worker.ask(command)
        slot.ready = False

    def _all(self, command: bytes) -> list[Fault]:
        """One request to every worker that is ready; looks after the others first, so that what is
        asked is always answered."""
        faults: list[Fault] = []
        asked = [slot for slot in self._slots if slot.ready]
        for slot in self._slots:
            if not slot.ready:
                try:
                    self._look_after(slot, faults)
                except Exception as error:  # pylint: disable=broad-except
                    self._bury(slot, error, ABSENT, faults)
        for slot in asked:
            slot.worker.ask(command)
        for slot in asked:
            try:
                self._take(slot, slot.worker.answer(), faults)
                slot.healthy += 1
            except Exception as error:  # pylint: disable=broad-except
                self._bury(slot, error, LOST if command in b"sx" else ABSENT, faults)
        return faults

    def _take(self, slot: _Slot, reply: dict, faults: list[Fault]) -> None:
        if "error" in reply:
            raise Bad(EXCEPTION, reply["error"])
        faults += [Fault(slot.first + env, kind, text) for env, kind, text in reply["faults"]]
        self.outcomes[slot.rows] = self.columns.outcomes[slot.rows]

    def _look_after(self, slot: _Slot, faults: list[Fault]) -> None:
        self._clear(slot, ABSENT)
        if slot.worker is None:
            if time.monotonic() >= slot.due:
                self._start(slot, b"v")
            return
        reply = slot.worker.answer(wait=False)
        if reply is not None:
            self._take(slot, reply, faults)
            slot.ready = True

    def _bury(self, slot: _Slot, error: Exception, outcome: int, faults: list[Fault]) -> None:
        """The process failed: tells of it, and plans its restart."""
        error = error if isinstance(error, Bad) else Bad(CRASHED, words(error))
        at = int(self.columns.progress[slot.first][0])
        guilty = min(max(at, ~at), slot.count - 1)
        worker, slot.worker, slot.ready = slot.worker, None, False
        text = str(error) if worker is None else worker.end(error)
        faults.append(Fault(slot.first + guilty, error.kind, text))  # first: it is what is logged
        faults += [Fault(slot.first + i, error.kind,
                         f"shared a process with environment {slot.first + guilty}")
                   for i in range(slot.count) if i != guilty]
        slot.failures = 1 if slot.healthy > HEALTHY_STEPS else slot.failures + 1
        slot.healthy = 0
        slot.due = time.monotonic() + pause_after(slot.failures)
        self._clear(slot, outcome)
        for column in self.columns.observations:
            column[slot.rows] = 0

    def _clear(self, slot: _Slot, outcome: int) -> None:
        self.outcomes[slot.rows] = outcome
        for array in (self.columns.rewards, self.columns.terminated, self.columns.truncated):
            array[slot.rows] = 0


class _Slot:
    """The place of one worker in a Pool."""

    def __init__(self, first: int, count: int):
        self.first, self.count = first, count
        self.rows = slice(first, first + count)
        self.worker: Worker | None = None
        self.ready = False  # its environments are made; without: being made
        self.generation = self.failures = self.healthy = 0
        self.due = 0.0  # when to start it again


# --- Sessions and the server ----------------------------------------------------------------------


class Session:
    """The environments of one client, and the last answer, so that nothing steps twice."""

    def __init__(self, fleet: Any, description: Description, count: int):
        self.key = secrets.token_urlsafe(24).encode()
        self.count = count
        self.idle_since = time.monotonic()
        self.streams = 0
        self._lock = threading.Lock()
        self._fleet = fleet
        self._owner: object | None = None
        self._last_id, self._last = 0, b""
        self.closed = False
        columns = fleet.columns
        self._observations = [(prefix(2, column.nbytes), column) for column in columns.observations]
        self._actions = [(f"action '{leaf.name}'", column)
                         for leaf, column in zip(description.action, columns.actions)]
        self._reward_prefix = prefix(3, columns.rewards.nbytes)
        self._flag_prefixes = [prefix(number, count) for number in (4, 5, 7)]
        self._clear, self._started, self._absent = (
            bytes([value]) * count for value in (STEPPED, STARTED, ABSENT))

    def take(self, owner: object) -> None:
        """From now on another stream than `owner` is refused."""
        self._owner = owner

    def answer(self, request: dict[int, list], owner: object) -> bytes:
        """The response to one StepRequest."""
        with self._lock:
            try:
                return self._answer(request, owner)
            finally:
                if self.closed:
                    self._fleet.close()

    def close(self) -> None:
        self.closed = True
        if self._lock.acquire(timeout=2.0):  # else answer() closes, should what hangs ever return
            try:
                self._fleet.close()
            finally:
                self._lock.release()

    def _answer(self, request: dict[int, list], owner: object) -> bytes:
        if self.closed:
            raise Refused("NOT_FOUND", "the session is closed")
        if self._owner is not owner:
            raise Refused("ABORTED", "another stream has taken the session over")
        step_id = integer(request, 2)
        if step_id == self._last_id and step_id > 0:
            return self._last
        if step_id != self._last_id + 1:
            raise Refused("OUT_OF_RANGE", f"step_id: expected {self._last_id + 1} or the last, "
                          f"{self._last_id}, got {step_id}")
        work, resets = self._work(request)
        try:
            if self._last_id and self._fleet.outcomes.tobytes() == self._absent:
                self._fleet.wait(0.1)
            faults = work()
            self._last = self._encode(step_id, faults, resets)
        except FAILURES as error:
            self.closed = True  # who knows which have stepped
            LOG.exception("a session of %d environments ends", self.count)
            raise Refused("NOT_FOUND", f"the session is closed: {words(error)}") from None
        if self.closed:
            raise Refused("NOT_FOUND", "the session was closed")
        self._last_id = step_id
        if faults:
            LOG.warning("%d of %d environments failed; %d: %s", len(faults), self.count,
                        faults[0].env, faults[0].message)
        return self._last

    def _work(self, request: dict[int, list]) -> tuple[Callable[[], list[Fault]], bool]:
        """Takes the request's columns over. What is to be done, and whether that is a reset."""
        columns = self._fleet.columns
        if 4 in request:
            _fill(columns.reset, data(request, 4), "reset")
            seeds = data(request, 5)
            if seeds:
                rows = columns.reset != 0
                _check_column(seeds, columns.seeds, "seeds")
                columns.seeds[rows] = np.frombuffer(seeds, columns.seeds.dtype)[rows]
                columns.seeded[rows] = 1
            return lambda: self._fleet.reset(bool(seeds)), True
        if self._last_id == 0:
            raise Refused("INVALID_ARGUMENT", "the first request of a session must be a reset")
        actions = request.get(3, [])
        if len(actions) != len(self._actions):
            raise Refused("INVALID_ARGUMENT", f"actions: expected {len(self._actions)} columns, "
                          f"got {len(actions)}")
        for raw, (name, column) in zip(actions, self._actions):
            _fill(column, raw, name)
        restart = data(request, 6)
        if restart:
            _fill(columns.restart, restart, "restart")
        return lambda: self._fleet.step(bool(restart)), False

    def _encode(self, step_id: int, faults: list[Fault], resets: bool) -> bytes:
        columns, outcomes = self._fleet.columns, self._fleet.outcomes
        out = [b"\x08", varint(step_id)]
        for before, column in self._observations:
            out += (before, column.tobytes())
        if not resets:
            out += (self._reward_prefix, columns.rewards.tobytes())
            flags = columns.terminated.tobytes(), columns.truncated.tobytes()
            if flags != (self._clear, self._clear):
                rows = (columns.terminated | columns.truncated) != 0
                for before, raw in zip(self._flag_prefixes, flags):
                    out += (before, raw)
                for final in columns.finals:
                    last = final[rows].tobytes()
                    out += (prefix(6, len(last)), last)
        states = outcomes.tobytes()
        if states != (self._started if resets else self._clear):
            out += (self._flag_prefixes[2], states)
        for fault in faults:
            text = fault.message.encode(errors="replace")[-MAX_MESSAGE:].decode(errors="ignore")
            message = encode((1, fault.env), (2, fault.kind), (3, text))
            out += (prefix(8, len(message)), message)
        return b"".join(out)


def _check_column(raw: Any, array: np.ndarray, name: str) -> None:
    """Refused for a field that is not the bytes of an array like `array`."""
    if not isinstance(raw, bytes) or len(raw) != array.nbytes:
        got = f"{len(raw)}" if isinstance(raw, bytes) else "a number"
        raise Refused("INVALID_ARGUMENT", f"{name}: expected {array.nbytes} bytes for "
                      f"{array.dtype} {array.shape}, got {got}")


def _fill(array: np.ndarray, raw: Any, name: str) -> None:
    _check_column(raw, array, name)
    array.data.cast("B")[:] = raw


class Frames:
    """Answers StepRequests on a unix socket, as the Step stream of gRPC does: one thread a
    connection, which looks for the next request for SPIN_S and then sleeps in read(). A frame is a
    header (FRAME) and a message. A client begins with an empty frame, which comes back; then each
    of its frames is a StepRequest and is answered by a StepResponse with code 0. Another code is a
    gRPC status, the message its words, and the connection ends. What is no frame ends it without a
    word. Thread-safe."""

    def __init__(self, listener: socket.socket, answers: Callable, most: int, connections: int):
        """`answers`: from the requests of one connection. `most`: the largest of them [bytes].
        `connections`: at a time; more are closed at once."""
        self._listener = listener
        self._path = listener.getsockname()
        self._answers = answers
        self._most = most
        self._connections = connections
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopped = False
        self._spins = len(os.sched_getaffinity(0)) > 1
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def listen(cls, path: str, *options: Any) -> Frames | None:
        """None where that cannot be, such as for a path that is too long: there is gRPC. What a
        dead server left at the path is removed: whoever has the gRPC socket owns it."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if os.path.lexists(path):
                os.unlink(path)
            listener.bind(path)
            listener.listen()
            return cls(listener, *options)
        except OSError as error:
            LOG.warning("%s: %s; clients step by gRPC alone", path, error)
            listener.close()
            return None

    def stop(self) -> None:
        """Ends every connection; what is under way is not answered."""
        with self._lock:
            self._stopped = True
            connections = list(self._open)
        for end in (self._listener, *connections):
            try:
                end.shutdown(socket.SHUT_RDWR)  # also wakes the thread that waits there
            except OSError:
                pass  # it has ended already
        try:
            os.unlink(self._path)
        except OSError:
            pass  # it is gone already

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    connection, _ = self._listener.accept()
                except OSError as error:
                    if self._stopped:
                        return
                    LOG.warning("no connection for frames: %s", error)
                    time.sleep(0.1)  # until there are open files again
                    continue
                with self._lock:
                    full = self._stopped or len(self._open) >= self._connections
                    if not full:
                        self._open.add(connection)
                if full:
                    connection.close()
                else:
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Not makefile(), which reads through Python: this one takes a whole frame by one call.
        reader = open(connection.fileno(), "rb", buffering=1 << 16, closefd=False)
        ready = select.poll()
        ready.register(connection, select.POLLIN)
        try:
            if self._read(reader) != b"":
                return
            _send_frame(connection, b"")
            for answer in self._answers(iter(lambda: self._next(ready, reader), None)):
                _send_frame(connection, answer)
        except (Refused, ValueError) as error:
            self._refuse(connection, error)
        except OSError:
            pass  # the client has gone
        finally:
            with self._lock:
                self._open.discard(connection)
            reader.close()
            connection.close()

    def _next(self, ready: Any, reader: Any) -> bytes | None:
        """As _read. A client that acts by a policy asks again soon: for that long this looks for
        its request without sleeping, since waking a core that sleeps takes longer."""
        if self._spins:
            until = time.perf_counter() + SPIN_S
            while not ready.poll(0) and time.perf_counter() < until:
                pass
        return self._read(reader)

    def _read(self, reader: Any) -> bytes | None:
        """The message of one frame; None at the end. Refused for one that is too large."""
        header = reader.read(FRAME.size)
        if len(header) < FRAME.size:
            return None
        magic, code, length = FRAME.unpack(header)
        if magic != FRAME_MAGIC or code != 0:
            return None
        if length > self._most:
            raise Refused("RESOURCE_EXHAUSTED", f"a request of {length} bytes, expected at most "
                          f"{self._most}")
        message = reader.read(length)
        return message if len(message) == length else None

    def _refuse(self, connection: socket.socket, error: Exception) -> None:
        try:
            _send_frame(connection, str(error).encode(errors="replace"), _status(error).value[0])
        except OSError:
            pass  # nobody is there to be told


def _send_frame(connection: socket.socket, message: bytes, code: int = 0) -> None:
    header = FRAME.pack(FRAME_MAGIC, code, len(message))
    if len(message) < 1 << 16:
        connection.sendall(header + message)  # copying it is less than a second call
    else:
        connection.sendall(header)
        connection.sendall(message)


class Server:
    """The gRPC server. start() returns at once; stop() ends every session. Thread-safe."""

    def __init__(self, make_env: Callable[..., Any], num_envs: int = 64, address: str | None = None,
                 workers: int = 0, *, name: str = "", arguments: dict | None = None,
                 idle_timeout_s: float = 60.0):
        """`num_envs`: capacity over all sessions. `address`: unix:PATH or HOST:PORT; without one
        that of TANDEM_ENV_LISTEN, or a free port of localhost. `arguments`: for every make_env;
        those of TANDEM_ENV_ARGUMENTS and a session's own come on top. A session without a stream is
        closed after `idle_timeout_s`.
        Make it before gRPC has threads. RuntimeError, or the maker's exception, where no
        environment can be made."""
        if not 1 <= num_envs <= MAX_ENVS:
            raise ValueError(f"num_envs: expected 1 to {MAX_ENVS}, got {num_envs}")
        if workers < 0:
            raise ValueError(f"workers: expected 0 or more, got {workers}")
        self.capacity = num_envs
        self.address = address or os.environ.get(LISTEN) or "localhost:0"
        self._make = make_env
        self._arguments = {**(arguments or {}), **json_object(os.environ.get(ARGUMENTS) or "{}")}
        self._idle_timeout_s = idle_timeout_s
        self._name = name or getattr(make_env, "__name__", type(make_env).__name__)
        self._lock = threading.Lock()
        self._sessions: dict[bytes, Session] = {}
        self._used = self._held = 0  # environments and sessions, also those being made
        self._stopped = threading.Event()
        self._workers = workers
        self._frames: Frames | None = None
        self._zygote = Zygote(make_env, self._arguments) if workers else None
        self._description = (self._zygote.description if self._zygote is not None else
                             probe(make_env, self._arguments))

    def start(self) -> str:
        """Starts to serve and returns the real address. OSError where that cannot be."""
        import grpc

        if self.address.startswith("unix:"):
            _check_free(self.address)
        methods = {"Describe": self._describe, "Open": self._open, "Close": self._close}
        handlers = {f"/tandem.env.v1.VectorEnvService/{name}":
                    grpc.unary_unary_rpc_method_handler(_guarded(method))
                    for name, method in methods.items()}
        handlers["/tandem.env.v1.VectorEnvService/Step"] = grpc.stream_stream_rpc_method_handler(
            self._step)
        handlers["/grpc.health.v1.Health/Check"] = grpc.unary_unary_rpc_method_handler(
            lambda request, context: b"\x08\x01")  # SERVING

        class Handler(grpc.GenericRpcHandler):
            """Finds a method by its full name."""

            def service(self, handler_call_details):
                return handlers.get(handler_call_details.method)

        row = sum(leaf.row_bytes for leaf in self._description.action) + 10  # and reset and seeds
        most = min(self.capacity * row + (1 << 20), (1 << 31) - 1)
        options = [("grpc.max_receive_message_length", most), ("grpc.max_send_message_length", -1),
                   ("grpc.so_reuseport", 0), ("grpc.keepalive_time_ms", 20000),
                   ("grpc.keepalive_permit_without_calls", 1),
                   ("grpc.http2.min_ping_interval_without_data_ms", 5000)]
        threads = 2 * min(self.capacity, MAX_SESSIONS) + 8  # a stream may outlive its session
        self._server = grpc.server(_Threads(), handlers=[Handler()], options=options,
                                   maximum_concurrent_rpcs=threads)
        port = self._server.add_insecure_port(self.address)
        if port == 0:
            raise OSError(f"cannot listen on {self.address}")
        if self.address.startswith("unix:"):  # before the first Describe tells of it
            self._frames = Frames.listen(_path(self.address) + FRAMES, self._answers, most, threads)
        else:
            self.address = f"{self.address.rpartition(':')[0]}:{port}"
        self._server.start()
        threading.Thread(target=self._close_idle, daemon=True).start()
        return self.address

    def stop(self, grace_s: float = 1.0) -> None:
        """Ends every stream and session."""
        self._stopped.set()
        if self._frames is not None:
            self._frames.stop()
        self._server.stop(grace_s).wait(grace_s + 1)
        for session in list(self._sessions.values()):
            self._forget(session)
        if self._zygote is not None:
            self._zygote.close()

    def broken(self) -> bool:
        """No environment can be started any more: only a new server helps."""
        return self._zygote is not None and self._zygote.gone()

    def _describe(self, request: dict[int, list], unused_context: Any) -> bytes:
        if integer(request, 1) < 1:
            raise Refused("UNIMPLEMENTED", f"protocol version: expected {PROTOCOL_VERSION} or "
                          f"more, got {integer(request, 1)}")
        what = self._description
        capabilities = [b"seed"]
        if self._workers:
            capabilities += [b"isolate", b"workers=%d" % self._workers]
        if self._frames is not None:
            capabilities.append(b"frames")
        return encode((1, PROTOCOL_VERSION), (2, self._name),
                      (3, [leaf.message() for leaf in what.observation]),
                      (4, [leaf.message() for leaf in what.action]), (5, what.max_episode_steps),
                      (6, self.capacity), (7, self.capacity - self._used),
                      (8, capabilities), (9, f"tandem_env.py {VERSION}"))

    def _open(self, request: dict[int, list], context: Any) -> bytes:
        if integer(request, 1) != PROTOCOL_VERSION:
            raise Refused("UNIMPLEMENTED", f"protocol version: expected {PROTOCOL_VERSION}, got "
                          f"{integer(request, 1)}")
        task = self._task(request)
        with self._lock:
            free = self.capacity - self._used
            if task.count > free:
                raise Refused("RESOURCE_EXHAUSTED", f"{task.count} environments asked for, {free} "
                              f"of {self.capacity} are free")
            if self._held >= MAX_SESSIONS:
                raise Refused("RESOURCE_EXHAUSTED", f"{MAX_SESSIONS} sessions are open, no more "
                              f"can be; {free} of {self.capacity} environments are free")
            self._used += task.count
            self._held += 1
        session = None
        try:
            session = self._new_session(task, context.is_active)
        except Refused:
            raise
        except FAILURES as error:
            raise Refused("INVALID_ARGUMENT" if refuses(error) else "INTERNAL",
                          words(error)) from None
        finally:
            if session is None:
                self._give_back(task.count)
        with self._lock:
            self._sessions[session.key] = session
        LOG.info("%d environments for '%s'", task.count, data(request, 7).decode(errors="replace"))
        return encode((1, session.key), (2, int(self._idle_timeout_s * 1000)))

    def _new_session(self, task: Task, wanted: Callable[[], bool]) -> Session:
        fleet = (Fleet(self._make, self._description, task) if self._zygote is None else
                 Pool(self._zygote, self._workers, task))
        session = None
        try:
            fleet.make(wanted)
            check_wanted(wanted)
            session = Session(fleet, self._description, task.count)
            return session
        finally:
            if session is None:
                fleet.close()

    def _give_back(self, count: int) -> None:
        with self._lock:
            self._used -= count
            self._held -= 1

    def _task(self, request: dict[int, list]) -> Task:
        count, limit, step_ms, reset_ms = (integer(request, n) for n in (2, 4, 5, 6))
        for name, value, lowest in (
                ("num_envs", count, 1), ("max_episode_steps", limit, 0),
                ("step_timeout_ms", step_ms, 1), ("reset_timeout_ms", reset_ms, 1)):
            if value < lowest:
                raise Refused("INVALID_ARGUMENT", f"{name}: {value} is out of range")
        own = json_object(data(request, 3) or b"{}")
        return Task(count, {**self._arguments, **own}, limit, step_ms / 1000, reset_ms / 1000)

    def _close(self, request: dict[int, list], unused_context: Any) -> bytes:
        session = self._sessions.get(data(request, 1))
        if session is not None:
            self._forget(session)
        return b""

    def _step(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        try:
            yield from self._answers(requests)
        except (Refused, ValueError) as error:
            context.abort(_status(error), str(error))

    def _answers(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        """The answers to the StepRequests of one stream. Refused or ValueError ends it."""
        owner, session = object(), None
        try:
            for raw in requests:
                request = decode(raw)
                if session is None:
                    session = self._sessions.get(data(request, 1))
                    if session is None:
                        raise Refused("NOT_FOUND", "the session is closed, expired or unknown")
                    with self._lock:
                        session.streams += 1
                    session.take(owner)
                elif data(request, 1) != session.key:
                    raise Refused("INVALID_ARGUMENT", "a stream is of one session")
                yield session.answer(request, owner)
        finally:
            if session is not None:
                session.idle_since = time.monotonic()
                with self._lock:
                    session.streams -= 1
                if session.closed:
                    self._forget(session)

    def _forget(self, session: Session) -> None:
        with self._lock:
            if self._sessions.pop(session.key, None) is None:
                return
        try:
            session.close()
        except Exception:  # pylint: disable=broad-except
            LOG.exception("a session does not close")
        finally:
            self._give_back(session.count)

    def _close_idle(self) -> None:
        while not self._stopped.wait(min(1.0, self._idle_timeout_s / 4)):
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if not session.streams and now - session.idle_since > self._idle_timeout_s:
                    self._forget(session)


class _Threads(futures.Executor):
    """A thread for each call. The interpreter does not wait for them at its end, as it does for
    those of other executors: an environment may hang in one."""

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> futures.Future:
        future: futures.Future = futures.Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # pylint: disable=broad-except
                future.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return future


def _path(address: str) -> str:
    """That of a unix: address."""
    return address.removeprefix("unix:").removeprefix("//")


def _check_free(address: str) -> None:
    """OSError where a server listens on this unix socket: gRPC would take it over."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guest:
        guest.settimeout(1.0)
        try:
            guest.connect(_path(address))
        except TimeoutError:
            pass  # it is there and busy
        except OSError:
            return
    raise OSError(f"{address}: another server listens there")


def _guarded(method: Callable[[dict, Any], bytes]) -> Callable[[bytes, Any], bytes]:
    """A unary method of gRPC from one of ours."""
    def call(raw: bytes, context: Any) -> bytes:
        try:
            return method(decode(raw), context)
        except (Refused, ValueError) as error:
            return context.abort(_status(error), str(error))
    return call


def serve(make_env: Callable[..., Any], num_envs: int = 64, address: str | None = None,
          workers: int = 0, **options: Any) -> None:
    """Serves until SIGTERM or SIGINT (a second one ends at once), or, where the address came from
    TANDEM_ENV_LISTEN, until the parent process is gone. Prints the address in one line. `options`:
    those of Server. RuntimeError where it can serve no longer."""
    done = threading.Event()
    parent = os.getppid() if not address and os.environ.get(LISTEN) else None
    server = Server(make_env, num_envs, address, workers, **options)

    def end(number, frame):
        signal.signal(number, signal.SIG_DFL)
        done.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    print(f"tandem_env: {num_envs} environments on {server.start()}", flush=True)
    while not done.wait(0.5):
        if parent is not None and os.getppid() != parent:
            break
        if server.broken():
            server.stop()
            raise RuntimeError("the process that forks workers has died")
    server.stop()


def quiet_mujoco() -> None:
    """Takes MuJoCo's warnings, where it is in use: by itself it writes each to stderr and into
    MUJOCO_LOG.TXT of the working directory, for every model. Logs each kind once; what is only
    deprecated in a model's file, for debugging alone."""
    mujoco = sys.modules.get("mujoco")
    if mujoco is None or not hasattr(mujoco, "set_mju_user_warning"):
        return

    def take(text: str) -> None:
        kind = "".join(c for c in text if not c.isdigit())
        if kind not in SAID and len(SAID) < 100:
            SAID.add(kind)
            level = logging.DEBUG if "deprecated" in text else logging.WARNING
            LOG.log(level, "MuJoCo: %s", text)

    mujoco.set_mju_user_warning(take)


def gym_maker(name: str) -> Callable[..., Any]:
    """make_env of a registered Gymnasium environment: ID, or MODULE:ID where MODULE registers
    it."""
    import gymnasium

    module, _, registered = name.rpartition(":")
    if module:
        importlib.import_module(module)
    if "mujoco" in str(gymnasium.spec(registered).entry_point):
        try:
            importlib.import_module("mujoco")
        except ImportError:
            pass  # Gymnasium says what is missing
        quiet_mujoco()

    def make(**arguments: Any) -> Any:
        env = gymnasium.make(name, disable_env_checker=True, **arguments)
        quiet_mujoco()  # where only the making brought it in
        return env

    return make


def _arguments(text: str) -> dict:
    try:
        return json_object(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _maker(parser: argparse.ArgumentParser, name: str) -> Callable[..., Any]:
    """What --make names; ends the program where that is nothing."""
    module, _, function = name.partition(":")
    if not module or not function:
        parser.error(f"--make: expected MODULE:FUNCTION, got '{name}'")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or f"{module}.".startswith(f"{error.name}."):
            parser.error(f"--make: there is no module '{module}' in {os.pathsep.join(sys.path)}")
        raise  # it is there, and lacks another
    if not callable(getattr(found, function, None)):
        parser.error(f"--make: module '{module}' has no function '{function}'")
    return getattr(found, function)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tandem_env",
                                     description=__doc__.split("\n")[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--gym", metavar="[MODULE:]ID", help="a registered Gymnasium environment")
    kind.add_argument("--make", metavar="MODULE:FUNCTION", help="FUNCTION(**arguments) makes one")
    parser.add_argument("--num-envs", type=int, default=64, help="capacity over all sessions")
    parser.add_argument("--listen", help=f"unix:PATH or HOST:PORT; else ${LISTEN}, else any port")
    parser.add_argument("--workers", type=int, default=0, help="processes of each session; 0: none")
    parser.add_argument("--arguments", type=_arguments, default={}, help="the maker's, as JSON")
    parser.add_argument("--idle-timeout", type=float, default=60.0, help="of sessions [s]")
    options = parser.parse_args(argv)
    if not 1 <= options.num_envs <= MAX_ENVS:
        parser.error(f"--num-envs: expected 1 to {MAX_ENVS}, got {options.num_envs}")
    if options.workers < 0:
        parser.error(f"--workers: expected 0 or more, got {options.workers}")
    logging.basicConfig(level=logging.INFO, format="tandem_env: %(message)s")
    sys.path.insert(0, os.getcwd())
    if options.gym:
        make, name = gym_maker(options.gym), f"gym:{options.gym}"
    else:
        make, name = _maker(parser, options.make), options.make
    try:
        serve(make, options.num_envs, options.listen, options.workers, name=name,
              arguments=options.arguments, idle_timeout_s=options.idle_timeout)
    except (OSError, RuntimeError) as error:
        LOG.error("%s", error)
        os._exit(1)
    os._exit(0)  # not waiting for an environment that hangs


if __name__ == "__main__":
    main()
