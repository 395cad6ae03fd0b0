"""Tests tandem_client.py against the real services."""

import contextlib
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import grpc
import numpy as np

import tandem_client
from tandem_client import Actor, EpochLost, Spec, Writer
from tandem_env import data, decode, encode, integer
from testing.protoc import protoc

SOURCE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE / "examples"))
import own_loop  # noqa: E402  (after the path)

BINARIES = os.path.join(os.environ.get("TANDEM_BINARY_DIR", SOURCE.parent / "build/release"), "bin")
SPEC = Spec("box", [-1, -2], [1, np.inf], -1, 1, max_episode_steps=5)


class SnapshotTest(unittest.TestCase):
    def test_safetensors_files_are_read(self):
        from safetensors.numpy import save
        arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.float32)}
        raw = save(arrays, metadata={"kind": "x"})
        tensors, metadata = tandem_client.read_safetensors(raw)
        self.assertEqual(metadata, {"kind": "x"})
        for name, array in arrays.items():
            np.testing.assert_array_equal(tensors[name], array)
        huge = b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,0]}}' % 2**70
        for bad in (b"", raw[:7], raw[:-1], b"\xff" * 16, raw.replace(b"F32", b"F64"),
                    raw.replace(b"[2,3]", b"[2,4]"), raw.replace(b"dtype", b"dtyqe"),
                    raw.replace(b"[2,3]", b"[-1]"), raw.replace(b"[2,3]", b"9e9"),
                    struct.pack("<Q", 100_000) + 100_000 * b"[",
                    struct.pack("<Q", len(huge)) + huge):
            with self.assertRaises(ValueError, msg=bad):
                tandem_client.read_safetensors(bad)
        with self.assertRaisesRegex(ValueError, "kind sac"):
            tandem_client.SacPolicy(raw)

    def test_a_policy_that_makes_no_sense_is_refused(self):
        from safetensors.numpy import save
        good = {"actor.w0": np.ones((2, 2)), "actor.b0": np.ones(2), "action_low": -np.ones(1),
                "action_high": np.ones(1)}
        metadata = {"kind": "sac", "hidden": "", "policy_updates": "3"}

        def policy(**changes):
            arrays = {**good, **{f"actor.{k}" if len(k) == 2 else k: np.asarray(v)
                                 for k, v in changes.items()}}
            return tandem_client.SacPolicy(save(
                {name: array.astype(np.float32) for name, array in arrays.items()}, metadata))

        metadata["hidden"] = "2"
        good.update({"actor.w1": np.ones((2, 2)), "actor.b1": np.ones(2)})
        self.assertEqual(policy().act(np.zeros((4, 2)))[0].shape, (4, 1))
        for changes in ({"w0": 1.0}, {"w1": np.ones(2)}, {"b0": [np.nan, 0]}, {"b1": [1, 2, 3]},
                        {"w0": np.full((2, 2), np.inf)}, {"action_low": [np.nan]},
                        {"action_high": [-1]}, {"action_low": [-1, -1]}):
            with self.assertRaises(ValueError, msg=changes):
                policy(**changes)

    def test_the_bounds_of_a_spec_fit_together(self):
        spec = Spec("x", [-1, -2], 3, [[-1], [0]], [[1], [2]])
        self.assertEqual(spec.observation[1].tolist(), [3, 3])
        self.assertEqual(spec.action[0].tolist(), [-1, 0])
        for low, high in ((0, np.inf), (1, 1), (np.nan, 1), ([0, 0], [1, 1, 1])):
            with self.assertRaises(ValueError, msg=(low, high)):
                Spec("x", -1, 1, low, high)

    def test_parts_are_put_together(self):
        part = lambda offset, piece, version=3: decode(encode(
            (1, 2), (2, version), (3, 4), (4, offset), (5, piece), (6, self.digest)))
        self.digest = 0
        if tandem_client.xxhash is not None:
            self.digest = tandem_client.xxhash.xxh3_64_intdigest(b"abcd")
        assembler = tandem_client.Assembler()
        self.assertIsNone(assembler.add(part(0, b"ab")))
        self.assertEqual(assembler.add(part(2, b"cd")), (2, 3, b"abcd"))
        for parts in ([(1, b"b")], [(0, b"ab"), (3, b"d")], [(0, b"abcde")],
                      [(0, b"a"), (1, b"b", 4)]):
            assembler = tandem_client.Assembler()
            with self.assertRaises(ValueError, msg=parts):
                for arguments in parts:
                    assembler.add(part(*arguments))


class ReplayTest(unittest.TestCase):
    """The writer against a real replay buffer."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.address = f"unix:{self.folder}/replay.sock"
        self.start()
        self.addCleanup(lambda: self.stop(signal.SIGTERM))

    def start(self):
        config = pathlib.Path(self.folder, "config.yaml")
        config.write_text("{}\n", encoding="utf-8")
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [f"{BINARIES}/tandem_replay_buffer", "--config", config, "env.name=pendulum",
                 "pace.warmup_steps=1000", f"endpoints.listen={self.address}",
                 "endpoints.metrics=127.0.0.1:0", f"endpoints.state_dir={self.folder}/state"],
                stdout=log, stderr=log)

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(20)

    def call(self, method, request=b""):
        with grpc.insecure_channel(self.address) as channel:
            stub = channel.unary_unary(f"/tandem.replay.v1.ReplayBufferService/{method}")
            return decode(stub(request, timeout=5, wait_for_ready=True))

    def test_messages_are_those_of_protoc(self):
        text = protoc("decode", "data.v1.EnvironmentSpec", SPEC.message()).decode()
        self.assertIn('name: "box"', text)
        self.assertIn("high: inf", text)
        self.assertIn("max_episode_steps: 5", text)
        tensor = tandem_client.tensor(np.ones((2, 1)))
        self.assertEqual(protoc("decode", "data.v1.Tensor", tensor).decode().split("data")[0],
                         "dtype: DTYPE_FLOAT32\nshape: 2\nshape: 1\n")
        episode = tandem_client.Episode(1.0, 9, False, np.ones(1), 3, 40, ((0, 0, 0), (5, 3, 40)))
        text = protoc("decode", "data.v1.Episode", tandem_client._message(episode, 7)).decode()
        self.assertIn("policies {\n}\npolicies {\n  first_t: 5\n  policy_version: 3\n"
                      "  policy_updates: 40\n}\n", text)

    def test_a_spec_that_the_run_does_not_take_is_refused_in_words(self):
        writer = Writer(self.address, "simulator-0", SPEC)
        self.addCleanup(writer.close)
        for other, words in ((Spec("box", [-1, -2], [1, 8], -1, 1, 5),
                              "observation high in element 1: expected inf, got 8"),
                             (Spec("box", [-1, -2], [1, np.inf], -1, 1),
                              "max_episode_steps: expected 5, got 0"),
                             (Spec("box", -1, 1, -1, 1, 5), "observation size: expected 2, got 1"),
                             (Spec("", [-1, -2], [1, np.inf], -1, 1, 5), "expected a name")):
            with self.assertRaisesRegex(ValueError, words):
                Writer(self.address, "simulator-1", other)

    def test_a_run_that_takes_another_spec_by_now_refuses_a_writer_as_any_error(self):
        writer = Writer(self.address, "simulator-0", SPEC)
        self.addCleanup(writer.close)
        self.stop(signal.SIGKILL)
        self.start()
        other = Writer(self.address, "simulator-1", Spec("box", -1, 1, -1, 1, 5))
        self.addCleanup(other.close)
        with self.assertRaises(grpc.RpcError):
            writer.append([encode((1, 1))], [])

    def test_an_append_counts_once_and_a_lost_buffer_is_noticed(self):
        writer = Writer(self.address, "simulator-0", SPEC)
        self.addCleanup(writer.close)
        grant = writer.advance(10, 0)
        self.assertTrue(grant.random_actions)
        self.assertEqual(grant.steps, 10)
        t = tandem_client.tensor
        segment = encode((1, 1), (3, t([[0, 1], [0, 2], [0, 3]])), (4, t([[0.5], [0.25]])),
                         (5, t([1, 2])), (6, t([0, 0])))
        writer.append([segment], [])
        writer._sequence -= 1  # as if the acknowledgement had been lost
        writer.append([segment], [])
        status = self.call("GetStatus")
        self.assertEqual((integer(status, 3), integer(status, 4)), (2, 2))
        with grpc.insecure_channel(self.address) as channel:
            tail = channel.unary_stream("/tandem.replay.v1.ReplayBufferService/Tail")
            [batch] = [data(decode(raw), 1) for raw in tail(encode((3, 2)), timeout=5)
                       if data(decode(raw), 1)]
        columns = decode(batch)
        column = lambda n: np.frombuffer(data(decode(data(columns, n)), 3), np.float32).tolist()
        self.assertEqual(column(1), [0, 1, 0, 2])
        self.assertEqual(column(2), [0.5, 0.25])
        self.assertEqual(column(3), [1, 2])
        self.assertEqual(column(4), [0, 2, 0, 3])
        with self.assertRaises(grpc.RpcError):
            writer.append([encode((1, 1), (5, t([np.nan])))], [])
        writer.append([segment], [])  # of a new epoch: the buffer takes what follows
        self.assertEqual(integer(self.call("GetStatus"), 4), 4)
        self.stop(signal.SIGKILL)
        self.start()
        with self.assertRaises(EpochLost):
            writer.append([segment], [])
        writer.append([segment.replace(b"\x08\x01", b"\x08\x02", 1)], [])
        self.assertEqual(integer(self.call("GetStatus"), 4), 2)

    def test_every_step_is_in_an_episode_that_ends_and_what_cannot_be_recorded_is_refused(self):
        actor = Actor(self.address, f"unix:{self.folder}/none.sock", SPEC, seed=1)
        self.addCleanup(actor.close)

        def play(steps, **last):
            actor.begin([0, 0])
            for t in range(steps):
                actor.act()
                actor.record(1.0, [0, t], np.bool_(t == steps - 1 and bool(last)), False)

        play(3)  # cut off by the next
        play(2, terminated=True)
        play(2)
        actor._flush()  # no step is left to carry the end
        actor.begin([0, 0])
        with self.assertRaisesRegex(ValueError, "2 finite numbers"):
            actor.begin([0, np.nan])
        actor.act()
        for reward, observation in ((np.nan, [0, 0]), (1e300, [0, 0]), (1.0, [0, np.inf]),
                                    (1.0, [0, 0, 0]), (1.0, 0.0)):
            with self.assertRaises(ValueError, msg=(reward, observation)):
                actor.record(reward, observation, False, False)
        actor.record(1.0, [0, 1], False, True)
        actor._flush()
        status = self.call("GetStatus")
        self.assertEqual((integer(status, 4), integer(status, 7)), (8, 4))
        self.assertEqual(actor.episodes, 4)

    def test_a_snapshot_that_is_refused_changes_no_version(self):
        actor = Actor(self.address, f"unix:{self.folder}/none.sock", SPEC, seed=1)
        self.addCleanup(actor.close)
        actor._watcher.latest = lambda: tandem_client.Snapshot(1, 9, b"damaged")
        with self.assertLogs("tandem_client", "ERROR"):
            actor._refresh()
        self.assertEqual(actor._version, 0)
        self.assertEqual(tandem_client.Snapshot((3 << 23) + 5, 9, b"").tag, (5 << 40) + 9)

    def test_closing_waits_for_a_buffer_that_is_away_but_not_for_ever(self):
        actor = Actor(self.address, f"unix:{self.folder}/none.sock", SPEC, seed=1)
        actor.begin([0, 0])
        actor.act()
        actor.record(1.0, [0, 1], False, False)
        self.stop(signal.SIGKILL)
        self.enterContext(mock.patch.object(tandem_client, "CLOSE_S", 0.5))
        begin = time.monotonic()
        with self.assertLogs("tandem_client", "WARNING") as logged:
            actor.close()
        self.assertGreater(time.monotonic() - begin, 0.5)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertIn("the last 1 steps and 0 episodes are lost", logged.output[-1])
        self.start()

    def test_an_actor_goes_on_where_the_buffer_began_anew(self):
        actor = Actor(self.address, f"unix:{self.folder}/none.sock", SPEC, seed=1)
        self.addCleanup(actor.close)

        def play(steps):
            for t in range(steps):
                if t % 5 == 0:
                    actor.begin([0, 0])
                action = actor.act()
                self.assertTrue((abs(action) <= 1).all())
                actor.record(1.0, [0, t], False, t % 5 == 4)

        play(300)  # one append
        self.stop(signal.SIGKILL)
        self.start()
        play(700)
        actor._flush()
        status = self.call("GetStatus")
        self.assertGreater(integer(status, 4), 200)
        self.assertEqual(integer(status, 4), 5 * integer(status, 7))  # whole episodes alone


class RunTest(unittest.TestCase):
    def test_a_run_whose_only_actor_is_a_loop_of_its_own(self):
        settings = [*own_loop.SETTINGS, "pace.warmup_steps=200", "actor.evaluation_interval=200",
                    "pace.updates_per_step=1", "stop.max_env_steps=600",
                    "model.max_gradient_steps=20", "imagination.rollouts_per_refit=1000"]
        with tempfile.TemporaryDirectory() as folder:
            with own_loop.services(BINARIES, folder, settings) as (replay, policy):
                with contextlib.redirect_stdout(sys.stderr):
                    own_loop.act(replay, policy, "simulator-0", seed=3)
                with grpc.insecure_channel(replay) as channel:
                    stub = channel.unary_unary(
                        "/tandem.replay.v1.ReplayBufferService/GetStatus")
                    status = decode(stub(b"", timeout=5))
        self.assertEqual(integer(status, 4), 600)
        self.assertEqual(integer(status, 7), 3)
        self.assertEqual(integer(status, 11), 1)
        evaluations = [decode(raw) for raw in status[13]]
        self.assertEqual([integer(evaluation, 3) for evaluation in evaluations], [3] * 3)
        self.assertGreater(integer(evaluations[-1], 4), integer(evaluations[0], 4))


if __name__ == "__main__":
    unittest.main()
