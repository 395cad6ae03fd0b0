#include "services/monitor/core/judge.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "services/monitor/core/testing/judge_fixture.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using coadaptation::Knob;
using coadaptation::Verdict;
using ::testing::HasSubstr;
using ::testing::Not;

class JudgeTest : public testing::JudgeFixture {};

TEST_F(JudgeTest, BeforeTheFirstCheckpointItWarmsUp) {
  const auto judge = Make();
  const JudgeReport report = judge->Report();
  EXPECT_EQ(report.judgement.verdict, Verdict::kWarmingUp);
  EXPECT_THAT(report.judgement.sentence, HasSubstr("Warming up: 0 of the first 3"));
  EXPECT_LT(report.age_seconds, 0);
  EXPECT_TRUE(std::isnan(report.evidence_log10));
  EXPECT_NEAR(report.evidence_threshold_log10, std::log10(200), 1e-12);
  EXPECT_EQ(report.controller_state, "healthy");
  EXPECT_TRUE(judge->ReadHistory(0, 0).events.empty());
}

TEST_F(JudgeTest, AnAlarmActsAndADirectiveIsInForce) {
  const auto judge = Make();
  EXPECT_LT(Until(*judge, "action", 1), 20);
  EXPECT_EQ(Kinds(*judge, "alarm").size(), 1u);
  const JudgeReport report = judge->Report();
  EXPECT_EQ(report.judgement.verdict, Verdict::kExploiting);
  EXPECT_EQ(report.controller_state, "act");
  EXPECT_EQ(report.directive.ValueOf(Knob::kRealShare), 1);
  EXPECT_GT(report.directive.version, 0);
  EXPECT_EQ(judge->ruling().directive_version, report.directive.version);
  EXPECT_LT(judge->ruling().updates_per_step, 0);
  EXPECT_THAT(report.advice, HasSubstr("real_share 0.05 to 1"));
  EXPECT_THAT(Page(), HasSubstr("tandem_mitigation_actions_total{direction=\"tighten\",knob="
                                "\"real_share\"} 1"));
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"exploiting\"} 1"));
  EXPECT_THAT(Page(), HasSubstr("tandem_controller_state{state=\"act\"} 1"));
  EXPECT_THAT(Page(), HasSubstr("tandem_mitigation_knob_value{knob=\"real_share\"} 1"));
  // The evidence began anew: the next action takes its time.
  judge->OnCheckpoint(With(1));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kWarning);
}

TEST_F(JudgeTest, AllClearThenBackToTheRecipe) {
  const auto judge = Make();
  Until(*judge, "action", 1);
  EXPECT_EQ(Until(*judge, "all_clear", 0), 3);
  for (int i = 0; i < 40; ++i) judge->OnCheckpoint(With(0));
  const JudgeReport report = judge->Report();
  EXPECT_EQ(report.judgement.verdict, Verdict::kHealthy);
  EXPECT_EQ(report.controller_state, "healthy");
  EXPECT_TRUE(report.directive.settings.empty());
  EXPECT_THAT(Page(), HasSubstr("tandem_mitigation_knob_value{knob=\"rollout_horizon\"} 8"));
}

TEST_F(JudgeTest, AdviceTouchesNothing) {
  options_.controller.act = false;
  const auto judge = Make();
  EXPECT_LT(Until(*judge, "advice", 1), 20);
  for (int i = 0; i < 20; ++i) judge->OnCheckpoint(With(1));
  EXPECT_EQ(Kinds(*judge, "advice").size(), 1u);
  EXPECT_EQ(Kinds(*judge, "alarm").size(), 1u);
  EXPECT_EQ(judge->Report().directive.version, 0);
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kExploiting);
}

TEST_F(JudgeTest, OffJudgesWithoutAController) {
  options_.control = false;
  const auto judge = Make();
  EXPECT_LT(Until(*judge, "alarm", 1), 20);
  EXPECT_TRUE(Kinds(*judge, "advice").empty());
  EXPECT_EQ(judge->Report().controller_state, "off");
  EXPECT_THAT(Page(), HasSubstr("tandem_controller_state{state=\"off\"} 1"));
}

TEST_F(JudgeTest, SilenceIsStaleAndSaysWhatWasBefore) {
  const auto judge = Make();
  for (int i = 0; i < 6; ++i) judge->OnCheckpoint(With(0));
  clock_.Advance(absl::Seconds(121));
  judge->Beat();
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kStale);
  EXPECT_THAT(judge->Report().judgement.sentence, HasSubstr("121 s ago"));
  EXPECT_THAT(judge->Report().judgement.sentence, HasSubstr("Then: No sign"));
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"stale\"} 1"));
  judge->OnCheckpoint(With(0));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kHealthy);
}

TEST_F(JudgeTest, ARestartGoesOnAsIfNothingHadHappened) {
  const auto make_course = [&](bool restart) {
    options_.history_path = Path(restart ? "restarted.jsonl" : "whole.jsonl");
    steps_ = 0;
    std::unique_ptr<Judge> judge = Make();
    std::vector<std::string> course;
    for (int i = 0; i < 120; ++i) {
      if (restart && i % 7 == 3) judge = Make();
      const double gap = i % 40 < 20 ? 1 : 0;
      Checkpoint c = With(gap);
      c.error_ratio = 1 + 0.1 * (i % 5);
      c.policy_shift = 0.1 * (i % 3);
      c.real_return = i % 40 < 30 ? 100 : -200;  // falls while knobs go back
      c.return_scale = 400;
      judge->OnCheckpoint(c);
      const JudgeReport report = judge->Report();
      course.push_back(report.controller_state + " " + report.judgement.sentence);
      for (const auto& setting : report.directive.settings) {
        course.back() += absl::StrCat(" ", KnobName(setting.knob), "=", setting.value);
      }
    }
    return course;
  };
  const std::vector<std::string> whole = make_course(false);
  EXPECT_EQ(make_course(true), whole);
}

TEST_F(JudgeTest, ARestartSaysWhatCameBackAndVersionsGrow) {
  int64_t version = 0;
  {
    const auto judge = Make();
    Until(*judge, "action", 1);
    version = judge->Report().directive.version;
  }
  {
    const auto judge = Make();
    const auto restarts = Kinds(*judge, "restart");
    ASSERT_EQ(restarts.size(), 1u);
    EXPECT_THAT(restarts[0].text, HasSubstr("the evidence and the controller came back"));
    EXPECT_EQ(judge->Report().directive.version, version);
    EXPECT_EQ(judge->Report().directive.ValueOf(Knob::kRealShare), 1);
    EXPECT_EQ(judge->Report().checkpoint.env_steps, steps_);
  }
  options_.thresholds.tolerance = 0.3;
  EXPECT_THAT(Kinds(*Make(), "restart").back().text, HasSubstr("the evidence begins anew"));
  options_.controller.act = false;  // the run no longer acts: the recipe's values are back
  const auto judge = Make();
  EXPECT_TRUE(judge->Report().directive.settings.empty());
  EXPECT_GT(judge->Report().directive.version, version);
}

TEST_F(JudgeTest, ARestartReportsWhatWasJudgedBeforeAndItTurnsStale) {
  JudgeReport before;
  ReturnMemory returns;
  returns.scale = {.first = -3, .best = 40, .first_episodes = {-3, -2.5}};
  returns.through_env_steps = 1500;
  {
    const auto judge = Make();
    Until(*judge, "action", 1);
    judge->OnCheckpoint(With(1), returns);
    before = judge->Report();
  }
  clock_.Advance(absl::Seconds(30));
  const auto judge = Make();
  const JudgeReport report = judge->Report();
  EXPECT_EQ(report.judgement.verdict, before.judgement.verdict);
  EXPECT_EQ(report.judgement.sentence, before.judgement.sentence);
  EXPECT_EQ(report.judgement.signal, before.judgement.signal);
  EXPECT_EQ(report.judgement.signal, "gap_100");
  EXPECT_EQ(report.checkpoints, before.checkpoints);
  EXPECT_EQ(report.checkpoint.gap_100, 1);
  EXPECT_EQ(report.advice, before.advice);
  EXPECT_EQ(report.controller_state, before.controller_state);
  EXPECT_NEAR(report.evidence_log10, before.evidence_log10, 1e-9);
  EXPECT_EQ(report.evidence_threshold_log10, before.evidence_threshold_log10);
  EXPECT_NEAR(report.age_seconds, 30, 1e-6);
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"warning\"} 1"));
  EXPECT_THAT(Page(), Not(HasSubstr("tandem_coadaptation_evidence_log10 Nan")));
  EXPECT_THAT(Kinds(*judge, "restart")[0].text, HasSubstr("so did the return scale"));
  ASSERT_TRUE(judge->returns().has_value());
  EXPECT_EQ(judge->returns()->scale.best, 40);
  EXPECT_EQ(judge->returns()->scale.first_episodes, returns.scale.first_episodes);
  EXPECT_EQ(judge->returns()->through_env_steps, 1500);
  clock_.Advance(absl::Seconds(100));
  judge->Beat();
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kStale);
  EXPECT_THAT(judge->Report().judgement.sentence, HasSubstr("130 s ago"));
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"stale\"} 1"));
}

TEST_F(JudgeTest, TheTimeThatItWasAwayForDoesNotMakeTheRunASlowOne) {
  {
    const auto judge = Make();
    for (int i = 0; i < 6; ++i) judge->OnCheckpoint(With(0));
  }
  clock_.Advance(absl::Hours(1));
  const auto judge = Make();
  judge->OnCheckpoint(With(0));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kHealthy);
  clock_.Advance(absl::Seconds(121));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kStale);
}

TEST_F(JudgeTest, AfterARestartWithAnotherToleranceThereIsNoVerdictUntilTheNextModel) {
  {
    const auto judge = Make();
    judge->OnCheckpoint(With(1));
    judge->OnCheckpoint(With(1));
  }
  {
    const auto judge = Make();
    EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kWarmingUp);
    EXPECT_THAT(judge->Report().judgement.sentence, HasSubstr("Warming up: 2 of the first 3"));
    for (int i = 0; i < 4; ++i) judge->OnCheckpoint(With(0.15));
    EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kWarning);
  }
  options_.thresholds.warning = options_.thresholds.tolerance = 0.3;
  {
    const auto judge = Make();
    EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kVoid);
    EXPECT_THAT(Kinds(*judge, "restart").back().text,
                HasSubstr("begins anew, for its thresholds are others"));
  }
  const auto judge = Make();
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kVoid);
  EXPECT_THAT(judge->Report().judgement.sentence, HasSubstr("its evidence begins anew"));
  EXPECT_TRUE(std::isnan(judge->Report().evidence_log10));
  judge->OnCheckpoint(With(0.15));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kHealthy);
}

TEST_F(JudgeTest, WhereNothingCountsTheVerdictIsVoidAndTheControllerWaits) {
  const auto judge = Make();
  for (int i = 0; i < 5; ++i) judge->OnCheckpoint(With(std::nan("")));
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kVoid);
  EXPECT_EQ(judge->Report().controller_state, "healthy");
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"void\"} 1"));
  EXPECT_THAT(Page(), HasSubstr("tandem_coadaptation_verdict{verdict=\"warming_up\"} 0"));
  EXPECT_EQ(Make()->ReadHistory(0, 0).checkpoints.back().judgement.verdict, Verdict::kVoid);
}

TEST_F(JudgeTest, ATornLastLineIsCutOffAndTheRestComesBack) {
  {
    const auto judge = Make();
    for (int i = 0; i < 5; ++i) judge->OnCheckpoint(With(0));
  }
  std::ofstream(options_.history_path, std::ios::app) << "{\"kind\":\"checkpoint\",\"numb";
  {
    const auto judge = Make();
    EXPECT_THAT(Kinds(*judge, "restart").back().text, HasSubstr("torn"));
    EXPECT_EQ(judge->ReadHistory(0, 0).checkpoints.size(), 5u);
    judge->OnCheckpoint(With(0));
  }
  const auto judge = Make();
  EXPECT_EQ(judge->ReadHistory(0, 0).checkpoints.size(), 6u);
  EXPECT_EQ(judge->ReadHistory(0, 0).checkpoints[5].checkpoint.number, 6);
}

TEST_F(JudgeTest, AStartThatCameToNothingIsNoRestart) {
  options_.history_path = Path("folder/that/is/made/history.jsonl");
  Make();
  EXPECT_THAT(*ReadFile(options_.history_path), HasSubstr("\"kind\":\"state\""));
  EXPECT_TRUE(Kinds(*Make(), "restart").empty());
}

TEST_F(JudgeTest, AStateThatMakesNoSenseBeginsAnew) {
  std::ofstream(options_.history_path)
      << "{\"kind\":\"state\",\"state\":{\"format\":1,\"checkpoints\":\"many\"}}\nnot json\n";
  const auto judge = Make();
  EXPECT_THAT(Kinds(*judge, "restart").back().text, HasSubstr("begin anew (not a judge's state"));
  EXPECT_THAT(Kinds(*judge, "restart").back().text,
              HasSubstr("; 1 lines that make no sense were passed over."));
  EXPECT_LT(Until(*judge, "action", 1), 20);
}

TEST_F(JudgeTest, AFailingDiskCostsLinesNotVerdicts) {
  const auto judge = Make();
  std::filesystem::remove_all(folder_);
  EXPECT_LT(Until(*judge, "action", 1), 20);
  EXPECT_THAT(Page(), ::testing::Not(HasSubstr("tandem_monitor_history_failures_total 0\n")));
}

TEST_F(JudgeTest, EvaluationsAreRecordedAndJudgeNothing) {
  const auto judge = Make();
  HistoryEvaluation evaluation;
  evaluation.env_steps = 1000;
  evaluation.gap = 5;
  for (int i = 0; i < 20; ++i) {
    judge->OnEvaluation(evaluation);
    judge->OnCheckpoint(With(0));
  }
  EXPECT_EQ(judge->Report().judgement.verdict, Verdict::kHealthy);
  EXPECT_THAT(*ReadFile(options_.history_path),
              HasSubstr("{\"kind\":\"evaluation\",\"env_steps\":1000.0,\"gap\":5.0}\n"));
}

}  // namespace
}  // namespace tandem::monitor
