"""Tests tandem_env.py: a real server process, and a client that speaks the protocol by hand."""

import asyncio
import contextlib
import functools
import importlib.util
import io
import logging
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import numpy as np

import tandem_env
from tandem_env import decode, encode
from testing.protoc import protoc

SOURCE = pathlib.Path(__file__).resolve().parent
LONG = '{"limit": 1000000}'  # episodes
GOOD, RAISE, NAN, SHAPE, SEGFAULT, HANG, TERMINATE, NAN_REWARD, BAD_FINAL, EXIT = range(10)
CANCEL, INTERRUPT, LEAVE, OLD_GYM = range(10, 14)
BASES = {CANCEL: asyncio.CancelledError, INTERRUPT: KeyboardInterrupt, LEAVE: GeneratorExit}
NO_FORK = "TANDEM_TEST_NO_FORK"  # while this file exists no process can be forked

if NO_FORK in os.environ:
    def fork(real=os.fork):
        if os.path.exists(os.environ[NO_FORK]):
            raise BlockingIOError("no more processes")
        return real()
    os.fork = fork


class Box:
    """Looks like Gymnasium's."""

    def __init__(self, low, high, shape, dtype=np.float32):
        self.low, self.high = np.full(shape, low, dtype), np.full(shape, high, dtype)
        self.shape, self.dtype = shape, np.dtype(dtype)


class Discrete:
    def __init__(self, n, start=0):
        self.n, self.start = n, start


class MultiDiscrete:
    def __init__(self, nvec):
        self.nvec = np.asarray(nvec)
        self.shape = self.nvec.shape


class MultiBinary:
    def __init__(self, n):
        self.n, self.dtype = n, np.dtype(np.int8)


class Dict:
    def __init__(self, **spaces):
        self.spaces = spaces


class Tuple:
    def __init__(self, *spaces):
        self.spaces = spaces


class Text:
    pass


class Stub:
    """Observes (steps of the episode, seed, episodes); the action says what goes wrong."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Discrete(14)
    max_episode_steps = 50

    def __init__(self, fail_after=None, slow_reset_s=0.0, size=3, limit=50, unused="",
                 fail_reset=""):
        if fail_after is not None and os.path.exists(fail_after):
            raise OSError("the maker failed")
        if size != 3:
            self.observation_space = Box(-1, 1, (size,))
        self.steps = self.seed = self.episodes = 0
        self.slow_reset_s, self.limit, self.fail_reset = slow_reset_s, limit, fail_reset

    def reset(self, seed=None, options=None):
        time.sleep(self.slow_reset_s)
        if os.path.exists(self.fail_reset):
            os.unlink(self.fail_reset)
            raise OSError("the reset failed")
        self.steps, self.seed = 0, self.seed if seed is None else seed
        self.episodes += 1
        return self._observation(), {}

    def step(self, action):
        if action == RAISE:
            raise ArithmeticError("the stub was told to raise")
        if action == SEGFAULT:
            with subprocess.Popen(["sleep", "60"]) as child:  # which outlives it
                print(f"last words of the parent of {child.pid}.", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGSEGV)
        if action == EXIT:
            sys.exit("the stub was told to exit")
        if action in BASES:
            raise BASES[int(action)]("the stub was told to")
        if action == HANG:
            time.sleep(60)
        self.steps += 1
        observation = self._observation()
        if action in (NAN, BAD_FINAL):
            observation[1] = np.nan
        if action == SHAPE:
            observation = observation[:2]
        if action == OLD_GYM:
            return observation, 1.0, False, {}
        reward = np.nan if action == NAN_REWARD else float(self.steps)
        return observation, reward, action in (TERMINATE, BAD_FINAL), self.steps >= self.limit, {}

    def close(self):
        pass

    def _observation(self):
        return np.array([self.steps, self.seed, self.episodes], np.float64)


class Nested:
    """Every kind of space; the observation holds what the last action was."""

    observation_space = Dict(
        arm=Dict(pose=Box(-1, 1, (2, 2)), open=MultiBinary(3)), mode=Discrete(4, start=2),
        pair=Tuple(Box(0, 255, (), np.uint8), MultiDiscrete([3, 4])), flag=Box(0, 1, (1,), bool))
    action_space = Tuple(Box(-1, 1, (2,)), Discrete(3), MultiDiscrete([[2, 3], [4, 5]]))

    def reset(self, seed=None, options=None):
        return self._observation(0, 0, 0), {}

    def step(self, action):
        force, choice, grid = action
        assert force.shape == (2,) and force.dtype == np.float32 and grid.shape == (2, 2)
        return self._observation(force[1], choice, grid[1, 1]), 1, False, False, {}

    def close(self):
        pass

    @staticmethod
    def _observation(pose, mode, pair):
        opened = np.array([1, 0, 1], np.int8)
        return {"arm": {"pose": np.full((2, 2), pose, np.float32), "open": opened},
                "mode": 2 + int(mode), "pair": (np.uint8(200), np.array([1, pair])),
                "flag": np.array([True])}


class Typed:
    """Gives what `GIVES` has for its action."""

    observation_space = Box(0, 65535, (1,), np.uint16)
    action_space = Discrete(20)
    X = np.zeros(1, np.uint16)
    GOOD = [(X, 1, False, False), (np.array([7]), np.float16(1), np.False_, 0),
            (np.array([7], np.uint8), np.array(1), np.array(False), np.int8(0)),
            (np.array([65535], np.uint64), True, False, False)]
    BAD = [((X, 1, "False", False), "terminated: expected True or False, got 'False' (str)"),
           ((X, 1, np.nan, False), "terminated: expected True or False, got nan"),
           ((X, 1, False, [0]), "truncated: expected True or False, got [0]"),
           ((X, 1, None, False), "terminated: expected True or False, got None"),
           ((X, "2.5", False, False), "reward: expected a number, got '2.5'"),
           ((X, b"1", False, False), "reward: expected a number, got b'1'"),
           ((X, None, False, False), "reward: expected a number, got None"),
           ((X, np.ones(2), False, False), "reward: expected a number, got array"),
           ((np.array([2**40 + 5]), 1, False, False), "integers from -2147483648 to 2147483647"),
           ((np.array([2**63], np.uint64), 1, False, False), "got 9223372036854775808")]

    def reset(self, seed=None, options=None):
        return self.X, {}

    def step(self, action):
        return *([*self.GOOD, *(gives for gives, _ in self.BAD)][action]), {}

    def close(self):
        pass


class Failed(Exception):
    """A call that was refused."""

    def __init__(self, code, details):
        super().__init__(code, details)
        self.code, self.details = code, details


class GrpcStream:
    """A Step stream; its next() is an answer."""

    def __init__(self, channel):
        self.requests = queue.Queue()
        self.put = self.requests.put  # None: ends it
        self.responses = channel.stream_stream("/tandem.env.v1.VectorEnvService/Step")(
            iter(self.requests.get, None), timeout=60)

    def __next__(self):
        return call(next, self.responses)


class FrameStream:
    """The same over the socket for frames."""

    def __init__(self, address, greeting=b""):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(address.removeprefix("unix:") + tandem_env.FRAMES)
        if greeting is not None:
            self.put(greeting)
            assert next(self) == b""

    def __del__(self):
        self.socket.close()

    def put(self, message):
        if message is None:
            self.socket.close()
        else:
            ended(self.socket.sendall, frame(message))

    def __next__(self):
        header = ended(self.socket.recv, tandem_env.FRAME.size, socket.MSG_WAITALL)
        if not header:
            raise Failed("ENDED", "the connection has ended")
        magic, code, length = tandem_env.FRAME.unpack(header)
        assert magic == tandem_env.FRAME_MAGIC
        message = self.socket.recv(length, socket.MSG_WAITALL) if length else b""
        if code:
            import grpc
            raise Failed(next(c.name for c in grpc.StatusCode if c.value[0] == code),
                         message.decode())
        return message


def frame(message, magic=tandem_env.FRAME_MAGIC):
    return tandem_env.FRAME.pack(magic, 0, len(message)) + message


def ended(work, *arguments):
    try:
        return work(*arguments)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Failed("ENDED", str(error)) from None


def call(work, *arguments, **options):
    import grpc
    try:
        return work(*arguments, **options)
    except grpc.RpcError as error:
        raise Failed(error.code().name, error.details()) from None


class Client:
    """One session. Responses come as dicts by field number."""

    def __init__(self, address, count, arguments="", limit=0, step_ms=1000, reset_ms=5000,
                 frames=False):
        import grpc
        self.address, self.frames = address, frames
        self.channel = grpc.insecure_channel(address)
        self.count, self.step_id, self.stream = count, 0, None
        self.description = self.call("Describe", (1, 1))
        opened = self.call("Open", (1, 1), (2, count), (3, arguments), (4, limit), (5, step_ms),
                           (6, reset_ms))
        self.session = opened[1][0]
        self.connect()

    def call(self, method, *fields):
        stub = self.channel.unary_unary(f"/tandem.env.v1.VectorEnvService/{method}")
        return decode(call(stub, encode(*fields), timeout=20, wait_for_ready=True))

    def connect(self):
        self.stream = FrameStream(self.address) if self.frames else GrpcStream(self.channel)

    def send(self, step_id, *fields):
        self.stream.put(encode((1, self.session), (2, step_id), *fields))
        return next(self.stream)

    def request(self, *fields):
        self.step_id += 1
        response = decode(self.send(self.step_id, *fields))
        assert response[1] == [self.step_id]
        return response

    def reset(self, mask=None, seeds=None):
        seeds = b"" if seeds is None else np.asarray(seeds, np.uint64).tobytes()
        return self.request((4, bytes(mask or [1] * self.count)), (5, seeds))

    def step(self, *actions, restart=b""):
        """Actions of Stub."""
        return self.request((3, [np.array(actions, np.int64).tobytes()]), (6, restart))

    def close(self):
        self.stream.put(None)
        self.call("Close", (1, self.session))
        self.channel.close()


def rows(response, number=2):
    """Stub's observations."""
    return np.frombuffer(response[number][0], np.float64).reshape(-1, 3)


def outcomes(response, count):
    return list(response.get(7, [bytes(count)])[0])


def faults(response):
    parts = [decode(raw) for raw in response.get(8, [])]
    return [(part.get(1, [0])[0], part[2][0], part[3][0].decode()) for part in parts]


class ServerTest(unittest.TestCase):
    """Starts servers and ends them."""

    frames = False  # how its clients step

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.address = f"unix:{self.folder}/env.sock"

    @contextlib.contextmanager
    def serving(self, *arguments, status=0, **environment):
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tandem_env", *arguments], cwd=SOURCE, text=True,
                stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, "TANDEM_ENV_LISTEN": self.address, **environment})
        try:
            self.line = process.stdout.readline()
            self.process = process
            yield process
        finally:
            process.terminate()
            self.assertEqual(process.wait(10), status, (self.folder / "log").read_text())
            process.stdout.close()

    @contextlib.contextmanager
    def stub(self, count, *arguments, status=0, environment=(), **open_arguments):
        with self.serving("--make", "tandem_env_test:Stub", "--num-envs", "8", *arguments,
                          status=status, **dict(environment)):
            client = Client(self.address, count, frames=self.frames, **open_arguments)
            yield client
            if status == 0:
                client.close()

    def refused(self, code, work):
        with self.assertRaises(Failed) as caught:
            work()
        self.assertEqual(caught.exception.code, code, caught.exception.details)
        return caught.exception.details


class CommandLineTest(unittest.TestCase):
    def test_what_is_wrong_is_said_in_one_line(self):
        make = ["--make", "tandem_env_test:Stub"]
        for arguments, text in (
                ([*make, "--arguments", "[1]"], "arguments: expected a JSON object, got [1]"),
                ([*make, "--arguments", "{"], "arguments are no JSON"),
                ([*make, "--num-envs", "0"], "--num-envs: expected 1 to 65536, got 0"),
                ([*make, "--workers", "-2"], "--workers: expected 0 or more, got -2"),
                (["--make", "tandem_env_test"], "expected MODULE:FUNCTION"),
                (["--make", "no.such:Thing"], "there is no module 'no.such'"),
                (["--make", "tandem_env_test:Thing"], "has no function 'Thing'")):
            with contextlib.redirect_stderr(io.StringIO()) as err:
                with self.assertRaises(SystemExit) as end:
                    tandem_env.main(arguments)
            self.assertEqual(end.exception.code, 2, text)
            self.assertIn(text, err.getvalue().splitlines()[-1])


class ProtocolTest(ServerTest):
    def test_messages_are_those_of_protoc(self):
        written = encode((1, b"key"), (2, 300), (3, [b"ab", b""]), (4, b"\x01"))
        text = protoc("decode", "env.v1.StepRequest", written).decode()
        self.assertEqual(text.split("\n"), ['session: "key"', 'step_id: 300', 'actions: "ab"',
                                            'actions: ""', 'reset: "\\001"', ''])
        self.assertEqual(protoc("encode", "env.v1.StepRequest", text.encode()), written)
        leaf = tandem_env.leaves_of(Box(-2, 3, (2, 3)), "action")[0].message()
        text = protoc("decode", "env.v1.SpaceLeaf", leaf).decode()
        self.assertIn("shape: 2\nshape: 3\n", text)
        self.assertEqual(encode((8, -5)), protoc("encode", "env.v1.SpaceLeaf", b"start: -5"))
        self.assertEqual(tandem_env.integer(decode(encode((8, -5))), 8), -5)
        self.assertEqual(encode((2, 1.5)), b"\x11" + np.float64(1.5).tobytes())

    def test_garbage_is_no_message(self):
        for raw in (b"\x0a\x05ab", b"\xff" * 12, b"\x0b", b"\x09\x01"):
            with self.assertRaises(ValueError, msg=raw):
                decode(raw)

    def test_mujoco_is_quiet(self):
        if importlib.util.find_spec("mujoco") is None:
            self.skipTest("MuJoCo is not installed")
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import logging, tandem_env\n"
                "logging.basicConfig(level=logging.INFO)\n"
                "make = tandem_env.gym_maker('HalfCheetah-v5')\n"
                "make().close(), make().close()\n"
                "tandem_env.quiet_mujoco()\n")
        done = subprocess.run([sys.executable, "-c", code, SOURCE], cwd=self.folder, text=True,
                              capture_output=True, check=True, timeout=60)
        self.assertEqual((done.stdout, done.stderr, os.listdir(self.folder)), ("", "", []))

    def test_a_program_of_ones_own_ends_while_an_environment_hangs(self):
        code = ("import sys, tandem_env, tandem_env_test; "
                "tandem_env.serve(tandem_env_test.Stub, 1, sys.argv[1]); "
                "print('served', flush=True)")
        with subprocess.Popen([sys.executable, "-c", code, self.address], cwd=SOURCE, text=True,
                              stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                client = Client(self.address, 1)
                client.reset()
                client.stream.put(encode((1, client.session), (2, 2),
                                         (3, [np.array([HANG]).tobytes()])))
                time.sleep(0.2)  # until it hangs, most likely
                process.terminate()
                self.assertEqual((process.wait(15), process.stdout.read()), (0, "served\n"))
            finally:
                process.kill()

    def test_arguments_may_come_from_who_starts_the_server(self):
        with self.stub(1, environment={"TANDEM_ENV_ARGUMENTS": '{"size": 2}'}) as client:
            self.assertEqual(decode(client.description[3][0])[4], [b"\x02"])
            client.close = lambda: None

    def test_a_limit_is_looked_for_in_what_has_no_dict(self):
        class Slots:
            __slots__ = ("observation_space", "action_space")

            def __init__(self):
                self.observation_space, self.action_space = Box(-1, 1, (1,)), Discrete(2)

            def close(self):
                pass

        tandem_env.Fleet(Slots, tandem_env.describe(Slots()), tandem_env.Task(1, {}, 9)).make()

    def test_ends_with_its_parent(self):
        code = ("import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'tandem_env', "
                "'--make', 'tandem_env_test:Stub', '--workers', '1'], stdout=subprocess.PIPE); "
                "p.stdout.readline(); print(p.pid, flush=True)")
        environment = {**os.environ, "TANDEM_ENV_LISTEN": self.address}
        pid = int(subprocess.run([sys.executable, "-c", code], cwd=SOURCE, env=environment,
                                 capture_output=True, check=True, timeout=20).stdout)
        end = time.monotonic() + 10
        while os.path.exists(f"/proc/{pid}/exe") and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse(os.path.exists(f"/proc/{pid}/exe"))
        self.assertFalse((self.folder / "env.sock").exists())


class StreamTest(ServerTest):
    def test_a_step_is_taken_once(self):
        with self.stub(2) as client:
            self.assertIn(self.address, self.line)
            with self.assertRaisesRegex(OSError, "another server"):
                tandem_env.Server(Stub, 1, self.address).start()
            got = rows(client.reset(seeds=[7, (5 << 32) + 8]))  # environments get 32 bits
            self.assertEqual(got.tolist(), [[0, 7, 1], [0, 8, 1]])
            response = client.step(GOOD, GOOD)
            self.assertEqual(rows(response)[:, 0].tolist(), [1, 1])
            self.assertEqual(np.frombuffer(response[3][0], np.float32).tolist(), [1, 1])
            self.assertFalse({4, 5, 6, 7, 8} & set(response))
            again = (3, [np.zeros(2, np.int64).tobytes()])
            self.assertEqual(decode(client.send(2, again)), response)
            old = client.stream
            client.connect()  # a new stream of the same session
            self.assertEqual(decode(client.send(2, again)), response)
            self.assertEqual(rows(client.step(GOOD, GOOD))[:, 0].tolist(), [2, 2])
            old.put(encode((1, client.session), (2, 4), again))
            self.refused("ABORTED", lambda: next(old))
            self.refused("OUT_OF_RANGE", lambda: client.send(9, again))

    def test_the_end_of_an_episode(self):
        with self.stub(3, limit=4) as client:
            client.reset(seeds=[1, 2, 3])
            response = client.step(GOOD, TERMINATE, GOOD)
            self.assertEqual(response[4], [b"\0\1\0"])
            self.assertEqual(response[5], [b"\0\0\0"])
            self.assertEqual(rows(response).tolist(), [[1, 1, 1], [0, 2, 2], [1, 3, 1]])
            self.assertEqual(rows(response, 6).tolist(), [[1, 2, 1]])
            client.step(GOOD, GOOD, GOOD)
            client.step(GOOD, GOOD, GOOD)
            response = client.step(GOOD, GOOD, TERMINATE)
            self.assertEqual((response[4], response[5]), ([b"\0\0\1"], [b"\1\0\0"]))
            self.assertEqual(rows(response, 6)[:, 0].tolist(), [4, 4])
            response = client.reset(mask=[0, 1, 0], seeds=[0, 9, 0])
            self.assertEqual(rows(response)[1].tolist(), [0, 9, 3])
            self.assertEqual(outcomes(response, 3), [0, 3, 0])

    def test_what_cannot_be_opened_is_refused(self):
        with self.stub(5) as client:
            new = functools.partial(Client, self.address, frames=self.frames)
            for count in (4, tandem_env.MAX_ENVS + 1):
                self.assertIn("3 of 8", self.refused("RESOURCE_EXHAUSTED", lambda n=count: new(n)))
            self.assertIn("unexpected",
                          self.refused("INVALID_ARGUMENT", lambda: new(1, '{"x": 1}')))
            self.assertIn("change the spaces",
                          self.refused("INVALID_ARGUMENT", lambda: new(1, '{"size": 2}')))
            self.refused("INVALID_ARGUMENT", lambda: new(1, "[]"))
            self.assertIn("the maker failed",
                          self.refused("INTERNAL", lambda: new(1, '{"fail_after": "/"}')))
            self.refused("INVALID_ARGUMENT", lambda: new(0))
            self.refused("UNIMPLEMENTED", lambda: client.call("Describe"))
            other = new(3)
            self.refused("INVALID_ARGUMENT", lambda: other.step(0, 0, 0))
            other.connect()
            other.step_id = 0
            other.reset()
            self.refused("INVALID_ARGUMENT", lambda: other.step(0, 0))
            other.connect()
            self.refused("INVALID_ARGUMENT", lambda: other.send(2, (3, 7)))  # no bytes
            other.connect()
            other.step_id = 1
            other.step(0, 0, 0)
            own, other.session = other.session, client.session
            self.refused("INVALID_ARGUMENT", lambda: other.step(0, 0, 0))
            other.session = own
            other.close()
            self.assertEqual(client.call("Describe", (1, 1))[7], [3])
            client.session = b"guess"
            self.refused("NOT_FOUND", client.reset)

    def test_an_idle_session_is_closed(self):
        with self.stub(4, "--idle-timeout", "0.3") as client:
            client.reset()
            client.stream.put(None)
            end = time.monotonic() + 5
            while client.call("Describe", (1, 1)).get(7) != [8] and time.monotonic() < end:
                time.sleep(0.05)
            client.connect()
            self.refused("NOT_FOUND", lambda: client.step(0, 0, 0, 0))


class FramesTest(StreamTest):
    """All of that over frames, and what they have of their own."""

    frames = True

    def step(self, client, step_id):
        return encode((1, client.session), (2, step_id), (3, [np.zeros(2, np.int64).tobytes()]))

    def test_a_session_goes_on_over_the_other_kind_of_stream_without_stepping_twice(self):
        with self.stub(2) as client:
            self.assertIn(b"frames", client.description[8])
            client.reset()
            response = client.step(GOOD, GOOD)
            old, client.frames = client.stream, False
            client.connect()
            client.stream.put(self.step(client, 2))
            self.assertEqual(decode(next(client.stream)), response)
            self.assertEqual(rows(client.step(GOOD, GOOD))[:, 0].tolist(), [2, 2])
            old.put(self.step(client, 4))
            self.refused("ABORTED", lambda: next(old))
            client.frames = True
            client.connect()
            self.assertEqual(rows(client.step(GOOD, GOOD))[:, 0].tolist(), [3, 3])

    def test_requests_in_pieces_and_one_that_breaks_off(self):
        with self.stub(2) as client:
            client.reset()
            whole = frame(self.step(client, 2))
            for at in range(len(whole)):
                client.stream.socket.sendall(whole[at:at + 1])
            self.assertEqual(rows(decode(next(client.stream)))[:, 0].tolist(), [1, 1])
            for cut in (5, 12, 20, len(whole) - 1):
                client.stream.socket.sendall(frame(self.step(client, 3))[:cut])
                client.stream.put(None)
                client.connect()
            client.step_id = 2
            self.assertEqual(rows(client.step(GOOD, GOOD))[:, 0].tolist(), [2, 2])
            two = frame(self.step(client, 4)) + frame(self.step(client, 5))
            client.stream.socket.sendall(two)
            got = [rows(decode(next(client.stream)))[0, 0] for _ in range(2)]
            self.assertEqual(got, [3, 4])

    def test_what_is_no_frame_ends_the_connection_alone(self):
        with self.stub(2) as client:
            client.reset()
            for raw in (b"GET / HTTP/1.1\r\n\r\n", frame(b"", magic=b"TEF9"), frame(b"hello")):
                stranger = FrameStream(self.address, greeting=None)
                stranger.socket.sendall(raw)
                self.refused("ENDED", lambda: next(stranger))
            large = FrameStream(self.address)
            large.socket.sendall(tandem_env.FRAME.pack(tandem_env.FRAME_MAGIC, 0, 1 << 30))
            self.assertIn("1073741824 bytes",
                          self.refused("RESOURCE_EXHAUSTED", lambda: next(large)))
            nonsense = FrameStream(self.address)
            nonsense.put(b"\xff" * 12)
            self.refused("INVALID_ARGUMENT", lambda: next(nonsense))
            self.assertEqual(rows(client.step(GOOD, GOOD))[:, 0].tolist(), [1, 1])

    def test_the_socket_is_the_servers_alone(self):
        path = pathlib.Path(f"{self.folder}/env.sock.frames")
        path.touch()  # what a server that was killed leaves behind
        with self.stub(2) as client:
            client.reset()
            self.process.terminate()
            self.process.wait(10)
            self.refused("ENDED", lambda: client.step(GOOD, GOOD))
            self.assertFalse(path.exists())
            client.close = lambda: None

    def test_a_path_too_long_leaves_grpc(self):
        name = "x" * (100 - len(str(self.folder)))
        self.address = f"unix:{self.folder}/{name}"
        self.frames = False
        with self.stub(2) as client:
            self.assertNotIn(b"frames", client.description[8])
            client.reset()


class FaultTest(ServerTest):
    def check_faults(self, client):
        client.reset(seeds=[1, 2, 3, 4])
        for action, kind, text in ((RAISE, 1, "told to raise"), (EXIT, 1, "told to exit"),
                                   (CANCEL, 1, "told to"), (INTERRUPT, 1, "told to"),
                                   (LEAVE, 1, "told to"), (NAN, 4, "nan"),
                                   (SHAPE, 5, "the observation: expected float64 (3,)"),
                                   (OLD_GYM, 5, "step: expected 5 values (observation, reward, "
                                    "terminated, truncated, info), got 4 values"),
                                   (NAN_REWARD, 4, "reward"), (BAD_FINAL, 4, "nan")):
            response = client.step(GOOD, action, GOOD, GOOD)
            self.assertEqual(outcomes(response, 4), [0, 1, 0, 0], action)
            self.assertNotIn(4, response)
            [(env, got, message)] = faults(response)
            self.assertEqual((env, got), (1, kind))
            self.assertIn(text, message)
            # At once: the failure before is forgotten after so many steps.
            self.assertEqual(outcomes(client.step(0, 0, 0, 0), 4), [0, 3, 0, 0])
            for _ in range(tandem_env.HEALTHY_STEPS):
                client.step(0, 0, 0, 0)
        response = client.step(0, 0, 0, 0, restart=b"\1\0\0\0")
        self.assertIn(outcomes(response, 4)[0], (2, 3))
        self.assertEqual(outcomes(response, 4)[1:], [0, 0, 0])

    def test_in_process(self):
        with self.stub(4, arguments=LONG) as client:
            self.check_faults(client)

    def test_in_workers(self):
        arguments = '{"limit": 1000000, "unused": "%s"}' % (300_000 * "x")
        with self.stub(4, "--workers", "2", arguments=arguments) as client:
            self.check_faults(client)

    def test_a_reset_that_fails_at_an_end_is_one_failure_and_told_in_the_step_after(self):
        flag = self.folder / "flag"
        for workers in ([], ["--workers", "1"]):
            with self.subTest(workers), self.stub(
                    2, *workers, arguments=f'{{"fail_reset": "{flag}"}}') as client:
                client.reset(seeds=[1, 2])
                client.step(GOOD, GOOD)
                flag.touch()
                response = client.step(TERMINATE, GOOD)
                self.assertEqual(outcomes(response, 2), [0, 0])
                self.assertEqual((response[4], rows(response, 6)[0, 0]), ([b"\1\0"], 2))
                [(env, kind, text)] = faults(response)
                self.assertEqual((env, kind), (0, 1))
                self.assertIn("the reset failed", text)
                for expected in ([1, 0], [3, 0], [0, 0]):
                    response = client.step(GOOD, GOOD)
                    self.assertEqual((outcomes(response, 2), faults(response)), (expected, []))

    def test_pauses_grow_and_a_step_without_environments_waits_no_longer_than_told(self):
        flag = self.folder / "flag"
        with self.stub(1, arguments=f'{{"fail_after": "{flag}"}}') as client:
            client.reset()
            flag.touch()
            self.assertEqual(outcomes(client.step(RAISE), 1), [1])
            waits, failed = [], 0
            while failed < 3:
                begin = time.monotonic()
                response = client.step(GOOD)
                waits.append(time.monotonic() - begin)
                failed += len(faults(response))
                self.assertEqual(outcomes(response, 1), [2])
            self.assertLess(max(waits), 0.2)
            self.assertGreater(sum(waits), 0.25)
            flag.unlink()
            end = time.monotonic() + 10
            while outcomes(client.step(GOOD), 1) != [3]:
                self.assertLess(time.monotonic(), end)

    def check_lost_worker(self, action, kind, text):
        with self.stub(4, "--workers", "2", step_ms=1000, arguments=LONG) as client:
            self.assertIn(b"isolate", client.description[8])
            client.reset(seeds=[1, 2, 3, 4])
            response = client.step(GOOD, action, GOOD, GOOD)
            self.assertEqual(outcomes(response, 4), [1, 1, 0, 0])
            found = faults(response)
            self.assertEqual([fault[:2] for fault in found], [(1, kind), (0, kind)])
            self.assertIn(text, found[0][2])
            self.assertEqual(found[1][2], "shared a process with environment 1")
            steps, end = 1, time.monotonic() + 10
            while True:
                response = client.step(0, 0, 0, 0)
                steps += 1
                self.assertEqual(rows(response)[2:].tolist(), [[steps, 3, 1], [steps, 4, 1]])
                if outcomes(response, 4) != [2, 2, 0, 0]:
                    break
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            self.assertEqual(outcomes(response, 4), [3, 3, 0, 0])
            self.assertNotEqual(rows(response)[0, 1], 1)  # not the same episode again
            self.assertEqual(outcomes(client.step(0, 0, 0, 0), 4), [0, 0, 0, 0])
            self.assertRegex((self.folder / "log").read_text(),
                             f"2 of 4 .*failed; 1: (.|\n)*{text}")
            return found[0][2]

    def test_a_worker_that_crashes(self):
        text = self.check_lost_worker(SEGFAULT, 2, "last words")
        child = re.search(r"the parent of (\d+)\.", text)[1]
        self.assertFalse(os.path.exists(f"/proc/{child}/exe"), "its children end with it")

    def test_a_worker_that_hangs(self):
        self.check_lost_worker(HANG, 3, "longer than 1 s")

    def test_workers_that_hang_at_once_are_timed_at_once(self):
        with self.stub(3, "--workers", "3", step_ms=1000, arguments=LONG) as client:
            client.reset()
            begin = time.monotonic()
            self.assertEqual(outcomes(client.step(HANG, HANG, HANG), 3), [1, 1, 1])
            self.assertGreater(time.monotonic() - begin, 0.99)
            self.assertLess(time.monotonic() - begin, 1.95)

    def test_a_fork_that_fails_is_tried_again_and_without_a_zygote_the_server_ends(self):
        flag = self.folder / "flag"
        with self.stub(2, "--workers", "2", arguments=LONG, status=1,
                       environment={NO_FORK: str(flag)}) as client:
            client.reset()
            flag.touch()
            self.assertEqual(outcomes(client.step(SEGFAULT, GOOD), 2), [1, 0])
            texts = []
            while len(texts) < 2:
                response = client.step(0, 0)
                self.assertEqual(outcomes(response, 2), [2, 0])
                texts += [fault[2] for fault in faults(response)]
            self.assertIn("no more processes", texts[0])
            self.refused("INTERNAL", lambda: Client(self.address, 3))
            self.assertEqual(client.call("Describe", (1, 1))[7], [6])
            flag.unlink()
            end = time.monotonic() + 10
            while outcomes(client.step(0, 0), 2) != [3, 0]:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            server = self.process.pid
            [zygote] = pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split()
            os.kill(int(zygote), signal.SIGKILL)
            self.assertEqual(self.process.wait(10), 1)
        self.assertIn("has died", (self.folder / "log").read_text())

    def test_all_workers_gone_answers_soon(self):
        with self.stub(2, "--workers", "1", arguments='{"slow_reset_s": 0.25}') as client:
            client.reset()
            self.assertEqual(outcomes(client.step(SEGFAULT, GOOD), 2), [1, 1])
            client.step(0, 0)  # starts it
            begin, states = time.monotonic(), []
            while not states or states[-1] == [2, 2]:
                states.append(outcomes(client.step(0, 0), 2))
                self.assertLess(time.monotonic() - begin, 10)
            self.assertEqual(states[-1], [3, 3])
            self.assertGreater(len(states), 3)


class FleetTest(unittest.TestCase):
    """Environments without a server."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        arguments = {"limit": 1000000, "fail_after": self.folder / "flag"}
        description = tandem_env.describe(Stub())
        self.fleet = tandem_env.Fleet(Stub, description, tandem_env.Task(3, arguments))
        self.session = tandem_env.Session(self.fleet, description, 3)
        self.fleet.make()
        self.session.take(self)

    def ask(self, step_id, *fields):
        return decode(self.session.answer(decode(encode((2, step_id), *fields)), self))

    def reset(self, step_id, mask, seeds):
        return self.ask(step_id, (4, bytes(mask)), (5, np.array(seeds, np.uint64).tobytes()))

    def step(self, step_id, *actions):
        return self.ask(step_id, (3, [np.array(actions, np.int64).tobytes()]))

    def test_pauses_grow_while_the_others_step(self):
        self.reset(1, [1, 1, 1], [1, 2, 3])
        (self.folder / "flag").touch()
        failed, step_id, begin = len(faults(self.step(2, RAISE, 0, 0))), 3, time.monotonic()
        while time.monotonic() - begin < 0.6:
            failed += len(faults(self.step(step_id, 0, 0, 0)))
            step_id += 1
        self.assertGreater(step_id, 500)
        self.assertTrue(3 <= failed <= 5, failed)  # it, and after 0, 0.1, 0.3 [s]

    def test_a_reset_of_some_leaves_the_others_seeds_and_does_not_say_that_they_run(self):
        self.reset(1, [1, 1, 1], [1, 2, 3])
        (self.folder / "flag").touch()
        self.step(2, RAISE, 0, 0)
        response = self.reset(3, [0, 1, 0], [7, 8, 9])
        self.assertEqual(outcomes(response, 3), [2, 3, 0])
        self.assertEqual(rows(response)[1:, 1].tolist(), [8, 3])
        self.assertEqual(self.fleet.columns.seeds.tolist(), [1, 8, 3])

    def test_what_failed_half_way_never_steps_again(self):
        self.reset(1, [1, 1, 1], [1, 2, 3])
        self.fleet._check_finite = lambda: 1 / 0  # as after the environments have stepped
        for text in ("ZeroDivisionError", "closed"):
            with self.assertRaisesRegex(tandem_env.Refused, text) as caught:
                self.step(2, 0, 0, 0)
            self.assertEqual(caught.exception.code, "NOT_FOUND")
        self.assertEqual(self.fleet._envs, [None] * 3)

    def test_types_that_mean_something_else_lose_the_environment(self):
        fleet = tandem_env.Fleet(Typed, tandem_env.describe(Typed()), tandem_env.Task(1, {}))
        fleet.make()
        fleet.columns.reset[:] = 1
        fleet.reset(False)
        for action in range(len(Typed.GOOD)):
            fleet.columns.actions[0][:] = action
            self.assertEqual((fleet.step(False), fleet.outcomes.tolist()), ([], [0]), action)
            self.assertEqual(fleet.columns.rewards.tolist(), [1])
        self.assertEqual(fleet.columns.observations[0].tolist(), [[65535]])
        for action, (_, text) in enumerate(Typed.BAD, len(Typed.GOOD)):
            fleet.columns.actions[0][:] = action
            [fault] = fleet.step(False)
            self.assertEqual((fault.kind, fleet.outcomes.tolist()), (5, [1]), text)
            self.assertIn(text, fault.message)
            fleet.columns.reset[:] = 1
            fleet.reset(False)

    def test_sessions_that_nobody_waits_for_or_of_which_there_are_enough_are_not_opened(self):
        server = tandem_env.Server(Stub, 8)
        request = decode(encode((1, 1), (2, 3), (5, 1000), (6, 1000)))

        def refused(active):
            context = mock.Mock(is_active=lambda: active)
            with self.assertRaises(tandem_env.Refused) as caught:
                server._open(request, context)
            self.assertEqual(server._used, 3 * len(server._sessions))
            return caught.exception.code

        self.assertEqual(refused(active=False), "CANCELLED")
        with mock.patch.object(tandem_env, "MAX_SESSIONS", 1):
            server._open(request, mock.Mock(is_active=lambda: True))
            self.assertEqual(refused(active=True), "RESOURCE_EXHAUSTED")


class SpacesTest(ServerTest):
    def test_nested_spaces(self):
        with self.serving("--make", "tandem_env_test:Nested"):
            client = Client(self.address, 2)
            leaves = [decode(raw) for raw in client.description[3]]
            self.assertEqual([leaf[1][0] for leaf in leaves],
                             [b"arm.pose", b"arm.open", b"mode", b"pair.0", b"pair.1", b"flag"])
            self.assertEqual([leaf[2][0] for leaf in leaves], [1, 4, 2, 1, 3, 1])
            self.assertEqual([leaf[3][0] for leaf in leaves], [1, 5, 4, 6, 4, 6])
            actions = [decode(raw) for raw in client.description[4]]
            self.assertEqual(actions[2][4], [b"\x04"])  # flat
            client.reset()
            columns = [np.array([[0, 0.5], [0, 0.25]], np.float32), np.array([2, 1]),
                       np.array([[0, 0, 0, 3], [1, 1, 1, 4]])]
            response = client.request((3, [column.tobytes() for column in columns]))
            self.assertNotIn(8, response)
            pose, opened, mode, byte, pair, flag = response[2]
            self.assertEqual(np.frombuffer(pose, np.float32).tolist(), [0.5] * 4 + [0.25] * 4)
            self.assertEqual(list(opened), [1, 0, 1] * 2)
            self.assertEqual(np.frombuffer(mode, np.int64).tolist(), [4, 3])
            self.assertEqual(list(byte), [200, 200])
            self.assertEqual(np.frombuffer(pair, np.int64).tolist(), [1, 3, 1, 4])
            self.assertEqual(list(flag), [1, 1])
            client.close()

    def test_bounds_are_shortened_on_both_sides_or_on_none(self):
        for low, high, expected in (
                (0, [10, 20], ([0, 0], [10, 20])), ([-1, 0], 1, ([-1, 0], [1, 1])),
                (-np.inf, [1, 2], ([-np.inf] * 2, [1, 2])), (-2, 2, ([-2], [2])),
                ([1, 2], [3, 4], ([1, 2], [3, 4]))):
            [leaf] = tandem_env.leaves_of(Box(low, high, (2,)), "observation")
            got = np.frombuffer(leaf.low).tolist(), np.frombuffer(leaf.high).tolist()
            self.assertEqual(got, expected)

    def test_what_cannot_be_served_is_named(self):
        for space, text in ((Text(), "the action space is a Text"),
                            (Dict(a=Box(0, 1, (2,)), b=Tuple(Text())), "leaf 'b.0' is a Text"),
                            (Box(0, 1, (2, 0)), "empty shape"),
                            (Box(0, 1, (1,), np.uint64), "uint64"), (Dict(), "no leaf"),
                            (Dict(**{"a.b": Discrete(2), "a": Dict(b=Discrete(2))}), "one name")):
            with self.assertRaisesRegex(ValueError, text):
                tandem_env.leaves_of(space, "action")


@unittest.skipUnless(importlib.util.find_spec("gymnasium"), "gymnasium is not installed")
class GymnasiumTest(ServerTest):
    def test_a_rollout_is_gymnasiums(self):
        import gymnasium
        env = gymnasium.make("CartPole-v1")
        for arguments in (["--gym", "CartPole-v1"], ["--gym", "CartPole-v1", "--workers", "2"]):
            with self.subTest(arguments), self.serving(*arguments):
                client = Client(self.address, 2)
                got = client.reset(seeds=[5, 6])
                expected, _ = env.reset(seed=5)
                ends = 0
                for t in range(60):
                    row = np.frombuffer(got[2][0], np.float32).reshape(2, 4)[0]
                    np.testing.assert_array_equal(row, expected)
                    action = t % 3 % 2
                    expected, _, terminated, truncated, _ = env.step(action)
                    got = client.step(action, 1)
                    self.assertEqual(got.get(4, [bytes(2)])[0][0], terminated)
                    if terminated:
                        final = np.frombuffer(got[6][0], np.float32).reshape(-1, 4)[0]
                        np.testing.assert_array_equal(final, expected)
                        expected, _ = env.reset()
                        ends += 1
                self.assertGreater(ends, 0)
                client.close()

    def test_a_module_may_register_the_environment(self):
        (self.folder / "mine.py").write_text(
            "import gymnasium\n"
            "gymnasium.register('Mine-v0', entry_point="
            "'gymnasium.envs.classic_control.pendulum:PendulumEnv', max_episode_steps=9)\n")
        with self.serving("--gym", "mine:Mine-v0", PYTHONPATH=str(self.folder)):
            client = Client(self.address, 1)
            self.assertEqual((client.description[2], client.description[5]),
                             ([b"gym:mine:Mine-v0"], [9]))
            client.close()

    def test_a_limit_of_the_client_replaces_that_of_the_environment(self):
        with self.serving("--gym", "Pendulum-v1"):
            for limit in (7, 230):  # its own: 200
                client = Client(self.address, 1, limit=limit)
                self.assertEqual(client.description[5], [200])
                client.reset()
                steps = 1
                while 5 not in client.request((3, [bytes(4)])):
                    steps += 1
                self.assertEqual(steps, limit)
                client.close()


if __name__ == "__main__":
    unittest.main()
