#include "services/monitor/wire.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"

namespace tandem::monitor {
namespace {

using coadaptation::Knob;

TEST(WireTest, EveryFieldOfTheReportIsFilled) {
  Report run;
  run.fresh_steps_scored = 1;
  run.fresh_steps_dropped = 2;
  run.model_version = 3;
  run.policy_version = 4;
  run.model_age_env_steps = 5;
  run.env_steps = 6;
  run.training_return = 7;
  run.evaluation_return = 8;
  JudgeReport judged;
  double next = 100;
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    judged.checkpoint.*field.member = next++;
  }
  judged.judgement.verdict = coadaptation::Verdict::kExploiting;
  judged.judgement.sentence = "a sentence";
  judged.judgement.signal = "bias";
  judged.age_seconds = 9;
  judged.checkpoints = 10;
  judged.evidence_log10 = 11;
  judged.evidence_threshold_log10 = 12;
  judged.controller_state = "act";
  judged.advice = "advice";
  judged.directive = {13, {{Knob::kRealShare, 0.5, 0.4, "why", 13}}};
  judged.ttl_seconds = 120;
  v1::GetReportResponse response;
  Encode(run, judged, &response);
  response.set_dashboard("http://x");  // the service's
  std::vector<const google::protobuf::FieldDescriptor*> set;
  response.GetReflection()->ListFields(response, &set);
  EXPECT_EQ(static_cast<int>(set.size()), response.GetDescriptor()->field_count());
  EXPECT_EQ(response.verdict(), v1::VERDICT_EXPLOITING);
  EXPECT_EQ(response.index(), judged.checkpoint.index);
  EXPECT_EQ(response.return_gap(), judged.checkpoint.gap_episode);
  EXPECT_EQ(response.model_error_fresh(), judged.checkpoint.error_onpolicy);
  EXPECT_EQ(response.env_steps(), 6);
  EXPECT_EQ(response.figures().at("visibility"), judged.checkpoint.visibility);
  EXPECT_EQ(response.figures().size(), coadaptation::CheckpointFields().size());
  ASSERT_EQ(response.directive().settings_size(), 1);
  const v1::Setting& setting = response.directive().settings(0);
  EXPECT_EQ(setting.knob(), v1::KNOB_REAL_SHARE);
  EXPECT_EQ(setting.value(), 0.5);
  EXPECT_EQ(setting.safe_value(), 0.4);
  EXPECT_EQ(setting.reason(), "why");
  EXPECT_EQ(setting.version(), 13);
  EXPECT_EQ(response.directive().ttl_seconds(), 120);
}

TEST(WireTest, EnumerationsHaveTheSameNumbers) {
  for (int i = 1; i <= 6; ++i) {
    EXPECT_EQ(
        "VERDICT_" + absl::AsciiStrToUpper(VerdictName(static_cast<coadaptation::Verdict>(i))),
        v1::Verdict_Name(static_cast<v1::Verdict>(i)));
  }
  for (const coadaptation::KnobInfo& info : coadaptation::Knobs()) {
    EXPECT_EQ("KNOB_" + absl::AsciiStrToUpper(info.name),
              v1::Knob_Name(static_cast<v1::Knob>(info.knob)));
  }
  for (int i = 1; i <= 4; ++i) {
    EXPECT_EQ(
        "RECEIVER_" + absl::AsciiStrToUpper(ReceiverName(static_cast<coadaptation::Receiver>(i))),
        v1::Receiver_Name(static_cast<v1::Receiver>(i)));
  }
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ("OUTCOME_" + absl::AsciiStrToUpper(AckOutcomeName(static_cast<AckOutcome>(i))),
              v1::Outcome_Name(static_cast<v1::Outcome>(i)));
  }
}

TEST(WireTest, TheHistoryLeavesOutWhatIsNotKnown) {
  HistoryPage page;
  page.checkpoints.resize(1);
  page.checkpoints[0].checkpoint.index = 0.25;
  page.checkpoints[0].judgement.verdict = coadaptation::Verdict::kWarning;
  page.checkpoints[0].judgement.evidence = 100;
  page.events.resize(1);
  page.events[0].kind = "action";
  page.events[0].knob = Knob::kRefit;
  page.events[0].env_steps = 750;
  page.events[0].after = 1;
  page.next_checkpoint = 41;
  page.next_event = 7;
  v1::GetHistoryResponse response;
  Encode(page, &response);
  EXPECT_EQ(response.checkpoints(0).figures_size(), 1);
  EXPECT_EQ(response.checkpoints(0).figures().at("index"), 0.25);
  EXPECT_EQ(response.checkpoints(0).verdict(), v1::VERDICT_WARNING);
  EXPECT_EQ(response.checkpoints(0).evidence_log10(), 2);
  EXPECT_EQ(response.events(0).kind(), "action");
  EXPECT_EQ(response.events(0).knob(), v1::KNOB_REFIT);
  EXPECT_EQ(response.events(0).env_steps(), 750);
  EXPECT_EQ(response.events(0).after(), 1);
  EXPECT_EQ(response.next_checkpoint(), 41);
  EXPECT_EQ(response.next_event(), 7);
}

TEST(WireTest, WhatIsUnknownOnTheWireIsRefused) {
  EXPECT_FALSE(Decode(v1::RECEIVER_UNSPECIFIED).ok());
  EXPECT_FALSE(Decode(static_cast<v1::Receiver>(77)).ok());
  EXPECT_FALSE(Decode(static_cast<v1::Knob>(11)).ok());
  v1::AcknowledgeRequest request;
  request.set_receiver(v1::RECEIVER_ACTOR);
  EXPECT_FALSE(Decode(request).ok());
  request.set_outcome(v1::OUTCOME_REFUSED);
  EXPECT_TRUE(Decode(request).ok());
  request.add_refused(v1::KNOB_DATA_COLLECTION);
  EXPECT_EQ(Decode(request)->refused,
            std::vector<coadaptation::Knob>{coadaptation::Knob::kDataCollection});
  request.add_refused(static_cast<v1::Knob>(11));
  EXPECT_FALSE(Decode(request).ok());
}

}  // namespace
}  // namespace tandem::monitor
