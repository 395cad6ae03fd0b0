#include "cli/run_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tandem::cli {
namespace {

using testing::HasSubstr;

monitor::v1::GetReportResponse Exploiting() {
  monitor::v1::GetReportResponse report;
  report.set_verdict(monitor::v1::VERDICT_EXPLOITING);
  report.set_sentence("The policy looks better in its model than it is.");
  report.set_signal("gap_episode");
  report.set_evidence_log10(2.5);
  report.set_evidence_threshold_log10(std::log10(200));
  report.set_controller_state("cooldown");
  report.set_advice("It waits for the effect.");
  report.set_checkpoints(31);
  report.set_age_seconds(2);
  monitor::v1::Setting* setting = report.mutable_directive()->add_settings();
  setting->set_knob(monitor::v1::KNOB_ROLLOUT_HORIZON);
  setting->set_value(2);
  setting->set_reason("open-loop error");
  return report;
}

TEST(RunStatus, SaysTheVerdictFirstThenWhatItRestsOn) {
  EXPECT_EQ(JudgementText(JudgementJson(Exploiting())),
            "verdict: exploiting. The policy looks better in its model than it is.\n"
            "evidence for an alarm: 316 of 200, carried by gap_episode; 31 checkpoints judged\n"
            "controller: cooldown; It waits for the effect.\n"
            "knob off its recipe's value: rollout_horizon = 2, because: open-loop error\n");
}

TEST(RunStatus, ARecordOfARunWithoutAMonitorHasNoEvidence) {
  const nlohmann::json record = {{"signal", nullptr}, {"checkpoints", nullptr}};
  EXPECT_EQ(EvidenceText(record), "no data yet; 0 checkpoints judged");
  EXPECT_EQ(EvidenceText(nlohmann::json::object()), "no data yet; 0 checkpoints judged");
}

TEST(RunStatus, WhatIsNotKnownIsNoNumber) {
  monitor::v1::GetReportResponse report;
  report.set_verdict(monitor::v1::VERDICT_WARMING_UP);
  report.set_evidence_log10(std::nan(""));
  report.set_evidence_threshold_log10(2);
  report.set_age_seconds(-1);
  const nlohmann::json json = JudgementJson(report);
  EXPECT_TRUE(json["evidence_log10"].is_null());
  EXPECT_TRUE(json["age_seconds"].is_null());
  EXPECT_THAT(JudgementText(json), HasSubstr("verdict: warming up."));
  EXPECT_THAT(JudgementText(json), HasSubstr("evidence for an alarm: no data yet"));
  EXPECT_THAT(JudgementText(json), HasSubstr("every knob has its recipe's value"));
}

TEST(RunStatus, NamesEveryKnobOfTheWire) {
  for (int i = monitor::v1::Knob_MIN + 1; i <= monitor::v1::Knob_MAX; ++i) {
    const auto knob = static_cast<monitor::v1::Knob>(i);
    std::string name = KnobText(knob);
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ("KNOB_" + name, monitor::v1::Knob_Name(knob));
  }
  EXPECT_EQ(KnobText(static_cast<monitor::v1::Knob>(99)), "unknown");
}

}  // namespace
}  // namespace tandem::cli
