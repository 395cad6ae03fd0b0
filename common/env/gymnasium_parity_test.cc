#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/env/simulation.h"

namespace tandem {
namespace {

constexpr double kTolerance = 1e-6;

struct PipeCloser {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

// Lines of tests/env/gymnasium_rollout.py: a word, then numbers.
struct Line {
  std::string word;
  std::vector<double> numbers;
};

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<Line> PlayInGymnasium(const std::string& name, int steps, int seed) {
  std::ostringstream command;
  command << FromEnvironment("TANDEM_PYTHON") << " " << FromEnvironment("TANDEM_SOURCE_DIR")
          << "/tests/env/gymnasium_rollout.py " << name << " " << steps << " " << seed;
  std::unique_ptr<FILE, PipeCloser> pipe(popen(command.str().c_str(), "r"));
  std::vector<Line> lines;
  if (pipe == nullptr) return lines;
  std::array<char, 4096> buffer;
  while (fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
    std::istringstream text(buffer.data());
    Line line;
    text >> line.word;
    for (double x; text >> x;) line.numbers.push_back(x);
    lines.push_back(std::move(line));
  }
  EXPECT_EQ(pclose(pipe.release()), 0) << command.str();
  return lines;
}

void ExpectNear(std::span<const double> expected, const std::vector<float>& got, size_t line) {
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], kTolerance * std::max(1.0, std::abs(expected[i])))
        << "element " << i << ", line " << line;
  }
}

void ExpectSpec(const Line& line, const EnvironmentSpec& spec) {
  ASSERT_EQ(line.word, "spec");
  const std::vector<double> expected = {
      static_cast<double>(spec.observation.dim()), static_cast<double>(spec.action.dim()),
      static_cast<double>(spec.max_episode_steps), spec.action.low[0], spec.action.high[0]};
  EXPECT_EQ(line.numbers, expected);
}

struct Played {
  int episodes = 0;
  int steps = 0;
  int terminated = 0;
  int truncated = 0;
};

// Plays the same actions from the same states and compares every step.
Played Compare(const std::string& name, int steps, int seed) {
  Played played;
  const std::vector<Line> lines = PlayInGymnasium(name, steps, seed);
  absl::StatusOr<std::unique_ptr<Environment>> made = MakeEnvironment(name);
  EXPECT_TRUE(made.ok()) << made.status();
  if (!made.ok() || lines.empty()) return played;
  Simulation& env = dynamic_cast<Simulation&>(**made);
  ExpectSpec(lines[0], env.spec());
  const size_t obs_dim = static_cast<size_t>(env.spec().observation.dim());
  std::vector<float> observation(obs_dim);
  for (size_t i = 1; i < lines.size() && !testing::Test::HasFailure(); ++i) {
    const std::span<const double> numbers = lines[i].numbers;
    if (lines[i].word == "episode") {
      EXPECT_TRUE(env.SetState(numbers.first(numbers.size() - obs_dim), observation).ok());
      ExpectNear(numbers.last(obs_dim), observation, i);
      ++played.episodes;
      continue;
    }
    const float action = static_cast<float>(numbers[0]);
    const absl::StatusOr<StepResult> result = env.Step({&action, 1}, observation);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return played;
    ExpectNear(numbers.subspan(1, obs_dim), observation, i);
    const std::span<const double> end = numbers.last(3);
    EXPECT_NEAR(result->reward, end[0], kTolerance * std::max(1.0, std::abs(end[0])));
    EXPECT_EQ(result->terminated, end[1] != 0) << "line " << i;
    // Gymnasium reports both where they fall on one step; for us a terminal state is terminal.
    EXPECT_EQ(result->truncated, end[2] != 0 && end[1] == 0) << "line " << i;
    ++played.steps;
    played.terminated += result->terminated ? 1 : 0;
    played.truncated += result->truncated ? 1 : 0;
  }
  return played;
}

TEST(GymnasiumParity, InvertedPendulum) {
  const Played played = Compare("inverted_pendulum", /*steps=*/3000, /*seed=*/1);
  EXPECT_GE(played.steps, 3000);
  EXPECT_GE(played.terminated, 2);
  EXPECT_GE(played.truncated, 2);
}

TEST(GymnasiumParity, Pendulum) {
  const Played played = Compare("pendulum", /*steps=*/2000, /*seed=*/2);
  EXPECT_GE(played.steps, 2000);
  EXPECT_EQ(played.terminated, 0);
  EXPECT_EQ(played.truncated, played.episodes);
}

TEST(GymnasiumParity, CartpoleAtFullForce) {
  const Played played = Compare("cartpole_continuous", /*steps=*/2000, /*seed=*/3);
  EXPECT_GE(played.steps, 2000);
  EXPECT_GE(played.terminated, 2);
  EXPECT_GE(played.truncated, 2);
}

}  // namespace
}  // namespace tandem
