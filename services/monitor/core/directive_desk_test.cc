#include "services/monitor/core/directive_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::monitor {
namespace {

using coadaptation::Knob;
using coadaptation::Receiver;
using coadaptation::Setting;
using ::testing::HasSubstr;

class DirectiveDeskTest : public testing::Test {
 protected:
  static std::map<Knob, Setting> Horizon(double value) {
    return {{Knob::kRolloutHorizon, {Knob::kRolloutHorizon, value, value, "why", 0}}};
  }
  int64_t Watch(Receiver receiver, const std::string& member, int* wakes = nullptr) {
    const auto id = desk_.Watch(receiver, member, [wakes] {
      if (wakes != nullptr) ++*wakes;
    });
    EXPECT_TRUE(id.ok()) << id.status();
    return *id;
  }

  metrics::Registry registry_;
  FakeClock clock_;
  DirectiveDesk desk_{DeskOptions{absl::Seconds(90), absl::Seconds(30), 3}, &clock_, &registry_};
};

TEST_F(DirectiveDeskTest, VersionsAreTheClockOrOneMore) {
  EXPECT_EQ(desk_.Publish({}), 0);
  const int64_t first = desk_.Publish(Horizon(4));
  EXPECT_GE(first, absl::ToUnixMillis(clock_.Now()));
  EXPECT_EQ(desk_.Publish(Horizon(4)), first) << "nothing changed";
  EXPECT_EQ(desk_.Publish(Horizon(2)), first + 1) << "the clock stands still";
  EXPECT_EQ(desk_.Publish({}), first + 2);
  EXPECT_TRUE(desk_.current().settings.empty());
}

TEST_F(DirectiveDeskTest, SettingsKeepTheVersionThatChangedThem) {
  const int64_t first = desk_.Publish(Horizon(4));
  auto settings = Horizon(4);
  settings[Knob::kRealShare] = {Knob::kRealShare, 0.3, 0.3, "why", 0};
  const int64_t second = desk_.Publish(settings);
  EXPECT_EQ(desk_.current().settings[0].version, first);
  EXPECT_EQ(desk_.current().settings[1].version, second);
}

TEST_F(DirectiveDeskTest, AWatcherGetsWhatIsInForceThenChangesThenRenewals) {
  int wakes = 0;
  const int64_t id = Watch(Receiver::kPolicyTrainer, "p", &wakes);
  ASSERT_TRUE(desk_.Next(id).has_value());
  EXPECT_FALSE(desk_.Next(id).has_value());
  desk_.Publish(Horizon(4));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(desk_.Next(id)->settings.size(), 1u);
  clock_.Advance(absl::Seconds(29));
  desk_.Tick();
  EXPECT_EQ(wakes, 1);
  clock_.Advance(absl::Seconds(1));
  desk_.Tick();
  EXPECT_EQ(wakes, 2);
  EXPECT_TRUE(desk_.Next(id).has_value());
  EXPECT_FALSE(desk_.Next(id).has_value());
  desk_.Unwatch(id);
  desk_.Publish(Horizon(2));
  EXPECT_EQ(wakes, 2);
  EXPECT_FALSE(desk_.Next(id).has_value());
}

TEST_F(DirectiveDeskTest, WatchersAreBounded) {
  for (int i = 0; i < 3; ++i) Watch(Receiver::kActor, "a");
  EXPECT_EQ(desk_.Watch(Receiver::kActor, "a", [] {}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(desk_.Watch(Receiver::kActor, std::string(129, 'a'), [] {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(DirectiveDeskTest, AMissingAcknowledgementIsReportedOnce) {
  const int64_t id = Watch(Receiver::kPolicyTrainer, "p");
  const int64_t version = desk_.Publish(Horizon(4));
  desk_.Next(id);
  clock_.Advance(absl::Seconds(20));
  EXPECT_TRUE(desk_.Tick().empty());
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_directive_unacknowledged_seconds{service="
                                          "\"policy_trainer\"} 20"));
  clock_.Advance(absl::Seconds(10));
  const std::vector<Overdue> overdue = desk_.Tick();
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_EQ(overdue[0].member, "p");
  EXPECT_EQ(overdue[0].version, version);
  EXPECT_TRUE(desk_.Tick().empty());
  ASSERT_TRUE(
      desk_.Acknowledge({Receiver::kPolicyTrainer, "p", version, AckOutcome::kApplied, "", 0.2})
          .ok());
  desk_.Tick();
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_directive_unacknowledged_seconds{service="
                                          "\"policy_trainer\"} 0"));
  EXPECT_THAT(registry_.Page(), HasSubstr("tandem_directive_acks_total{outcome=\"applied\","
                                          "service=\"policy_trainer\"} 1"));
}

TEST_F(DirectiveDeskTest, ABrokenStreamDoesNotForgetTheAcknowledgement) {
  const int64_t version = desk_.Publish(Horizon(4));
  int64_t id = Watch(Receiver::kPolicyTrainer, "p");
  desk_.Next(id);
  ASSERT_TRUE(
      desk_.Acknowledge({Receiver::kPolicyTrainer, "p", version, AckOutcome::kApplied, "", 0})
          .ok());
  desk_.Unwatch(id);
  id = Watch(Receiver::kPolicyTrainer, "p");
  EXPECT_EQ(desk_.Next(id)->version, version);
  clock_.Advance(absl::Seconds(60));
  EXPECT_TRUE(desk_.Tick().empty());
}

TEST_F(DirectiveDeskTest, ADirectiveThatNobodyWatchesIsReportedToo) {
  Watch(Receiver::kActor, "a");
  desk_.Publish(Horizon(4));
  clock_.Advance(absl::Seconds(31));
  const std::vector<Overdue> overdue = desk_.Tick();
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_EQ(overdue[0].receiver, Receiver::kPolicyTrainer);
  EXPECT_EQ(overdue[0].member, "");
}

TEST_F(DirectiveDeskTest, TheReplayBufferOwesWhatChangedItsSettings) {
  const auto shown = [this](const std::string& seconds) {
    return registry_.Page().find(
               "tandem_directive_unacknowledged_seconds{service=\"replay_buffer\"} " + seconds +
               "\n") != std::string::npos;
  };
  auto settings = Horizon(4);
  EXPECT_FALSE(desk_.ReplayBufferOwes(desk_.Publish(settings))) << "another's";
  settings[Knob::kUpdatesPerStep] = {Knob::kUpdatesPerStep, 5, 5, "why", 0};
  const int64_t slowed = desk_.Publish(settings);
  EXPECT_TRUE(desk_.ReplayBufferOwes(slowed));
  EXPECT_FALSE(desk_.ReplayBufferOwes(slowed - 1)) << "what was told before does not answer it";
  clock_.Advance(absl::Seconds(31));
  std::vector<Overdue> overdue = desk_.Tick();
  std::erase_if(overdue, [](const Overdue& o) { return o.receiver != Receiver::kReplayBuffer; });
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_EQ(overdue[0].member, "replay_buffer");
  EXPECT_EQ(overdue[0].version, slowed);
  EXPECT_TRUE(shown("31")) << registry_.Page();

  const auto take = [this](int64_t version) {
    return desk_.Acknowledge(
        {Receiver::kReplayBuffer, "replay_buffer", version, AckOutcome::kApplied, "", 0});
  };
  ASSERT_TRUE(take(slowed).ok());
  desk_.Tick();
  EXPECT_TRUE(shown("0")) << registry_.Page();
  settings[Knob::kRolloutHorizon].value = 2;
  EXPECT_FALSE(desk_.ReplayBufferOwes(desk_.Publish(settings)));
  settings.erase(Knob::kUpdatesPerStep);
  const int64_t back = desk_.Publish(settings);
  EXPECT_TRUE(desk_.ReplayBufferOwes(back)) << "the recipe's again";
  ASSERT_TRUE(take(back).ok());
  EXPECT_FALSE(desk_.ReplayBufferOwes(back));
}

TEST_F(DirectiveDeskTest, NonsenseIsNotAcknowledged) {
  const int64_t version = desk_.Publish(Horizon(4));
  const auto code = [&](Receiver receiver, int64_t of, AckOutcome outcome) {
    return desk_.Acknowledge({receiver, "p", of, outcome, "", 0}).code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(Receiver::kPolicyTrainer, version + 1, AckOutcome::kApplied), kInvalid);
  EXPECT_EQ(code(Receiver::kPolicyTrainer, 0, AckOutcome::kApplied), kInvalid);
  EXPECT_EQ(code(static_cast<Receiver>(0), version, AckOutcome::kApplied), kInvalid);
  EXPECT_EQ(code(Receiver::kPolicyTrainer, version, static_cast<AckOutcome>(0)), kInvalid);
}

TEST_F(DirectiveDeskTest, MembersComeAndGoWithoutEnd) {
  for (int i = 0; i < 3000; ++i) {
    const int64_t id = Watch(Receiver::kActor, std::to_string(i));
    desk_.Next(id);
    desk_.Unwatch(id);
  }
  EXPECT_TRUE(desk_.Tick().empty());
}

}  // namespace
}  // namespace tandem::monitor
