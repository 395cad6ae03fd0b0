#include "services/model_trainer/options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/config/config.h"

namespace tandem::model_trainer {
namespace {

absl::StatusOr<ServiceOptions> From(std::vector<std::string> overrides) {
  overrides.insert(overrides.begin(), "env.name=pendulum");
  const auto config = config::Load("", overrides);
  if (!config.ok()) return config.status();
  return OptionsFrom(*config);
}

TEST(ModelTrainerOptions, TakesItsPartOfTheConfig) {
  const auto options = From({"endpoints.listen=unix:/a",
                             "endpoints.replay_buffer=unix:/b",
                             "endpoints.state_dir=/s",
                             "model.members=4",
                             "model.elites=2",
                             "model.hidden=[8, 16]",
                             "model.lr=0.5",
                             "model.termination=learned",
                             "model.seed=7",
                             "imagination.observation_margin=2",
                             "replay.capacity=5000",
                             "runtime.threads=3",
                             "runtime.checkpoint_seconds=1.5",
                             "runtime.drain_seconds=2",
                             "model.deterministic=true",
                             "model.freeze_after=900",
                             "study.planted_reward=5",
                             "study.planted_element=2",
                             "study.planted_low=-1",
                             "study.planted_high=3",
                             "study.planted_member_share=0.5",
                             "study.planted_from=700"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->trainer.member, "model_trainer");
  EXPECT_EQ(options->trainer.replay_capacity, 5000);
  EXPECT_EQ(options->trainer.state_dir, "/s");
  EXPECT_EQ(options->trainer.checkpoint_interval, absl::Seconds(1.5));
  EXPECT_EQ(options->learner.members, 4);
  EXPECT_EQ(options->learner.elites, 2);
  EXPECT_EQ(options->learner.hidden, (std::vector<int>{8, 16}));
  EXPECT_EQ(options->learner.adam.lr, 0.5);
  EXPECT_EQ(options->learner.adam.weight_decay, 5e-5);
  EXPECT_EQ(options->learner.termination, dynamics::TerminationKind::kLearned);
  EXPECT_FALSE(options->simulator);
  EXPECT_TRUE(options->learner.deterministic);
  EXPECT_EQ(options->trainer.freeze_after, 900);
  EXPECT_EQ(options->trainer.planted.reward, 5);
  EXPECT_EQ(options->trainer.planted.element, 2);
  EXPECT_EQ(options->trainer.planted.low, -1);
  EXPECT_EQ(options->trainer.planted.high, 3);
  EXPECT_EQ(options->trainer.planted.member_share, 0.5);
  EXPECT_EQ(options->trainer.planted_from, 700);
  EXPECT_EQ(options->learner.observation_margin, 2);
  EXPECT_EQ(options->learner.seed, 7u);
  EXPECT_EQ(options->learner.device, "cpu");
  EXPECT_EQ(options->server.address, "unix:/a");
  EXPECT_EQ(options->replay_buffer, "unix:/b");
  EXPECT_EQ(options->threads, 3);
  EXPECT_EQ(options->drain, absl::Seconds(2));
}

TEST(ModelTrainerOptions, TheSimulatorCanStandInForTheModel) {
  const auto options =
      From({"endpoints.listen=unix:/a", "endpoints.replay_buffer=unix:/b", "model.kind=simulator"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->simulator);
}

TEST(ModelTrainerOptions, SeedsDeriveFromTheRunsSeed) {
  const std::vector<std::string> ends = {"endpoints.listen=unix:/a",
                                         "endpoints.replay_buffer=unix:/b"};
  auto with_seed = ends;
  with_seed.push_back("run.seed=5");
  const auto first = From(ends), again = From(ends), other = From(with_seed);
  ASSERT_TRUE(first.ok() && again.ok() && other.ok());
  EXPECT_EQ(first->learner.seed, again->learner.seed);
  EXPECT_NE(first->learner.seed, other->learner.seed);
}

TEST(ModelTrainerOptions, NamesTheAddressThatIsMissing) {
  const auto options = From({"endpoints.listen=unix:/a"});
  EXPECT_TRUE(absl::IsInvalidArgument(options.status()));
  EXPECT_NE(options.status().message().find("endpoints.replay_buffer"), std::string::npos);
}

}  // namespace
}  // namespace tandem::model_trainer
