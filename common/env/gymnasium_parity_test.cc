#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "common/env/simulation.h"

namespace tandem {
namespace {

constexpr double kTolerance = 1e-6;

// What is played, and what must happen in it.
struct Game {
  const char* name;
  int steps;
  int seed;
  int terminated = 0;  // at least so many episodes end so
  int truncated = 1;
};

constexpr Game kGames[] = {
    {"acrobot", 800, 1, 2, 2},
    {"ant", 1600, 1, 1, 4},
    {"cartpole", 2000, 5, 2, 1},
    {"cartpole_continuous", 2000, 3, 2, 2},
    {"half_cheetah", 1000, 1},
    {"hopper", 600, 1, 2, 3},
    {"humanoid", 300, 1, 3, 4},
    {"inverted_double_pendulum", 300, 1, 4, 4},
    {"inverted_pendulum", 3000, 1, 2, 2},
    {"mountain_car", 1200, 1, 2, 2},
    {"mountain_car_continuous", 1200, 1, 2, 2},
    {"pendulum", 2000, 2, 0, 10},
    {"pusher", 300, 1, 0, 3},
    {"reacher", 300, 1, 0, 6},
    {"swimmer", 1000, 1},
    {"walker2d", 600, 1, 2, 3},
};

struct PipeCloser {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

// A line of tests/env/gymnasium_rollout.py: a word, then numbers.
struct Line {
  std::string word;
  std::vector<double> numbers;
};
using Rollout = std::vector<Line>;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Line Parse(const std::string& text) {
  Line line;
  const char* at = text.c_str();
  while (*at != '\0' && *at != ' ' && *at != '\n') line.word.push_back(*at++);
  for (char* end = nullptr;; at = end) {
    const double x = std::strtod(at, &end);
    if (end == at) return line;
    line.numbers.push_back(x);
  }
}

// All games in Gymnasium, in the order of kGames; played once, by one process.
const std::vector<Rollout>& PlayedInGymnasium() {
  static const std::vector<Rollout>* const rollouts = [] {
    auto* all = new std::vector<Rollout>;
    std::ostringstream command;
    command << FromEnvironment("TANDEM_PYTHON") << " " << FromEnvironment("TANDEM_SOURCE_DIR")
            << "/tests/env/gymnasium_rollout.py";
    for (const Game& game : kGames) {
      command << " " << game.name << " " << game.steps << " " << game.seed;
    }
    std::unique_ptr<FILE, PipeCloser> pipe(popen(command.str().c_str(), "r"));
    if (pipe == nullptr) return all;
    std::string text;
    std::array<char, 4096> buffer;
    while (fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
      text += buffer.data();
      if (text.back() != '\n') continue;
      Line line = Parse(text);
      text.clear();
      if (line.word == "spec") all->emplace_back();
      if (!all->empty()) all->back().push_back(std::move(line));
    }
    EXPECT_EQ(pclose(pipe.release()), 0) << command.str();
    return all;
  }();
  return *rollouts;
}

void ExpectNear(std::span<const double> expected, const std::vector<float>& got, size_t line) {
  ASSERT_EQ(expected.size(), got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], kTolerance * std::max(1.0, std::abs(expected[i])))
        << "element " << i << ", line " << line;
  }
}

void ExpectSpec(const Line& line, const EnvironmentSpec& spec) {
  ASSERT_EQ(line.word, "spec");
  ASSERT_GE(line.numbers.size(), 4u);
  std::vector<double> expected = {static_cast<double>(spec.observation.dim()),
                                  static_cast<double>(spec.action.dim()),
                                  static_cast<double>(spec.max_episode_steps), line.numbers[3]};
  expected.insert(expected.end(), spec.action.low.begin(), spec.action.low.end());
  expected.insert(expected.end(), spec.action.high.begin(), spec.action.high.end());
  EXPECT_EQ(line.numbers, expected);
}

// Mean, standard deviation, least and greatest of each element of `rows`, [N, dim], one after the
// other: the layout of the line "starts".
std::vector<double> Moments(const std::vector<std::vector<float>>& rows) {
  const size_t dim = rows[0].size();
  std::vector<double> out(4 * dim);
  for (size_t i = 0; i < dim; ++i) {
    double sum = 0, squares = 0, least = rows[0][i], greatest = rows[0][i];
    for (const std::vector<float>& row : rows) {
      sum += row[i];
      least = std::min<double>(least, row[i]);
      greatest = std::max<double>(greatest, row[i]);
    }
    const double mean = sum / static_cast<double>(rows.size());
    for (const std::vector<float>& row : rows) squares += (row[i] - mean) * (row[i] - mean);
    out[i] = mean;
    out[dim + i] = std::sqrt(squares / static_cast<double>(rows.size()));
    out[2 * dim + i] = least;
    out[3 * dim + i] = greatest;
  }
  return out;
}

class GymnasiumParity : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    ASSERT_EQ(PlayedInGymnasium().size(), std::size(kGames));
    ASSERT_GE(rollout().size(), 4u);
    ExpectSpec(rollout()[0], (*MakeEnvironment(game().name))->spec());
    const EnvironmentOptions options{.max_episode_steps =
                                         static_cast<int64_t>(rollout()[0].numbers.at(3))};
    absl::StatusOr<std::unique_ptr<Simulation>> made = MakeSimulation(game().name, options);
    ASSERT_TRUE(made.ok()) << made.status();
    env_ = *std::move(made);
    observation_.resize(static_cast<size_t>(env_->spec().observation.dim()));
  }
  const Game& game() const { return kGames[GetParam()]; }
  const Rollout& rollout() const { return PlayedInGymnasium()[GetParam()]; }

  // Does what one line says and compares; counts how episodes end.
  void Follow(size_t i) {
    const std::span<const double> numbers = rollout()[i].numbers;
    const size_t obs_dim = observation_.size();
    if (rollout()[i].word == "episode") {
      ASSERT_TRUE(env_->SetState(numbers.first(numbers.size() - obs_dim), observation_).ok());
      ExpectNear(numbers.last(obs_dim), observation_, i);
      return;
    }
    const size_t action_dim = static_cast<size_t>(env_->spec().action.dim());
    const std::vector<float> action(numbers.begin(), numbers.begin() + action_dim);
    const absl::StatusOr<StepResult> result = env_->Step(action, observation_);
    ASSERT_TRUE(result.ok()) << result.status();
    ExpectNear(numbers.subspan(action_dim, obs_dim), observation_, i);
    const std::span<const double> end = numbers.last(3);
    EXPECT_NEAR(result->reward, end[0], kTolerance * std::max(1.0, std::abs(end[0])));
    EXPECT_EQ(result->terminated, end[1] != 0) << "line " << i;
    // Gymnasium reports both where they fall on one step; for us a terminal state is terminal.
    EXPECT_EQ(result->truncated, end[2] != 0 && end[1] == 0) << "line " << i;
    terminated_ += result->terminated ? 1 : 0;
    truncated_ += result->truncated ? 1 : 0;
    ++steps_;
  }

  std::unique_ptr<Simulation> env_;
  std::vector<float> observation_;
  int steps_ = 0, terminated_ = 0, truncated_ = 0;
};

INSTANTIATE_TEST_SUITE_P(All, GymnasiumParity, testing::Range<size_t>(0, std::size(kGames)),
                         [](const auto& info) { return std::string(kGames[info.param].name); });

TEST_P(GymnasiumParity, TheSameStepsFromTheSameStatesAndActions) {
  for (size_t i = 2; i < rollout().size() && !HasFailure(); ++i) Follow(i);
  EXPECT_GE(steps_, game().steps);
  EXPECT_GE(terminated_, game().terminated);
  EXPECT_EQ(game().terminated == 0 ? terminated_ : 0, 0);
  EXPECT_GE(truncated_, game().truncated);
}

// Moments and extremes: these part a uniform noise from a normal one of the same spread.
TEST_P(GymnasiumParity, StartsAreDrawnAlike) {
  const Line& line = rollout()[1];
  ASSERT_EQ(line.word, "starts");
  const size_t dim = observation_.size();
  const int count = static_cast<int>(line.numbers.at(0));
  const std::span<const double> expected = std::span(line.numbers).subspan(1);
  ASSERT_EQ(expected.size(), 4 * dim);
  std::vector<std::vector<float>> rows;
  for (int n = 0; n < count; ++n) {
    ASSERT_TRUE(env_->Reset(n == 0 ? std::optional<uint64_t>(1) : std::nullopt, observation_).ok());
    rows.push_back(observation_);
  }
  const std::vector<double> got = Moments(rows);
  for (size_t i = 0; i < dim; ++i) {
    const double std = expected[dim + i], rounding = 1e-6 * std::max(1.0, std::abs(expected[i]));
    EXPECT_NEAR(got[i], expected[i], 7 * std / std::sqrt(count) + rounding) << "mean of " << i;
    EXPECT_NEAR(got[dim + i], std, 0.12 * std + rounding) << "spread of " << i;
    EXPECT_NEAR(got[2 * dim + i], expected[2 * dim + i], 1.2 * std + rounding) << "least of " << i;
    EXPECT_NEAR(got[3 * dim + i], expected[3 * dim + i], 1.2 * std + rounding) << "most of " << i;
  }
}

}  // namespace
}  // namespace tandem
