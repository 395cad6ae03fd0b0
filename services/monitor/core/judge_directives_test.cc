// Knobs turned by hand, refusals, acknowledgements, and the limit on actions.
#include <sys/stat.h>

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/monitor/core/judge.h"
#include "services/monitor/core/testing/judge_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Knob;
using coadaptation::Receiver;
using ::testing::HasSubstr;
using testing::kToken;

class JudgeDirectivesTest : public testing::JudgeFixture {};

TEST_F(JudgeDirectivesTest, OverridesNeedTheTokenARangeAndAReason) {
  {
    const auto closed = Make();
    EXPECT_EQ(closed->SetOverride(Knob::kRealShare, 0.5, kToken, "why").status().code(),
              absl::StatusCode::kPermissionDenied);
  }
  WriteToken();
  const auto judge = Make();
  const auto code = [&](double value, const char* token, const std::string& reason) {
    return judge->SetOverride(Knob::kRealShare, value, token, reason).status().code();
  };
  EXPECT_EQ(code(0.5, "", "why"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code(0.5, "a token of some lengtH", "why"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code(1.5, kToken, "why"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::nan(""), kToken, "why"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0.5, kToken, ""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0.5, kToken, std::string(201, 'x')), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Kinds(*judge, "override").empty());
  const auto directive = judge->SetOverride(Knob::kRealShare, 0.5, kToken, "ops: a\ntry");
  ASSERT_TRUE(directive.ok()) << directive.status();
  EXPECT_EQ(directive->ValueOf(Knob::kRealShare), 0.5);
  EXPECT_EQ(directive->settings[0].reason, "by hand: ops: a try");
  const auto events = Kinds(*judge, "override");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].before, 0.05);
  EXPECT_EQ(events[0].after, 0.5);
  // Held over a restart; given back on request.
  EXPECT_EQ(Make()->Report().directive.ValueOf(Knob::kRealShare), 0.5);
  EXPECT_TRUE(judge->SetOverride(Knob::kRealShare, std::nullopt, kToken, "done")->settings.empty());
}

TEST_F(JudgeDirectivesTest, PauseAndUpdatesPerStepReachThePace) {
  WriteToken();
  const auto judge = Make();
  ASSERT_TRUE(judge->SetOverride(Knob::kUpdatesPerStep, 2.5, kToken, "slow").ok());
  EXPECT_EQ(judge->ruling().updates_per_step, 2.5);
  EXPECT_FALSE(judge->ruling().policy_pause);
  ASSERT_TRUE(judge->SetOverride(Knob::kPolicyPause, 1, kToken, "stop").ok());
  EXPECT_TRUE(judge->ruling().policy_pause);
  EXPECT_EQ(judge->ruling().updates_per_step, 2.5) << "for when the pause ends";
}

TEST_F(JudgeDirectivesTest, ThePacesAnswerAcknowledgesItsKnobsOnce) {
  WriteToken();
  const auto judge = Make();
  const auto answer = [&](const absl::Status& status) {
    judge->OnPaceAnswer(judge->ruling().directive_version, status);
  };
  ASSERT_TRUE(judge->SetOverride(Knob::kRealShare, 0.5, kToken, "another's").ok());
  answer(absl::OkStatus());
  EXPECT_TRUE(Kinds(*judge, "acknowledged").empty());
  ASSERT_TRUE(judge->SetOverride(Knob::kUpdatesPerStep, 2.5, kToken, "slow").ok());
  answer(absl::UnavailableError("away"));
  EXPECT_TRUE(Kinds(*judge, "acknowledged").empty());
  clock_.Advance(absl::Seconds(31));
  judge->Beat();
  ASSERT_FALSE(Kinds(*judge, "unacknowledged").empty());
  EXPECT_THAT(Kinds(*judge, "unacknowledged")[0].text,
              HasSubstr("not acknowledged by replay_buffer"));
  answer(absl::OkStatus());
  answer(absl::OkStatus());
  ASSERT_EQ(Kinds(*judge, "acknowledged").size(), 1u);
  EXPECT_THAT(Kinds(*judge, "acknowledged")[0].text, HasSubstr("applied by replay_buffer"));
  EXPECT_THAT(Page(), HasSubstr("tandem_directive_acks_total{outcome=\"applied\",service="
                                "\"replay_buffer\"} 1"));
}

TEST_F(JudgeDirectivesTest, ARateThatThePaceRefusesIsTakenBack) {
  options_.controller.allowed = {Knob::kUpdatesPerStep};
  options_.controller.updates_per_step = 0.001;
  const auto judge = Make();
  Until(*judge, "action", 1);
  ASSERT_GT(judge->ruling().updates_per_step, 0);
  judge->OnPaceAnswer(judge->ruling().directive_version,
                      absl::InvalidArgumentError("updates_per_step: expected 0.001"));
  EXPECT_LT(judge->ruling().updates_per_step, 0) << "the recipe's";
  EXPECT_THAT(Kinds(*judge, "refused").back().text, HasSubstr("expected 0.001"));
}

TEST_F(JudgeDirectivesTest, ATokenThatOthersCanReadIsRefused) {
  WriteToken(0644);
  registry_ = registries_.emplace_back(std::make_unique<metrics::Registry>()).get();
  const auto judge = Judge::Create(options_, &clock_, registry_);
  EXPECT_EQ(judge.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(judge.status().message(), HasSubstr("chmod 600"));
  options_.token_file = Path("nowhere");
  EXPECT_EQ(Judge::Create(options_, &clock_, registry_).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(JudgeDirectivesTest, ARefusalTakesTheKnobBack) {
  const auto judge = Make();
  Until(*judge, "action", 1);
  const int64_t version = judge->Report().directive.version;
  Acknowledgement ack = {Receiver::kModelTrainer, "model_trainer", version,
                         AckOutcome::kRefused,    "not mine",      0,
                         {Knob::kRealShare}};
  ASSERT_TRUE(judge->Acknowledge(ack).ok());
  EXPECT_EQ(judge->Report().directive.ValueOf(Knob::kRealShare), 1) << "another's knob";
  ack.receiver = Receiver::kPolicyTrainer;
  ack.member = "policy_trainer";
  ack.message = "no rollouts here";
  ASSERT_TRUE(judge->Acknowledge(ack).ok());
  EXPECT_TRUE(judge->Report().directive.settings.empty());
  EXPECT_THAT(Kinds(*judge, "refused").back().text, HasSubstr("no rollouts here"));
  Until(*judge, "action", 1);
  EXPECT_EQ(judge->Report().directive.settings[0].knob, Knob::kRolloutHorizon);
}

TEST_F(JudgeDirectivesTest, OnlyWhatIsNamedIsTakenBackAndARollbackLeavesTheDirective) {
  WriteToken();
  const auto judge = Make();
  ASSERT_TRUE(judge->SetOverride(Knob::kRollback, 1, kToken, "back").ok());
  Until(*judge, "action", 1);  // the real share, in a directive that still has the rollback
  Acknowledgement ack = {
      Receiver::kPolicyTrainer, "policy_trainer",     judge->Report().directive.version,
      AckOutcome::kRefused,     "rollback: not kept", 0,
      {Knob::kRollback}};
  ASSERT_TRUE(judge->Acknowledge(ack).ok());
  EXPECT_EQ(judge->Report().directive.ValueOf(Knob::kRealShare), 1) << "innocent";
  EXPECT_EQ(judge->Report().directive.ValueOf(Knob::kRollback), std::nullopt);
  ASSERT_TRUE(judge->SetOverride(Knob::kRollback, 2, kToken, "again").ok());
  ASSERT_TRUE(judge->Acknowledge(ack).ok());
  EXPECT_EQ(judge->Report().directive.ValueOf(Knob::kRollback), 2) << "another value than refused";
}

TEST_F(JudgeDirectivesTest, NoStepOfTheWallClockMovesTheHourlyLimit) {
  options_.controller.max_actions_per_hour = 1;
  const auto judge = Make();
  Until(*judge, "action", 1);
  clock_.Step(absl::Hours(5));
  for (int i = 0; i < 20; ++i) judge->OnCheckpoint(With(1));
  EXPECT_EQ(Kinds(*judge, "action").size(), 1u) << "set forward: the limit holds";
  clock_.Step(-absl::Hours(10));
  clock_.Advance(absl::Hours(1));
  for (int i = 0; i < 20; ++i) judge->OnCheckpoint(With(1));
  EXPECT_EQ(Kinds(*judge, "action").size(), 2u) << "set back: it ends after an hour all the same";
}

TEST_F(JudgeDirectivesTest, TheBeatReportsWhoDoesNotAcknowledge) {
  const auto judge = Make();
  judge->Start();  // also runs the thread, for a moment
  judge->Stop();
  Until(*judge, "action", 1);
  judge->Beat();
  EXPECT_TRUE(Kinds(*judge, "unacknowledged").empty());
  clock_.Advance(absl::Seconds(31));
  judge->Beat();
  judge->Beat();
  const auto events = Kinds(*judge, "unacknowledged");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].text, HasSubstr("not acknowledged by any policy_trainer: none watches"));
}

}  // namespace
}  // namespace tandem::monitor
