#include "common/nn/actor_critic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/nn/device.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/testing/networks.h"
#include "common/nn/testing/plain_sac.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

using testing::PlainSac;
using testing::RandomData;
using testing::RelativeDifference;
using Data = testing::SacData;
constexpr std::unique_ptr<ActorCritic> (*Autograd)(const ActorCriticSpec&, const SacOptions&,
                                                   std::optional<uint64_t>) = testing::Autograd;

/// Small products on several threads cost more than they save.
const bool kOneThread = ConfigureThreads(1).ok();

using Maker = std::unique_ptr<ActorCritic> (*)(const ActorCriticSpec&, const SacOptions&,
                                               std::optional<uint64_t>);

class ActorCriticTest : public ::testing::TestWithParam<Maker> {};

TEST_P(ActorCriticTest, OneUpdateIsWhatAPlainComputationGives) {
  const ActorCriticSpec spec{.obs_dim = 3, .action_dim = 2, .hidden = {8}};
  const SacOptions options{.lr = 1e-3,
                           .temperature_lr = 1e-2,
                           .initial_temperature = 0.2,
                           .target_entropy = -2,
                           .tau = 0.25,
                           .discount = 0.9};
  const Data data = RandomData(spec, 9, 4);
  auto network = GetParam()(spec, options, 11);
  TensorFile before, after;
  network->ExportParameters(&before);
  std::vector<float> noise(2 * data.rows * spec.action_dim);
  NormalStream(StreamSeed(11, "sac_noise")).Fill(noise);
  PlainSac plain(spec, options, before, data, noise);
  plain.ComputeTargets();
  const double critic_loss = plain.CriticLoss();

  const auto figures = network->Update(data.Batch());
  ASSERT_TRUE(figures.ok()) << figures.status();
  network->ExportParameters(&after);
  network->ExportLearnerState(&after);
  EXPECT_NEAR(figures->critic_loss, critic_loss, 1e-5);

  // Adam's first step moves by lr * sign(g), so check the gradients by the moments: m = 0.1 g.
  std::vector<double*> critics = plain.critic[0].Parameters();
  const std::vector<double*> second = plain.critic[1].Parameters();
  critics.insert(critics.end(), second.begin(), second.end());
  const std::vector<double> gradient = plain.Gradient(critics, [&] { return plain.CriticLoss(); });
  const std::vector<float>& moments = after.tensors.at("critic.adam_m").data;
  ASSERT_EQ(moments.size(), gradient.size());
  for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(moments[i], 0.1 * gradient[i], 1e-6);

  // The actor's step sees the critics after theirs.
  for (int c = 0; c < 2; ++c) plain.critic[c] = testing::Read(after, "critic.", c, 5, 8, 1);
  EXPECT_NEAR(figures->actor_loss, plain.ActorLoss(), 1e-5);
  EXPECT_NEAR(figures->entropy, -plain.MeanLogProb(), 1e-5);
  const std::vector<double> actor_gradient =
      plain.Gradient(plain.actor.Parameters(), [&] { return plain.ActorLoss(); });
  const std::vector<float>& actor_moments = after.tensors.at("actor.adam_m").data;
  ASSERT_EQ(actor_moments.size(), actor_gradient.size());
  for (size_t i = 0; i < actor_gradient.size(); ++i) {
    EXPECT_NEAR(actor_moments[i], 0.1 * actor_gradient[i], 1e-6) << i;
  }
  // Adam's first step of the temperature moves its logarithm by the learning rate.
  const double direction = plain.MeanLogProb() + options.target_entropy > 0 ? 1 : -1;
  EXPECT_NEAR(network->temperature(), 0.2 * std::exp(direction * 1e-2), 1e-6);
  const auto& old_target = before.tensors.at("target.w0").data;
  const auto& new_critic = after.tensors.at("critic.w0").data;
  for (size_t i = 0; i < old_target.size(); ++i) {
    EXPECT_NEAR(after.tensors.at("target.w0").data[i], 0.75 * old_target[i] + 0.25 * new_critic[i],
                1e-6);
  }
}

TEST_P(ActorCriticTest, ActAndValueOfAnyNumberOfRowsAgreeRowByRow) {
  const ActorCriticSpec spec{.obs_dim = 4, .action_dim = 2, .hidden = {48, 31}};
  auto network = GetParam()(spec, {}, 1);
  const Data data = RandomData(spec, 600, 2);
  std::vector<float> noise(1200), actions(1200), log_probs(600), values(600);
  Rng(3).FillNormal(noise);
  ASSERT_TRUE(network->Act(data.observations, noise, actions, log_probs).ok());
  ASSERT_TRUE(network->Value(data.observations, actions, true, values).ok());
  for (const int64_t i : {0, 1, 255, 256, 599}) {
    float action[2], log_prob, value;
    const auto observation = std::span(data.observations).subspan(i * 4, 4);
    ASSERT_TRUE(
        network->Act(observation, std::span(noise).subspan(i * 2, 2), action, {&log_prob, 1}).ok());
    ASSERT_TRUE(network->Value(observation, action, true, {&value, 1}).ok());
    EXPECT_NEAR(action[0], actions[2 * i], 1e-5);
    EXPECT_NEAR(action[1], actions[2 * i + 1], 1e-5);
    EXPECT_NEAR(log_prob, log_probs[i], 1e-4);
    EXPECT_NEAR(value, values[i], 1e-4);
  }
  std::vector<float> mean(1200);
  ASSERT_TRUE(network->Act(data.observations, {}, mean, {}).ok());
  EXPECT_NE(mean, actions);
}

TEST_P(ActorCriticTest, SavedAndLoadedItGoesOnBitForBit) {
  const ActorCriticSpec spec{.obs_dim = 3, .action_dim = 1, .hidden = {16, 16}};
  auto one = GetParam()(spec, {}, 1);
  auto other = GetParam()(spec, {}, 2);
  ASSERT_TRUE(one->Update(RandomData(spec, 8, 1).Batch()).ok());
  TensorFile file;
  one->ExportParameters(&file);
  one->ExportLearnerState(&file);
  const TensorFile read = *ReadSafetensors(*WriteSafetensors(file));
  ASSERT_TRUE(other->ImportParameters(read).ok());
  ASSERT_TRUE(other->ImportLearnerState(read).ok());
  for (uint64_t step = 0; step < 3; ++step) {
    const Data data = RandomData(spec, 8, step);
    ASSERT_TRUE(one->Update(data.Batch()).ok());
    ASSERT_TRUE(other->Update(data.Batch()).ok());
  }
  TensorFile a, b;
  one->ExportParameters(&a);
  one->ExportLearnerState(&a);
  other->ExportParameters(&b);
  other->ExportLearnerState(&b);
  EXPECT_EQ(*WriteSafetensors(a), *WriteSafetensors(b));
}

TEST_P(ActorCriticTest, WrongShapesAndNumbersAreRefused) {
  const ActorCriticSpec spec{.obs_dim = 3, .action_dim = 1, .hidden = {16, 16}};
  auto network = GetParam()(spec, {}, 1);
  Data data = RandomData(spec, 8, 1);
  data.rows = 7;
  EXPECT_EQ(network->Update(data.Batch()).status().code(), absl::StatusCode::kInvalidArgument);
  for (auto* column : {&data.rewards, &data.observations, &data.next}) {
    Data broken = RandomData(spec, 8, 1);
    auto& target = column == &data.rewards        ? broken.rewards
                   : column == &data.observations ? broken.observations
                                                  : broken.next;
    std::fill(target.begin(), target.end(), std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(GetParam()(spec, {}, 1)->Update(broken.Batch()).status().code(),
              absl::StatusCode::kInternal);
  }
  std::vector<float> actions(2), observations(3);
  EXPECT_FALSE(network->Act(observations, {}, actions, {}).ok());
}

TEST_P(ActorCriticTest, SolvesABanditOfOneStep) {
  const ActorCriticSpec spec{.obs_dim = 1, .action_dim = 1, .hidden = {32, 32}};
  auto network =
      GetParam()(spec, {.lr = 3e-3, .initial_temperature = 0.02, .target_entropy = -2}, 1);
  Rng rng(5);
  for (int step = 0; step < 500; ++step) {
    Data data = RandomData(spec, 64, 100 + step);
    for (int64_t i = 0; i < 64; ++i) {
      data.observations[i] = static_cast<float>(rng.Uniform(-1, 1));
      const double miss = data.actions[i] - 0.5 * data.observations[i];
      data.rewards[i] = static_cast<float>(1 - miss * miss);
      data.terminated[i] = 1;
    }
    ASSERT_TRUE(network->Update(data.Batch()).ok());
  }
  for (const float observation : {-0.8f, 0.0f, 0.8f}) {
    float action = 0, value = 0;
    ASSERT_TRUE(network->Act({&observation, 1}, {}, {&action, 1}, {}).ok());
    ASSERT_TRUE(network->Value({&observation, 1}, {&action, 1}, false, {&value, 1}).ok());
    EXPECT_NEAR(action, 0.5 * observation, 0.15);
    EXPECT_NEAR(value, 1, 0.1);
  }
}

INSTANTIATE_TEST_SUITE_P(Implementations, ActorCriticTest,
                         ::testing::Values(Maker{Autograd}, Maker{MakeExplicitActorCritic}));

TEST(ExplicitActorCritic, AgreesWithAutograd) {
  for (const std::vector<int>& hidden : {std::vector<int>{256, 256}, {64, 33, 48}, {20}}) {
    const ActorCriticSpec spec{.obs_dim = 40, .action_dim = 3, .hidden = hidden};
    auto reference = Autograd(spec, {}, 3);
    auto fast = MakeExplicitActorCritic(spec, {}, 3);
    const Data data = RandomData(spec, 130, 1);
    const auto expected = reference->Update(data.Batch());
    const auto got = fast->Update(data.Batch());
    ASSERT_TRUE(expected.ok() && got.ok());
    EXPECT_NEAR(got->critic_loss, expected->critic_loss, 1e-5 * (1 + expected->critic_loss));
    EXPECT_NEAR(got->actor_loss, expected->actor_loss, 1e-4);
    EXPECT_NEAR(got->entropy, expected->entropy, 1e-4);
    TensorFile a, b;
    reference->ExportLearnerState(&a);
    fast->ExportLearnerState(&b);
    EXPECT_LT(
        RelativeDifference(b.tensors.at("critic.adam_m").data, a.tensors.at("critic.adam_m").data),
        1e-5);
    // The actor's gradient goes through critics that Adam has moved by the sign of tiny gradients.
    EXPECT_LT(
        RelativeDifference(b.tensors.at("actor.adam_m").data, a.tensors.at("actor.adam_m").data),
        1e-3);
  }
}

TEST(ExplicitActorCritic, ActorGradientAgreesWithAutogradWhereCriticsAreEqual) {
  const ActorCriticSpec spec{.obs_dim = 5, .action_dim = 2, .hidden = {64, 48}};
  const SacOptions slow{.lr = 1e-12};  // critics stay where they are
  auto reference = Autograd(spec, slow, 3);
  auto fast = MakeExplicitActorCritic(spec, slow, 3);
  const Data data = RandomData(spec, 100, 1);
  ASSERT_TRUE(reference->Update(data.Batch()).ok());
  ASSERT_TRUE(fast->Update(data.Batch()).ok());
  TensorFile a, b;
  reference->ExportLearnerState(&a);
  fast->ExportLearnerState(&b);
  EXPECT_LT(
      RelativeDifference(b.tensors.at("actor.adam_m").data, a.tensors.at("actor.adam_m").data),
      1e-5);
}

TEST(ActorCritic, BadSizesAndOptionsAreRefused) {
  const ActorCriticSpec spec{.obs_dim = 1, .action_dim = 1};
  EXPECT_FALSE(ActorCritic::Create({.obs_dim = 0, .action_dim = 1}, {}, "cpu", 0).ok());
  EXPECT_FALSE(ActorCritic::Create(spec, {.tau = 0}, "cpu", 0).ok());
  EXPECT_FALSE(ActorCritic::Create(spec, {.lr = -1}, "cpu", 0).ok());
  EXPECT_FALSE(ActorCritic::Create(spec, {}, "gpu", 0).ok());
  EXPECT_TRUE(ActorCritic::Create(spec, {}, "cpu", 0).ok());
}

/// All that an explicit network learned in some updates with so many threads.
TensorFile Learned(int threads, const ActorCriticSpec& spec, int64_t rows) {
  EXPECT_TRUE(ConfigureThreads(threads).ok());
  const auto network = MakeExplicitActorCritic(spec, {}, 7);
  TensorFile file;
  for (int update = 0; update < 5; ++update) {
    const auto figures = network->Update(RandomData(spec, rows, update).Batch());
    EXPECT_TRUE(figures.ok()) << figures.status();
    file.metadata[absl::StrCat("figures ", update)] =
        absl::StrCat(figures->critic_loss, " ", figures->actor_loss, " ", figures->entropy);
  }
  network->ExportParameters(&file);
  network->ExportLearnerState(&file);
  EXPECT_TRUE(ConfigureThreads(1).ok());
  return file;
}

TEST(ActorCriticThreads, TwoThreadsLearnTheSameBitForBit) {
  for (const int width : {32, 128}) {
    const ActorCriticSpec spec{.obs_dim = 5, .action_dim = 2, .hidden = {width, width}};
    const TensorFile one = Learned(1, spec, 100), two = Learned(2, spec, 100);
    EXPECT_EQ(one.metadata, two.metadata);
    ASSERT_EQ(one.tensors.size(), two.tensors.size());
    for (const auto& [name, tensor] : one.tensors) {
      EXPECT_EQ(tensor.data, two.tensors.at(name).data) << name << " of width " << width;
    }
  }
}

}  // namespace
}  // namespace tandem::nn
