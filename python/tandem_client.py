"""For simulators that own their loop: act with the newest policy of a Tandem run, append the steps.

    spec = Spec("pendulum", low, high, action_low, action_high, max_episode_steps=200)
    with Actor("localhost:7001", "localhost:7003", spec, evaluate=play) as actor:
        actor.begin(simulator.reset())
        while (action := actor.act()) is not None:
            observation, reward, terminated, truncated = simulator.step(action)
            actor.record(reward, observation, terminated, truncated)
            if terminated or truncated:
                actor.begin(simulator.reset())

The addresses are those of the run's replay_buffer and policy_trainer. python/examples/own_loop.py
is a whole program. The parts serve alone as well: Watcher follows the snapshots of a publisher,
SacPolicy acts with one, Writer appends to the replay buffer exactly once. Needs numpy, grpcio and
tandem_env.py; with xxhash installed the hash of each snapshot is checked. Settings that the monitor
turns for actors (data_collection) are not followed.

Messages: proto/tandem/{replay,data,snapshot}/v1, written by hand as in tandem_env.py.
"""

from __future__ import annotations

import json
import logging
import math
import random
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc
import numpy as np

from tandem_env import data, decode, encode, integer

try:
    import xxhash
except ImportError:
    xxhash = None

LOG = logging.getLogger("tandem_client")
MAX_SNAPSHOT_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 20
FLUSH_STEPS, FLUSH_BYTES = 256, 256 << 10  # so much is appended at once
STEPS_WANTED = 256  # at a time
MOST_POLICIES = 64  # that an episode names
CLOSE_S = 5.0  # for the last append
FLOAT32_MAX = float(np.finfo(np.float32).max)
LOG_STD_RANGE = (-20.0, 2.0)
TRAINING, EVALUATION = 1, 2
ROLE_ACTOR = 1
TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED,
             grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED}
STALE = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND,
         grpc.StatusCode.OUT_OF_RANGE}
REFUSED = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT}
TOO_LARGE = "larger than max"  # in gRPC's words: RESOURCE_EXHAUSTED too, but it does not pass
OPTIONS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.enable_retries", 0),
           ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000),
           ("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5000),
           ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]


class Stopped(Exception):
    """close() was called while something waited."""


class EpochLost(Exception):
    """The replay buffer began anew, or another process writes under our name: the writer has a new
    epoch, and what was not acknowledged is gone."""


class Backoff:
    """Pauses between tries, doubling from 50 ms to 2 s, with jitter."""

    def __init__(self, stop: threading.Event):
        self._stop = stop
        self._next = 0.05

    def pause(self, what: str, error: Any) -> None:
        """Raises Stopped where the wait was ended."""
        LOG.log(logging.WARNING if self._next >= 1 else logging.DEBUG, "%s: %s", what, error)
        if self._stop.wait(self._next * random.uniform(0.8, 1.2)):
            raise Stopped()
        self._next = min(2.0, 2 * self._next)


# --- Snapshots ------------------------------------------------------------------------------------


class Snapshot(NamedTuple):
    """Immutable weights: the bytes of a safetensors file."""

    epoch: int
    version: int
    data: bytes

    @property
    def tag(self) -> int:
        """Epoch and version in one number, as steps name the policy that took them."""
        return (self.epoch & (1 << 23) - 1) << 40 | self.version & (1 << 40) - 1


def read_safetensors(raw: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The float32 tensors and the metadata. ValueError for anything that is not as it must be."""
    if len(raw) < 8:
        raise ValueError("safetensors: too short")
    size = struct.unpack("<Q", raw[:8])[0]
    if size > min(MAX_HEADER_BYTES, len(raw) - 8):
        raise ValueError(f"safetensors: a header of {size} bytes")
    body = memoryview(raw)[8 + size:]
    tensors = {}
    try:
        header = json.loads(raw[8:8 + size])
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            if entry["dtype"] != "F32" or not 0 <= begin <= end <= len(body) or any(
                    n < 0 for n in entry["shape"]):
                raise ValueError(f"tensor {name!r} does not fit: {entry}")
            tensors[name] = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError,
            RecursionError) as error:
        raise ValueError(f"safetensors: {error!r}") from None
    return tensors, metadata


class Assembler:
    """Puts the parts of snapshots together, trusting none. ValueError says which did not fit."""

    def __init__(self):
        self._of: tuple[int, int, int, int] | None = None  # epoch, version, size, hash
        self._bytes = bytearray()

    def add(self, part: dict[int, list]) -> Snapshot | None:
        """Takes a WatchResponse; returns the snapshot that it completes."""
        epoch, version, size, offset, digest = (integer(part, n) for n in (1, 2, 3, 4, 6))
        piece = data(part, 5)
        of = epoch, version, size, digest
        if self._of is None:
            if epoch < 1 or version < 1 or not 1 <= size <= MAX_SNAPSHOT_BYTES:
                raise ValueError(f"snapshot {epoch}.{version} of {size} bytes")
            self._of = of
        if self._of != of or offset != len(self._bytes) or not 1 <= len(piece) <= size - offset:
            raise ValueError(f"expected byte {len(self._bytes)} of snapshot {self._of}, got "
                             f"{len(piece)} bytes at {offset} of {of}")
        self._bytes += piece
        if len(self._bytes) < size:
            return None
        raw = bytes(self._bytes)
        self._of, self._bytes = None, bytearray()
        if xxhash is not None and xxhash.xxh3_64_intdigest(raw) != digest & 0xFFFFFFFFFFFFFFFF:
            raise ValueError(f"snapshot {epoch}.{version} is damaged")
        return Snapshot(epoch, version, raw)


class Watcher:
    """Follows a series of snapshots ("policy" or "model") in a thread of its own, through restarts
    of the publisher. Thread-safe."""

    def __init__(self, address: str, series: str = "policy", name: str = "python"):
        self._request = (1, series), (2, name)
        self._series = series
        self._address = address
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._latest: Snapshot | None = None
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""
        with self._changed:
            return self._latest

    def wait_other(self, than: Snapshot | None, timeout_s: float) -> Snapshot | None:
        """The newest, once it is another than `than`; None where none came in time."""
        with self._changed:
            return self._latest if self._changed.wait_for(
                lambda: self._latest is not than or self._stop.is_set(), timeout_s) else None

    def close(self) -> None:
        self._stop.set()
        self._channel.close()
        self._thread.join(5)
        with self._changed:
            self._changed.notify_all()

    def _follow(self) -> None:
        watch = self._channel.unary_stream("/tandem.snapshot.v1.SnapshotService/Watch")
        backoff = Backoff(self._stop)
        while not self._stop.is_set():
            try:
                have = self.latest() or Snapshot(0, 0, b"")
                assembler = Assembler()
                for raw in watch(encode(*self._request, (3, have.epoch), (4, have.version))):
                    snapshot = assembler.add(decode(raw))
                    if snapshot is not None:
                        backoff = Backoff(self._stop)
                        with self._changed:
                            self._latest = snapshot
                            self._changed.notify_all()
                error: Any = "the stream ended"
            except (grpc.RpcError, ValueError) as failure:  # also where the channel was closed
                error = getattr(failure, "details", lambda: failure)()
            try:
                backoff.pause(f"snapshots of {self._series} at {self._address}", error)
            except Stopped:
                return


class SacPolicy:
    """The tanh-Gaussian actor of a "sac" snapshot, in numpy. Immutable, thread-safe."""

    def __init__(self, snapshot: bytes):
        """ValueError where the bytes are no such snapshot."""
        tensors, self.metadata = read_safetensors(snapshot)
        if self.metadata.get("kind") != "sac":
            raise ValueError(f"expected a snapshot of kind sac, got {self.metadata.get('kind')!r}")
        try:
            layers = len(self.metadata["hidden"].split(",")) + 1
            self._layers = [(tensors[f"actor.w{i}"], tensors[f"actor.b{i}"].reshape(-1))
                            for i in range(layers)]
            self.updates = int(self.metadata["policy_updates"])
            low, high = tensors["action_low"], tensors["action_high"]
        except KeyError as error:
            raise ValueError(f"the snapshot lacks {error}") from None
        if low.shape != high.shape or low.ndim != 1 or not (
                np.isfinite(low) & np.isfinite(high) & (low < high)).all():
            raise ValueError(f"bounds of actions from {low} to {high}")
        self._centre, self._half = 0.5 * (low + high), 0.5 * (high - low)
        self._log_volume = float(np.log(self._half.astype(np.float64)).sum())
        width = self._layers[0][0].shape[:1]
        for weight, bias in self._layers:
            if weight.ndim != 2 or weight.shape != (*width, bias.size):
                raise ValueError(f"a layer of shape {weight.shape} does not fit")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError("a layer is not finite")
            width = bias.shape
        if width != (2 * low.size,):
            raise ValueError(f"{width[0]} outputs for {low.size} actions")

    def distribution(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and log standard deviations before tanh, [B, action], for [B, observation]."""
        h = np.asarray(observations, np.float32)
        for weight, bias in self._layers[:-1]:
            h = np.maximum(h @ weight + bias, 0)
        weight, bias = self._layers[-1]
        means, log_stds = np.split(h @ weight + bias, 2, axis=1)
        return means, np.clip(log_stds, *LOG_STD_RANGE)

    def act(self, observations: np.ndarray, rng: np.random.Generator | None = None
            ) -> tuple[np.ndarray, np.ndarray]:
        """Actions [B, action] in the environment's units and their log densities [B]. Without `rng`
        the deterministic action, whose density is given as 0."""
        means, log_stds = self.distribution(observations)
        if rng is None:
            return self._centre + self._half * np.tanh(means), np.zeros(len(means), np.float32)
        raw = means + np.exp(log_stds) * rng.standard_normal(means.shape, np.float32)
        return self._centre + self._half * np.tanh(raw), self._density(raw, means, log_stds)

    def log_prob(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Log densities [B] of actions in the environment's units."""
        unit = (np.asarray(actions, np.float64) - self._centre) / self._half
        edge = 1 - 2.0 ** -24  # what float32 rounds to the border came from inside
        return self._density(np.arctanh(np.clip(unit, -edge, edge)),
                             *self.distribution(observations))

    def _density(self, raw: np.ndarray, means: np.ndarray, log_stds: np.ndarray) -> np.ndarray:
        """Of tanh(raw) in the environment's units, raw being normal:
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))."""
        raw = raw.astype(np.float64)
        noise = (raw - means) / np.exp(log_stds)
        squash = 2 * (math.log(2) - raw - np.logaddexp(0, -2 * raw))
        density = -0.5 * noise * noise - log_stds - 0.5 * math.log(2 * math.pi) - squash
        return (density.sum(axis=1) - self._log_volume).astype(np.float32)


# --- The replay buffer ----------------------------------------------------------------------------


class Spec:
    """What an environment looks like; bounds are scalars or one number for each element. ValueError
    for bounds that do not fit together."""

    def __init__(self, name: str, observation_low: Any, observation_high: Any, action_low: Any,
                 action_high: Any, max_episode_steps: int = 0):
        self.name, self.max_episode_steps = name, max_episode_steps
        self.observation = _box("observation", observation_low, observation_high)
        self.action = _box("action", action_low, action_high)
        if not np.isfinite(self.action).all() or (self.action[0] == self.action[1]).any():
            raise ValueError(f"the action's bounds are not finite, or equal: {self.action}")

    def message(self) -> bytes:
        boxes = [encode((1, low.tobytes()), (2, high.tobytes()))
                 for low, high in (self.observation, self.action)]
        return encode((1, self.name), (2, boxes[0]), (3, boxes[1]), (4, self.max_episode_steps))


def _box(name: str, low: Any, high: Any) -> list[np.ndarray]:
    pair = np.broadcast_arrays(np.atleast_1d(np.asarray(low, np.float32)),
                               np.atleast_1d(np.asarray(high, np.float32)))
    bounds = [np.array(bound).reshape(-1) for bound in pair]
    if not (bounds[0] <= bounds[1]).all():
        raise ValueError(f"the {name}'s lower bound {low} is not below {high}")
    return bounds


class Grant(NamedTuple):
    """What an actor may do next: AdvanceResponse."""

    steps: int
    policy_updates: int  # act with a policy of so many; -1: any
    random_actions: bool
    evaluate: bool
    stop: bool
    waiting_for: str
    env_steps: int


class Episode(NamedTuple):
    """One finished episode."""

    total_reward: float
    length: int
    terminated: bool
    initial_observation: np.ndarray
    policy_version: int = 0  # of the policy that acted at its last step
    policy_updates: int = 0
    policies: Sequence[tuple[int, int, int]] = ()  # where several acted: from step, version, updates


def tensor(array: Any) -> bytes:
    """A float32 Tensor message."""
    array = np.ascontiguousarray(array, np.float32)
    return encode((1, 1), (2, array.shape), (3, array.tobytes()))


class Writer:
    """Appends to the replay buffer, each append exactly once, and asks for the pace. A call waits
    for a buffer that is away, and tries again. ValueError for a spec that the run does not take.
    Not thread-safe but for close()."""

    def __init__(self, address: str, name: str, spec: Spec):
        self._address, self._name, self._spec = address, name, spec
        self._stop = threading.Event()
        self._until = math.inf  # no call goes on for longer
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._epoch = self._sequence = 0
        try:
            self.open()
        except BaseException as error:
            self._channel.close()
            if isinstance(error, grpc.RpcError) and error.code() in REFUSED:
                raise ValueError(f"replay_buffer at {address}: {error.details()}") from None
            raise

    def open(self) -> None:
        """Begins a new epoch: episodes of an earlier one that are under way end, truncated.
        RpcError where the buffer refuses."""
        answer = self._retry("OpenWriter", encode((1, self._name), (2, self._spec.message())), 5)
        self._epoch, self._sequence = integer(answer, 1), 0

    def append(self, segments: Sequence[bytes], episodes: Sequence[bytes]) -> None:
        """Segment and Episode messages, at most 1 MiB in all. EpochLost where the buffer does not
        know us any more, RpcError where it refuses them: in both cases a new epoch is open then,
        and the episodes under way have ended, truncated."""
        request = encode((1, self._name), (2, self._epoch), (3, self._sequence + 1),
                         (4, list(segments)), (5, list(episodes)))
        try:
            self._call("Append", request, 5)
        except grpc.RpcError:
            self.open()  # what follows would not fit what is there
            raise
        self._sequence += 1

    def advance(self, wanted: int, held_policy_updates: int, wait_s: float = 1.0) -> Grant:
        """Asks for steps, at most `wanted`; unused ones of the last grant are given back."""
        wait = encode((1, int(wait_s)), (2, int(wait_s % 1 * 1e9)))
        request = encode((1, ROLE_ACTOR), (2, self._name), (3, wanted), (6, held_policy_updates),
                         (7, wait))
        answer = self._call("Advance", request, wait_s + 2)
        return Grant(integer(answer, 1), integer(answer, 3), *(bool(integer(answer, n))
                     for n in (5, 6, 7)), data(answer, 8).decode(), integer(answer, 9))

    def hurry(self, seconds: float) -> None:
        """From here on all calls together take no longer: then they raise Stopped."""
        self._until = time.monotonic() + seconds

    def close(self) -> None:
        self._stop.set()
        self._channel.close()

    def _call(self, method: str, request: bytes, timeout_s: float) -> dict[int, list]:
        try:
            return self._retry(method, request, timeout_s)
        except grpc.RpcError as error:
            if error.code() not in STALE:
                raise
            LOG.warning("%s does not know epoch %d of %s (%s): opening another", self._address,
                        self._epoch, self._name, error.details())
            self.open()
            raise EpochLost(error.details()) from None

    def _retry(self, method: str, request: bytes, timeout_s: float) -> dict[int, list]:
        call = self._channel.unary_unary(f"/tandem.replay.v1.ReplayBufferService/{method}")
        backoff = Backoff(self._stop)
        while True:
            left = self._until - time.monotonic()
            if left <= 0:
                raise Stopped("the replay buffer does not answer in time")
            try:
                return decode(call(request, timeout=min(timeout_s, left)))
            except grpc.RpcError as error:
                if error.code() not in TRANSIENT or TOO_LARGE in str(error.details()):
                    raise
                backoff.pause(f"replay_buffer at {self._address}: {method}", error.details())


# --- An actor -------------------------------------------------------------------------------------


class Actor:
    """One simulator that owns its loop, as an actor of a run. Not thread-safe.

    `evaluate(policy)` plays evaluation episodes with policy.act(observations) and returns them as a
    list of Episode; without it the run must not ask for evaluations (actor.evaluation_interval=0).
    `name` is stable and its own for each simulator; `seed` is that of the actions."""

    def __init__(self, replay: str, policy: str, spec: Spec, *, name: str = "actor-0",
                 evaluate: Callable[[SacPolicy], list[Episode]] | None = None,
                 seed: int | None = None):
        self.spec = spec
        self.env_steps = 0  # of the run, at the last grant [steps]
        self.episodes = 0  # finished here
        self._evaluate = evaluate
        self._rng = np.random.default_rng(seed)
        self._writer = Writer(replay, name, spec)  # first: it may raise
        self._watcher = Watcher(policy, "policy", name)
        self._seen: Snapshot | None = None
        self._policy: SacPolicy | None = None
        self._version = 0  # tag of the policy
        self._grant: Grant | None = None
        self._left = 0  # steps of the grant
        self._next_id = 1
        self._episode_id = 0  # of the episode under way
        self._observation: np.ndarray | None = None  # None: begin() is due
        self._episode: Episode | None = None  # None: the rest of it is not recorded
        self._rows: list[tuple] = []  # observation, action, reward, log density
        self._pending = 0  # steps to be appended
        self._by = (0, 0)  # policy version and updates of the rows
        self._acted: list[tuple[int, int, int]] = []  # in the episode: from step, version, updates
        self._chosen: tuple[np.ndarray, float] | None = None
        self._segments: list[bytes] = []
        self._episodes: list[bytes] = []

    def __enter__(self) -> Actor:
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def close(self) -> None:
        """Appends what is left, where the buffer takes it within CLOSE_S, and ends."""
        steps, episodes = self._pending, len(self._episodes)
        self._writer.hurry(CLOSE_S)
        try:
            self._flush()
        except (Stopped, EpochLost, grpc.RpcError) as error:
            LOG.warning("the last %d steps and %d episodes are lost: %s", steps, episodes, error)
        self._watcher.close()
        self._writer.close()

    def begin(self, observation: np.ndarray) -> None:
        """An episode begins with this observation; one that is under way ends, truncated.
        ValueError for an observation that does not fit the spec or is not finite."""
        observation = self._checked(observation)
        self._chosen = None
        if self._episode is not None and self._episode.length:
            if self._rows:
                self._end(False)
            elif self._flush_guarded():  # no step is left to carry its end: the buffer ends it
                self._writer.open()
                self.episodes += 1
        self._observation = observation
        self._episode_id = self._new_id()
        self._episode = Episode(0.0, 0, False, self._observation)
        self._rows, self._acted = [], []

    def act(self) -> np.ndarray | None:
        """The action for the last observation, [action] float32, when the pace allows a step. None
        when the run is over."""
        assert self._observation is not None, "begin() first"
        while self._left <= 0:
            if not self._ask():
                return None
        self._left -= 1
        if self._grant.random_actions:
            low, high = self.spec.action
            self._set_policy(0, 0)
            self._chosen = (self._rng.uniform(low, high).astype(np.float32),
                            -float(np.log(high - low).sum()))
        else:
            if self._grant.policy_updates < 0:
                self._refresh()
            self._set_policy(self._version, self._policy.updates)
            actions, log_probs = self._policy.act(self._observation[None], self._rng)
            self._chosen = actions[0], float(log_probs[0])
        return self._chosen[0]

    def record(self, reward: float, observation: np.ndarray, terminated: bool, truncated: bool
               ) -> None:
        """What the action gave. `truncated`: cut off from outside, such as by a time limit.
        ValueError, and nothing is recorded, for an observation or a reward that does not fit the
        spec or is not finite."""
        assert self._chosen is not None, "act() first"
        after = self._checked(observation)
        if not math.isfinite(reward) or abs(reward) > FLOAT32_MAX:
            raise ValueError(f"the reward is {reward}")
        before, (action, log_prob), self._chosen = self._observation, self._chosen, None
        self._observation = after
        if self._episode is None:
            return
        if not self._acted or self._acted[-1][1:] != self._by:
            self._acted.append((self._episode.length, *self._by))
        self._rows.append((before, action, reward, log_prob))
        self._pending += 1
        self._episode = self._episode._replace(
            total_reward=self._episode.total_reward + float(reward),
            length=self._episode.length + 1)
        if terminated or truncated:
            self._end(bool(terminated))
            self._observation = None
        row_bytes = 4 * (2 * self.spec.observation[0].size + self.spec.action[0].size + 2)
        if self._pending >= FLUSH_STEPS or row_bytes * self._pending >= FLUSH_BYTES:
            self._flush_guarded()

    def _checked(self, observation: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            flat = np.array(observation, np.float32).reshape(-1)
        if flat.size != self.spec.observation[0].size or not np.isfinite(flat).all():
            raise ValueError(f"expected an observation of {self.spec.observation[0].size} finite "
                             f"numbers, got {observation}")
        return flat

    def _end(self, terminated: bool) -> None:
        """The episode under way ends with its last step."""
        self._cut(terminated, not terminated)
        several = self._acted if len(self._acted) > 1 else ()
        _, version, updates = self._acted[-1]
        done = self._episode._replace(
            terminated=terminated, policy_version=version, policy_updates=updates,
            policies=several[::-(-len(several) // MOST_POLICIES) or 1])
        self._episodes.append(_message(done, self._episode_id))
        self.episodes += 1
        self._episode = None

    def _ask(self) -> bool:
        """Waits for a grant, of steps or nothing; False when the run is over."""
        if not self._flush_guarded():
            return True
        self._refresh()
        held = self._policy.updates if self._policy else 0
        try:
            grant = self._grant = self._writer.advance(STEPS_WANTED, held)
        except EpochLost:
            self._abandon()
            return True
        self.env_steps = grant.env_steps
        if grant.stop:
            return False
        # Asking again gives the grant back, so a policy that does not come holds up nobody else.
        if (grant.evaluate or not grant.random_actions) and (grant.steps > 0 or grant.evaluate):
            if not self._wait_for_policy(grant.policy_updates, 10.0):
                return True
        if grant.evaluate and not self._play_evaluation(grant):
            return True
        self._left = grant.steps
        return True

    def _play_evaluation(self, grant: Grant) -> bool:
        """False where the grant is lost, with the epoch."""
        if self._evaluate is None:
            raise RuntimeError("the run asks for an evaluation: pass evaluate=, or start the run "
                               "with actor.evaluation_interval=0")
        version, policy = self._version, self._policy
        played = self._evaluate(policy)
        for episode in played:
            episode = episode._replace(policy_version=version, policy_updates=policy.updates)
            self._episodes.append(_message(episode, self._new_id(), grant.env_steps, len(played)))
        return self._flush_guarded()

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _refresh(self) -> None:
        """Loads the newest policy."""
        newest = self._watcher.latest()
        if newest is self._seen:
            return
        self._seen = newest
        try:
            self._policy, self._version = SacPolicy(newest.data), newest.tag
        except ValueError as error:
            LOG.error("policy %d.%d is skipped: %s", newest.epoch, newest.version, error)

    def _wait_for_policy(self, updates: int, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while True:
            self._refresh()
            if self._policy is not None and self._policy.updates >= updates:
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._watcher.wait_other(self._seen, left)

    def _set_policy(self, version: int, updates: int) -> None:
        if self._by != (version, updates):
            self._cut(False, False)
            self._by = version, updates

    def _cut(self, terminated: bool, truncated: bool) -> None:
        """Makes a segment of the rows."""
        if not self._rows:
            return
        observations, actions, rewards, log_probs = zip(*self._rows)
        self._segments.append(encode(
            (1, self._episode_id), (2, self._episode.length - len(self._rows)),
            (3, tensor([*observations, self._observation])), (4, tensor(actions)),
            (5, tensor(rewards)), (6, tensor(log_probs)), (7, terminated), (8, truncated),
            (9, TRAINING), (10, self._by[0])))
        self._rows = []

    def _flush(self) -> None:
        self._cut(False, False)
        if self._segments or self._episodes:
            segments, episodes = self._segments, self._episodes
            self._segments, self._episodes, self._pending = [], [], 0
            self._writer.append(segments, episodes)

    def _flush_guarded(self) -> bool:
        try:
            self._flush()
            return True
        except EpochLost:
            self._abandon()
            return False
        except grpc.RpcError:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """The buffer has closed the episode under way: the rest of it is not recorded."""
        self._episode, self._rows, self._left, self._pending = None, [], 0, 0


def _message(episode: Episode, number: int, evaluation: int = 0, size: int = 0) -> bytes:
    """An Episode message; of the `size` episodes of an evaluation, where there are any."""
    return encode((1, number), (2, EVALUATION if size else TRAINING),
                  (3, float(episode.total_reward)), (4, episode.length),
                  (5, bool(episode.terminated)), (6, episode.policy_version),
                  (7, tensor(np.reshape(episode.initial_observation, -1))), (9, evaluation),
                  (10, size), (11, episode.policy_updates),
                  (13, [encode((1, t), (2, version), (3, updates))
                        for t, version, updates in episode.policies]))
