#include "common/clients/env_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "common/clients/environment_server.h"

namespace tandem::clients {
namespace {

using ::testing::HasSubstr;

SpaceLeaf Box(const std::string& name, int64_t size, double bound) {
  SpaceLeaf leaf;
  leaf.name = name;
  leaf.shape = {size};
  leaf.low = {-bound};
  leaf.high = {bound};
  return leaf;
}

env::v1::DescribeResponse Description() {
  env::v1::DescribeResponse message;
  message.set_protocol_version(1);
  message.set_name("toy");
  Encode(Box("arm.joints", 3, std::numeric_limits<double>::infinity()), message.add_observation());
  Encode({.name = "gear",
          .kind = SpaceKind::kDiscrete,
          .type = ElementType::kInt64,
          .choices = {4},
          .start = 1},
         message.add_observation());
  Encode(Box("", 2, 1), message.add_action());
  message.set_max_episode_steps(200);
  message.set_capacity(8);
  message.set_available(5);
  for (const char* capability : {"seed", "isolate", "workers=8"}) {
    message.add_capabilities(capability);
  }
  message.set_server("toys 2.0");
  return message;
}

TEST(EnvMessagesTest, ADescriptionBecomesFlatSpaces) {
  const auto served = Decode(Description());
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_EQ(served->spec.name, "toy");
  EXPECT_EQ(served->spec.max_episode_steps, 200);
  EXPECT_EQ(served->spec.observation.dim(), 3 + 4);
  EXPECT_EQ(served->spec.action.low, (std::vector<float>{-1, -1}));
  EXPECT_EQ(served->observation.leaves()[1].start, 1);
  EXPECT_EQ(served->observation.leaves()[1].type, ElementType::kInt64);
  EXPECT_EQ(served->capacity, 8);
  EXPECT_TRUE(served->isolates);
  EXPECT_EQ(served->workers, 8);
  env::v1::DescribeResponse plain = Description();
  plain.clear_capabilities();
  for (const char* capability : {"workers=", "workers=-3", "teleports"}) {
    plain.add_capabilities(capability);
  }
  EXPECT_FALSE(Decode(plain)->isolates);
  EXPECT_EQ(Decode(plain)->workers, 1);
}

TEST(EnvMessagesTest, ADescriptionThatMakesNoSenseIsRefusedByName) {
  const auto refusal = [](const std::function<void(env::v1::DescribeResponse&)>& damage) {
    env::v1::DescribeResponse message = Description();
    damage(message);
    return Decode(message).status().ToString();
  };
  EXPECT_THAT(refusal([](auto& m) { m.set_protocol_version(2); }),
              AllOf(HasSubstr("UNIMPLEMENTED"), HasSubstr("version 1"), HasSubstr("speak 2")));
  EXPECT_THAT(refusal([](auto& m) { m.set_protocol_version(0); }), HasSubstr("UNIMPLEMENTED"));
  EXPECT_THAT(refusal([](auto& m) { m.clear_name(); }), HasSubstr("name"));
  EXPECT_THAT(refusal([](auto& m) { m.set_capacity(0); }), HasSubstr("capacity"));
  EXPECT_THAT(refusal([](auto& m) { m.clear_observation(); }), HasSubstr("observation"));
  EXPECT_THAT(refusal([](auto& m) { m.mutable_action(0)->clear_low(); }), HasSubstr("action"));
  EXPECT_THAT(refusal([](auto& m) {
                m.mutable_observation(0)->set_element_type(static_cast<env::v1::ElementType>(77));
              }),
              AllOf(HasSubstr("arm.joints"), HasSubstr("element type"), HasSubstr("77")));
  EXPECT_THAT(
      refusal([](auto& m) { m.mutable_observation(1)->set_kind(env::v1::SPACE_KIND_UNSPECIFIED); }),
      AllOf(HasSubstr("gear"), HasSubstr("kind")));
  EXPECT_THAT(refusal([](auto& m) { m.mutable_observation(0)->set_low("12345"); }),
              HasSubstr("8 bytes"));
}

TEST(EnvMessagesTest, ColumnsMustFitTheSpacesAndTheOutcomes) {
  const SpaceLayout layout = Decode(Description())->observation;
  const auto row = [](size_t rows) {
    env::v1::StepResponse message;
    message.add_observations(std::string(rows * 12, 0));
    message.add_observations(std::string(rows * 8, 0));
    return message;
  };
  env::v1::StepResponse reset = row(2), step = row(2);
  step.set_rewards(std::string(8, 0));
  EXPECT_TRUE(CheckResponse(reset, layout, 2, /*reset=*/true).ok());
  EXPECT_TRUE(CheckResponse(step, layout, 2, /*reset=*/false).ok());
  EXPECT_FALSE(CheckResponse(step, layout, 2, /*reset=*/true).ok()) << "rewards of a reset";
  EXPECT_FALSE(CheckResponse(step, layout, 3, /*reset=*/false).ok());

  env::v1::StepResponse ended = step;
  ended.set_terminated(std::string("\1\0", 2));
  EXPECT_FALSE(CheckResponse(ended, layout, 2, false).ok()) << "no final observation";
  *ended.mutable_final_observations() = row(1).observations();
  EXPECT_TRUE(CheckResponse(ended, layout, 2, false).ok());
  ended.set_outcomes(std::string("\1\0", 2));
  EXPECT_FALSE(CheckResponse(ended, layout, 2, false).ok())
      << "a lost one has no final observation";

  env::v1::StepResponse strange = step;
  strange.set_outcomes(std::string("\0\4", 2));
  EXPECT_THAT(std::string(CheckResponse(strange, layout, 2, false).message()),
              HasSubstr("expected 0 to 3, got 4"));
  strange = step;
  strange.add_faults()->set_env(2);
  EXPECT_THAT(std::string(CheckResponse(strange, layout, 2, false).message()), HasSubstr("faults"));
  strange = step;
  for (int i = 0; i < 9; ++i) strange.add_faults();
  EXPECT_THAT(std::string(CheckResponse(strange, layout, 2, false).message()),
              HasSubstr("at most 8, got 9"));
  strange = step;
  strange.mutable_observations(1)->append("x");
  EXPECT_THAT(std::string(CheckResponse(strange, layout, 2, false).message()), HasSubstr("gear"));
}

TEST(EnvMessagesTest, EnvironmentsThatTakeTurnsMayTakeLonger) {
  ServedEnvironment served = *Decode(Description());
  EXPECT_EQ(BatchTime(served, 65, absl::Seconds(2)), absl::Seconds(18));
  EXPECT_EQ(BatchTime(served, 3, absl::Seconds(2)), absl::Seconds(2));
  served.workers = 1;
  EXPECT_EQ(BatchTime(served, 64, absl::Seconds(2)), absl::Seconds(128));
}

TEST(EnvMessagesTest, AFaultsWordsAreCutAndFitForATerminal) {
  env::v1::Fault message;
  message.set_env(3);
  message.set_kind(env::v1::FAULT_KIND_HUNG);
  message.set_message(std::string(10000, 'x') + "\n\x1b[31mend");
  const EnvironmentFault fault = Decode(message);
  EXPECT_EQ(fault.env, 3);
  EXPECT_EQ(fault.kind, FaultKind::kHung);
  EXPECT_LT(fault.message.size(), 4200u);
  EXPECT_THAT(fault.message, testing::EndsWith("x\n\\x1b[31mend"));
}

}  // namespace
}  // namespace tandem::clients
