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
                             "model.known_reward=true",
                             "model.first_gradient_steps=700",
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
  EXPECT_TRUE(options->learner.known_reward);
  EXPECT_EQ(options->learner.first_gradient_steps, 700);
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

TEST(ModelTrainerOptions, TakesTheJointObjective) {
  const std::vector<std::string> ends = {"endpoints.listen=unix:/a",
                                         "endpoints.replay_buffer=unix:/b"};
  const auto with = [&ends](std::vector<std::string> more) {
    more.insert(more.begin(), ends.begin(), ends.end());
    return From(more);
  };
  auto options = with({});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->joint.has_value());
  options =
      with({"objective.kind=mnm", "objective.classifier_hidden=[8]", "objective.classifier_lr=0.5",
            "objective.classifier_batch_size=16", "objective.classifier_first_steps=7",
            "objective.classifier_steps=3", "objective.classifier_target=0.75",
            "objective.classifier_weight_decay=0.1", "objective.classifier_input_noise=0.2",
            "objective.seed=4", "objective.classifier_label_range=0.1",
            "objective.classifier_layer_norm=true", "objective.classifier_max_gradient_norm=100",
            "objective.model_ratio_weight=0.05", "objective.model_ramp_steps=9"});
  ASSERT_TRUE(options.ok()) << options.status();
  const objective::ClassifierLearnerOptions& classifier = options->joint->classifier;
  EXPECT_EQ(classifier.hidden, (std::vector<int>{8}));
  EXPECT_EQ(classifier.adam.lr, 0.5);
  EXPECT_EQ(classifier.adam.weight_decay, 0.1);
  EXPECT_EQ(classifier.batch_size, 16);
  EXPECT_EQ(classifier.first_steps, 7);
  EXPECT_EQ(classifier.fit_steps, 3);
  EXPECT_EQ(classifier.smoothing, 0.25);
  EXPECT_EQ(classifier.input_noise, 0.2);
  EXPECT_EQ(classifier.label_range, 0.1);
  EXPECT_EQ(classifier.max_gradient_norm, 100);
  EXPECT_TRUE(classifier.layer_norm);
  EXPECT_EQ(classifier.seed, 4u);
  EXPECT_EQ(options->joint->model_loss.ratio_weight, 0.05);
  EXPECT_EQ(options->joint->model_loss.ramp_steps, 9);
  EXPECT_EQ(options->policy_trainer, "");
  const std::vector<std::string> value = {"objective.kind=mnm", "objective.model_value_weight=0.1"};
  EXPECT_TRUE(absl::IsInvalidArgument(with(value).status()));
  auto reachable = value;
  reachable.push_back("endpoints.policy_trainer=unix:/p");
  options = with(reachable);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->policy_trainer, "unix:/p");
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
