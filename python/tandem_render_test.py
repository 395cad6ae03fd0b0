"""Tests tandem_render.py and what it uses: real environments, real files, the real command."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image

import tandem_env
import tandem_play
import tandem_plot
import tandem_render
from tandem_plot import Episode, Field

SOURCE = pathlib.Path(__file__).resolve().parent
TANDEM = pathlib.Path(os.environ.get("TANDEM_BINARY_DIR", SOURCE.parent / "build/release"),
                      "bin/tandem")


def snapshot(observation, action, environment="somewhere"):
    """A policy that pushes with all its might, whatever it observes."""
    tensors = {"actor.w0": np.zeros((observation, 4), np.float32), "actor.b0": np.zeros(4, "f4"),
               "actor.w1": np.zeros((4, 2 * action), "f4"),
               "actor.b1": np.full(2 * action, 5.0, "f4"),
               "action_low": -np.ones(action, "f4"), "action_high": np.ones(action, "f4")}
    header, at = {"__metadata__": {
        "kind": "sac", "hidden": "4", "policy_updates": "7", "obs_dim": str(observation),
        "action_dim": str(action), "environment": environment}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + b"".join(
        tensor.astype("<f4").tobytes() for tensor in tensors.values())


class FlatRowTest(unittest.TestCase):
    def test_choices_become_numbers_and_scores_become_choices(self):
        leaves = [tandem_env.Leaf("", tandem_env.DISCRETE, np.dtype("int64"), (), np.dtype("int64"),
                                  (), choices=(3,), start=5),
                  tandem_env.Leaf("b", tandem_env.MULTI_BINARY, np.dtype("int8"), (2,),
                                  np.dtype("int8"), (2,)),
                  tandem_env.Leaf("c", tandem_env.BOX, np.dtype("int32"), (1,), np.dtype("int32"),
                                  (1,), low=np.float64(-2).tobytes(), high=np.float64(2).tobytes())]
        self.assertEqual(tandem_play.widths(leaves), [3, 2, 1])
        self.assertEqual(tandem_play.flatten(leaves, [6, [1, 0], [2]]).tolist(),
                         [0, 1, 0, 1, 0, 2])
        arrays = tandem_play.unflatten(leaves, np.array([-1, 0.2, 0.2, 0.1, -0.1, 7.0]))
        self.assertEqual([array.tolist() for array in arrays], [6, [1, 0], [2]])
        self.assertEqual([array.dtype.name for array in arrays], ["int64", "int8", "int32"])

    def test_a_leaf_comes_back_from_its_message(self):
        leaf = tandem_env.Leaf("arm.x", tandem_env.MULTI_DISCRETE, np.dtype("int64"), (2,),
                               np.dtype("int64"), (2,), choices=(3, 300))
        self.assertEqual(tandem_env.Leaf.of(leaf.message()), leaf)
        with self.assertRaises(ValueError):
            tandem_env.Leaf.of(tandem_env.encode((2, 9), (3, 1)))


class PlotTest(unittest.TestCase):
    EPISODE = Episode(np.array([[-1, -1], [0, -1], [0, 0.5]], np.float32), np.ones((2, 2)),
                      np.array([1.0, 100.0]), "truncated")
    FIELD = Field(size=15, walls=[[-1, 6.5, 8, 8.5]], goal=[13, 13, 15, 15], one_hot=False)

    def test_positions_of_both_kinds(self):
        self.assertEqual(self.FIELD.path(self.EPISODE.observations).tolist(),
                         [[0, 0], [7.5, 0], [7.5, 11.25]])
        grid = Field(size=10, walls=[], goal=[0, 0, 1, 1], one_hot=True)
        self.assertEqual(grid.path(np.eye(100, dtype=np.float32)[[0, 37]]).tolist(),
                         [[0.5, 0.5], [3.5, 7.5]])

    def test_walls_goal_and_path_are_drawn(self):
        image = tandem_plot.plot(self.EPISODE, "maze", (800, 600), self.FIELD)
        colours = {colour for _, colour in image.getcolors(1 << 20)}
        self.assertLessEqual({tandem_plot.WALL, tandem_plot.GOAL, tandem_plot.COLOURS[0]}, colours)
        plain = tandem_plot.plot(self.EPISODE, "maze", (800, 600))
        self.assertNotIn(tandem_plot.GOAL, {colour for _, colour in plain.getcolors(1 << 20)})

    def test_the_plot_of_a_gif_grows(self):
        frames = tandem_plot.frames_of(self.EPISODE, "maze", (320, 240), None)
        self.assertEqual(len(frames), 2)
        self.assertNotEqual(frames[0].tobytes(), frames[1].tobytes())
        self.assertEqual(frames[1].tobytes(),
                         tandem_plot.plot(self.EPISODE, "maze", (320, 240)).tobytes())


class RenderTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_one(self, *command, code=0):
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=self.folder,
                              env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def render(self, *arguments, code=0):
        return self.run_one(sys.executable, "-m", "tandem_render", *arguments, code=code)

    def served(self):
        """A real server of the example's ball."""
        address = f"unix:{self.folder}/env.sock"
        process = subprocess.Popen(
            [sys.executable, SOURCE / "examples/own_environment.py", "--listen", address],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)
        self.assertIn(address, process.stdout.readline())
        return address

    def test_a_served_environment_is_plotted(self):
        address = self.served()
        said = self.render(address, "--out", "ball.gif", "--episodes", "2", "--steps", "30",
                           "--size", "400x300")
        self.assertIn("no --policy: random actions", said)
        self.assertRegex(said, r"episode 2: return [0-9.]+ in 30 steps, cut off")
        self.assertIn("ball.gif: a plot", said)
        with Image.open(self.folder / "ball.gif") as image:
            self.assertEqual((image.size, image.n_frames), ((400, 300), 60))

    def test_a_policy_acts_and_one_that_does_not_fit_is_refused(self):
        address = self.served()
        run = self.folder / "run"
        (run / "state/policy_trainer").mkdir(parents=True)
        said = self.render(address, "--policy", str(run), code=1)
        self.assertIn("holds no policy", said)
        (run / "state/policy_trainer/checkpoint.safetensors").write_bytes(snapshot(2, 1))
        said = self.render(address, "--policy", str(run), "--out", "ball.png")
        self.assertIn("after 7 updates", said)
        # The policy pushes right until the ball falls off at 3.
        self.assertRegex(said, r"episode 1: return \S+ in [1-9][0-9]? steps, terminated")
        again = self.render(address, "--policy", str(run), "--out", "ball.png")
        self.assertEqual(said, again)
        (self.folder / "other.safetensors").write_bytes(snapshot(3, 1, "elsewhere"))
        said = self.render(address, "--policy", "other.safetensors", code=1)
        self.assertIn("of elsewhere takes 3 numbers and gives 1; ball gives 2 and takes 1", said)

    def test_the_example_loads_a_policy_of_a_run_and_acts(self):
        run, example = self.folder / "run", SOURCE / "examples/load_and_act.py"
        (run / "state/policy_trainer").mkdir(parents=True)
        file = run / "state/policy_trainer/checkpoint.safetensors"
        said = self.run_one(sys.executable, example, run, "0", "0", code=1)
        self.assertIn("load_and_act: No such file", said)
        file.write_bytes(snapshot(2, 1))
        said = self.run_one(sys.executable, example, run, "0", "0")
        self.assertAlmostEqual(float(said), np.tanh(5), places=6)
        self.assertEqual(said, self.run_one(sys.executable, example, file, "1", "-2"))
        said = self.run_one(sys.executable, example, run, "0", code=1)
        self.assertIn("expected 2 finite numbers", said)
        file.write_bytes(snapshot(2, 1).replace(b'"sac"', b'"abc"'))
        said = self.run_one(sys.executable, example, run, "0", "0", code=1)
        self.assertIn("expected a policy of kind sac, got 'abc'", said)

    def test_what_is_wrong_is_said(self):
        self.assertIn("no server answers", self.render("unix:/nowhere/env.sock", code=1))
        self.assertIn("expected FILE.gif or FILE.png",
                      self.render("gym:CartPole-v1", "--out", "a.mp4", code=2))
        self.assertIn("expected WIDTHxHEIGHT",
                      self.render("gym:CartPole-v1", "--size", "big", code=2))
        self.assertIn("Gymnasium does not make Nope-v1", self.render("gym:Nope-v1", code=1))
        self.assertIn("is no folder of a run, no file and no address",
                      self.render("gym:CartPole-v1", "--plot", "--policy", "nothing", code=1))

    def test_discrete_actions_of_gymnasium_are_plotted(self):
        said = self.render("gym:CartPole-v1", "--plot", "--out", "cartpole.png")
        self.assertIn("a plot (a plot was asked for)", said)
        with Image.open(self.folder / "cartpole.png") as image:
            self.assertEqual(image.size, tandem_render.PLOT)

    def test_a_broken_graphics_library_leads_to_a_plot(self):
        (self.folder / "broken").mkdir()
        (self.folder / "broken/gymnasium.py").write_text("import os\nos.abort()\n")
        os.environ["PYTHONPATH"] = f"{self.folder / 'broken'}:{SOURCE}"
        self.addCleanup(os.environ.pop, "PYTHONPATH")
        self.assertIn("signal 6", tandem_render.why_not_drawn("Hopper-v5", {}, None))

    def test_mujoco_draws(self):
        why = tandem_render.why_not_drawn("HalfCheetah-v5", {}, None)
        if why:
            self.skipTest(f"this machine does not draw: {why}")
        said = self.render("gym:HalfCheetah-v5", "--steps", "4", "--size", "160x120")
        self.assertIn("episode.gif: drawn by HalfCheetah-v5", said)
        self.assertNotIn("settotalmass", said)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["episode.gif"])
        with Image.open(self.folder / "episode.gif") as image:
            self.assertEqual((image.size, image.n_frames), ((160, 120), 5))
            self.assertGreater(np.asarray(image.convert("RGB")).std(), 20)

    def test_the_command_passes_on_what_it_was_told(self):
        self.assertIn("not in range", self.run_one(TANDEM, "env", "render", "maze", "--steps", "0",
                                                   code=2))
        self.assertIn('did you mean "maze"', self.run_one(TANDEM, "env", "render", "maz", code=2))
        self.assertIn("required", self.run_one(TANDEM, "env", "render", code=2))
        said = self.run_one(TANDEM, "env", "render", self.served(), "--out", "b.png", "--seed", "3",
                            "--episodes", "2", "--steps", "5", "--size", "200x160", "--plot")
        self.assertIn("episode 2: return", said)
        self.assertIn("in 5 steps, cut off", said)
        with Image.open(self.folder / "b.png") as image:
            self.assertEqual(image.size, (320, 480))

    def test_a_maze_of_our_own_is_shown_with_its_walls(self):
        said = self.run_one(TANDEM, "env", "render", "maze", "--out", "maze.png", "--seed", "3")
        self.assertIn("in 50 steps, truncated", said)
        self.assertIn("nothing draws maze", said)
        with Image.open(self.folder / "maze.png") as image:
            colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
        self.assertLessEqual({tandem_plot.WALL, tandem_plot.GOAL}, colours)


if __name__ == "__main__":
    unittest.main()
