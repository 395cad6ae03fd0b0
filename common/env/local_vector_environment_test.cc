#include "common/env/local_vector_environment.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace tandem {
namespace {

// Observes (episode, step) and ends after `length` steps; diverges at `diverge_at` of each episode.
class CountingEnvironment : public Environment {
 public:
  CountingEnvironment(int length, int diverge_at) : length_(length), diverge_at_(diverge_at) {
    spec_.name = "counting";
    spec_.observation = {{0, 0}, {1000, 1000}};
    spec_.action = {{-1}, {1}};
  }
  const EnvironmentSpec& spec() const override { return spec_; }
  absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) override {
    if (failing_resets > 0 && --failing_resets >= 0) return absl::InternalError("no start");
    ++episode_;
    step_ = 0;
    return Observe(observation);
  }
  absl::StatusOr<StepResult> Step(std::span<const float> action,
                                  std::span<float> observation) override {
    if (++step_ == diverge_at_) return absl::InternalError("diverged");
    if (action[0] > 1) return absl::InvalidArgumentError("too large");
    if (absl::Status status = Observe(observation); !status.ok()) return status;
    return StepResult{.reward = action[0], .terminated = step_ == length_};
  }

  int failing_resets = 0;  ///< So many of the next ones fail.

 private:
  absl::Status Observe(std::span<float> observation) const {
    observation[0] = static_cast<float>(episode_);
    observation[1] = static_cast<float>(step_);
    return absl::OkStatus();
  }
  EnvironmentSpec spec_;
  const int length_;
  const int diverge_at_;
  int episode_ = 0;
  int step_ = 0;
};

std::vector<float> Copy(std::span<const float> values) { return {values.begin(), values.end()}; }

TEST(LocalVectorEnvironment, ResetsAtOnceAndKeepsTheFinalObservation) {
  std::vector<std::unique_ptr<Environment>> envs;
  envs.push_back(std::make_unique<CountingEnvironment>(/*length=*/2, /*diverge_at=*/-1));
  envs.push_back(std::make_unique<CountingEnvironment>(/*length=*/3, /*diverge_at=*/-1));
  auto all = LocalVectorEnvironment::Create(std::move(envs), /*threads=*/1, /*seed=*/0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(Copy((*all)->observations()), (std::vector<float>{1, 0, 1, 0}));
  const std::vector<float> actions = {0.25f, 0.5f};
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_EQ(Copy((*all)->observations()), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ((*all)->results()[1].reward, 0.5f);
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_TRUE((*all)->results()[0].terminated);
  EXPECT_FALSE((*all)->results()[1].terminated);
  EXPECT_EQ(Copy((*all)->observations()), (std::vector<float>{2, 0, 1, 2}));
  EXPECT_EQ(Copy((*all)->final_observations()), (std::vector<float>{1, 2, 1, 2}));
}

std::vector<Outcome> Outcomes(const VectorEnvironment& all) {
  return {all.outcomes().begin(), all.outcomes().end()};
}

TEST(LocalVectorEnvironment, ADivergedEnvironmentIsLostAndBeginsAgain) {
  using enum Outcome;
  std::vector<std::unique_ptr<Environment>> envs;
  envs.push_back(std::make_unique<CountingEnvironment>(/*length=*/9, /*diverge_at=*/2));
  envs.push_back(std::make_unique<CountingEnvironment>(/*length=*/9, /*diverge_at=*/-1));
  auto all = LocalVectorEnvironment::Create(std::move(envs), 1, 0);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(Outcomes(**all), (std::vector{kStarted, kStarted}));
  const std::vector<float> actions = {0, 0};
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_EQ(Outcomes(**all), (std::vector{kStepped, kStepped}));
  EXPECT_TRUE((*all)->TakeFaults().empty());
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_EQ(Outcomes(**all), (std::vector{kLost, kStepped}));
  EXPECT_EQ(Copy((*all)->observations()), (std::vector<float>{1, 1, 1, 2}));
  const std::vector<EnvironmentFault> faults = (*all)->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].env, 0);
  EXPECT_EQ(FaultName(faults[0].kind), "not_finite");
  EXPECT_EQ(faults[0].message, "diverged");
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_EQ(Outcomes(**all), (std::vector{kStarted, kStepped}));
  EXPECT_EQ(Copy((*all)->observations()), (std::vector<float>{2, 0, 1, 3}));
  EXPECT_TRUE((*all)->TakeFaults().empty());
  ASSERT_TRUE((*all)->Step(actions).ok());
  EXPECT_EQ(Outcomes(**all), (std::vector{kStepped, kStepped}));
}

TEST(LocalVectorEnvironment, AnEpisodeThatCannotBeginIsTriedAgain) {
  using enum Outcome;
  std::vector<std::unique_ptr<Environment>> envs;
  auto one = std::make_unique<CountingEnvironment>(/*length=*/1, /*diverge_at=*/-1);
  CountingEnvironment& env = *one;
  envs.push_back(std::move(one));
  auto all = LocalVectorEnvironment::Create(std::move(envs), 1, 0);
  ASSERT_TRUE(all.ok());
  env.failing_resets = 2;
  std::vector<Outcome> seen;
  for (int t = 0; t < 5; ++t) {
    ASSERT_TRUE((*all)->Step(std::vector<float>{0}).ok());
    seen.push_back((*all)->outcomes()[0]);
  }
  EXPECT_EQ(seen, (std::vector{kStepped, kLost, kAbsent, kStarted, kStepped}));
  EXPECT_EQ((*all)->TakeFaults().size(), 2u);
}

TEST(LocalVectorEnvironment, StopEndsTheWaitAndEveryLaterCall) {
  std::vector<std::unique_ptr<Environment>> envs;
  envs.push_back(std::make_unique<CountingEnvironment>(9, -1));
  auto all = LocalVectorEnvironment::Create(std::move(envs), 1, 0);
  ASSERT_TRUE(all.ok());
  (*all)->Stop();
  EXPECT_TRUE(absl::IsCancelled((*all)->Step(std::vector<float>{0})));
  EXPECT_TRUE(absl::IsCancelled((*all)->ResetAll()));
}

TEST(LocalVectorEnvironment, PassesOnOtherErrorsAndChecksSizes) {
  std::vector<std::unique_ptr<Environment>> envs;
  envs.push_back(std::make_unique<CountingEnvironment>(9, -1));
  auto all = LocalVectorEnvironment::Create(std::move(envs), 1, 0);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)->Step(std::vector<float>{2}).message(), "too large");
  EXPECT_TRUE(absl::IsInvalidArgument((*all)->Step(std::vector<float>{0, 0})));
}

TEST(LocalVectorEnvironment, NeedsEnvironmentsOfOneSpec) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      LocalVectorEnvironment::Create("pendulum", {.num_envs = 0}).status()));
  EXPECT_TRUE(absl::IsNotFound(LocalVectorEnvironment::Create("pendulun", {}).status()));
  std::vector<std::unique_ptr<Environment>> envs;
  envs.push_back(std::make_unique<CountingEnvironment>(9, -1));
  envs.push_back(*MakeEnvironment("pendulum"));
  EXPECT_TRUE(
      absl::IsInvalidArgument(LocalVectorEnvironment::Create(std::move(envs), 1, 0).status()));
}

// Observations of environment 0 over 300 steps of inverted_pendulum, which end several episodes.
std::vector<float> FirstOf(VectorEnvironment& all) {
  std::vector<float> seen;
  const std::vector<float> actions(static_cast<size_t>(all.num_envs()), 0.3f);
  for (int t = 0; t < 300; ++t) {
    const auto first = all.observations().first(4);
    seen.insert(seen.end(), first.begin(), first.end());
    EXPECT_TRUE(all.Step(actions).ok());
  }
  return seen;
}

TEST(LocalVectorEnvironment, ResultsDoNotDependOnTheNumberAndFollowTheSeed) {
  auto one = LocalVectorEnvironment::Create("inverted_pendulum", {.num_envs = 1, .seed = 4});
  auto three = LocalVectorEnvironment::Create("inverted_pendulum", {.num_envs = 3, .seed = 4});
  auto other = LocalVectorEnvironment::Create("inverted_pendulum", {.num_envs = 1, .seed = 5});
  ASSERT_TRUE(one.ok() && three.ok() && other.ok());
  EXPECT_NE(Copy((*three)->observations().first(4)), Copy((*three)->observations().last(4)));
  const std::vector<float> seen = FirstOf(**one);
  EXPECT_EQ(FirstOf(**three), seen);
  EXPECT_NE(FirstOf(**other), seen);
  ASSERT_TRUE((*one)->ResetAll(4).ok());
  EXPECT_EQ(FirstOf(**one), seen);
  ASSERT_TRUE((*one)->ResetAll().ok());
  EXPECT_NE(FirstOf(**one), seen);
}

// All that 200 steps give where some environments end, and some diverge, in each.
std::vector<float> PlayedBy(int threads) {
  std::vector<std::unique_ptr<Environment>> envs;
  for (int i = 0; i < 13; ++i) {
    envs.push_back(std::make_unique<CountingEnvironment>(3 + i % 5, i % 4 == 0 ? 2 + i % 3 : -1));
  }
  auto all = LocalVectorEnvironment::Create(std::move(envs), threads, 0);
  EXPECT_TRUE(all.ok());
  std::vector<float> seen;
  for (int t = 0; t < 200; ++t) {
    EXPECT_TRUE((*all)->Step(std::vector<float>(13, 0.01f * static_cast<float>(t % 7))).ok());
    for (const float x : (*all)->observations()) seen.push_back(x);
    for (const float x : (*all)->final_observations()) seen.push_back(x);
    for (const StepResult& result : (*all)->results()) seen.push_back(result.reward);
    for (const Outcome outcome : (*all)->outcomes()) seen.push_back(static_cast<float>(outcome));
    for (const auto& fault : (*all)->TakeFaults()) seen.push_back(static_cast<float>(fault.env));
  }
  return seen;
}

TEST(LocalVectorEnvironment, ThreadsChangeNothing) {
  const std::vector<float> alone = PlayedBy(1);
  EXPECT_EQ(PlayedBy(2), alone);
  EXPECT_EQ(PlayedBy(3), alone);
  const auto simulated = [](int threads) {
    auto all = LocalVectorEnvironment::Create("inverted_pendulum",
                                              {.num_envs = 7, .threads = threads, .seed = 4});
    EXPECT_TRUE(all.ok());
    std::vector<float> seen;
    for (int t = 0; t < 200; ++t) {
      EXPECT_TRUE((*all)->Step(std::vector<float>(7, 0.3f)).ok());
      seen.insert(seen.end(), (*all)->observations().begin(), (*all)->observations().end());
    }
    return seen;
  };
  EXPECT_EQ(simulated(2), simulated(1));
  EXPECT_EQ(simulated(3), simulated(1));
  EXPECT_TRUE(
      absl::IsInvalidArgument(LocalVectorEnvironment::Create("pendulum", {.threads = 0}).status()));
}

}  // namespace
}  // namespace tandem
