#include "common/coadaptation/attribution.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const MitigationOptions kOptions;

/// Without the real share, which an alarm alone speaks for.
std::vector<Knob> KnobsOf(const Checkpoint& checkpoint, bool attributed_only = false) {
  std::vector<Knob> knobs;
  for (const Candidate& candidate : Attribute(checkpoint, kOptions)) {
    if (!attributed_only || candidate.attributed) knobs.push_back(candidate.knob);
  }
  const auto share = std::find(knobs.begin(), knobs.end(), Knob::kRealShare);
  EXPECT_NE(share, knobs.end());
  knobs.erase(share);
  return knobs;
}

std::string ReasonFor(const Checkpoint& checkpoint, Knob knob) {
  for (const Candidate& candidate : Attribute(checkpoint, kOptions)) {
    if (candidate.knob == knob) return candidate.reason;
  }
  return "absent";
}

TEST(AttributionTest, NothingKnownLeavesTheLadderWithoutWhatNeedsAReason) {
  EXPECT_THAT(KnobsOf({}), ElementsAre(Knob::kRolloutHorizon, Knob::kRefit, Knob::kMemberReset,
                                       Knob::kUpdatesPerStep));
  EXPECT_THAT(KnobsOf({}, true), ElementsAre());
}

TEST(AttributionTest, AGrowingOpenLoopErrorSpeaksForAShorterHorizon) {
  Checkpoint c;
  c.open_loop_1 = 0.1;
  c.open_loop_20 = 0.9;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kRolloutHorizon));
  EXPECT_THAT(ReasonFor(c, Knob::kRolloutHorizon), HasSubstr("from 0.10 after 1 step to 0.90"));
  c.open_loop_20 = 0.11;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre());
}

TEST(AttributionTest, AModelThatMissedItsFitIsFittedBeforeAnythingElse) {
  Checkpoint c;
  c.open_loop_1 = 0.1;
  c.open_loop_20 = 0.9;
  c.coverage_onpolicy = 0.5;  // speaks for a refit, too
  c.fresh_steps = 400;
  c.model_age = 800;
  EXPECT_THAT(KnobsOf(c, true),
              ElementsAre(Knob::kRefit, Knob::kRolloutHorizon, Knob::kMemberReset));
  EXPECT_THAT(ReasonFor(c, Knob::kRefit), HasSubstr("800 steps old"));
  EXPECT_EQ(Attribute(c, kOptions)[0].knob, Knob::kRefit);
  c.model_age = 400;
  EXPECT_THAT(KnobsOf(c, true),
              ElementsAre(Knob::kRolloutHorizon, Knob::kRefit, Knob::kMemberReset));
}

TEST(AttributionTest, ACriticFarFromItsModelForbidsAShorterHorizon) {
  Checkpoint c;
  c.open_loop_1 = 0.1;
  c.open_loop_20 = 0.9;
  c.residual = -0.7;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kRolloutHorizon)));
}

TEST(AttributionTest, AnAlarmSpeaksForRealStepsAndSaysWhy) {
  Checkpoint c;
  EXPECT_EQ(Attribute(c, kOptions)[0].knob, Knob::kRealShare);
  EXPECT_THAT(ReasonFor(c, Knob::kRealShare), HasSubstr("imagined steps do harm"));
  c.effective_sample_share = 0.05;
  EXPECT_THAT(ReasonFor(c, Knob::kRealShare), HasSubstr("effective sample share 0.05"));
}

TEST(AttributionTest, ManyUpdatesSpeakForFewer) {
  Checkpoint c;
  c.update_to_data = 40;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kUpdatesPerStep));
}

TEST(AttributionTest, PessimismIsForErrorsThatDisagreementSees) {
  Checkpoint c;
  c.visibility = 0.5;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kPessimism));
  c.value_bias = -0.1;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kPessimism));
  c.value_bias = -0.3;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kPessimism))) << "the critic undersells the policy";
  c.value_bias = 0.3;
  c.visibility = 0.2;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kPessimism)));
}

TEST(AttributionTest, ABlindEnsembleOrLowCoverageSpeaksForARefitAndFreshMembers) {
  Checkpoint c;
  c.visibility = 0.05;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kRefit, Knob::kMemberReset));
  Checkpoint wrong;
  wrong.coverage_onpolicy = 0.6;
  EXPECT_THAT(KnobsOf(wrong, true), ElementsAre(Knob::kRefit, Knob::kMemberReset));
  EXPECT_THAT(ReasonFor(wrong, Knob::kRefit), HasSubstr("60 %"));
}

TEST(AttributionTest, ClampingNeedsADominantRewardPartBeyondRealRewards) {
  Checkpoint c;
  c.index = 0.4;
  c.index_reward = 0.3;
  c.reward_range = 2;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kRewardClamp));
  c.reward_range = 1.4;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kRewardClamp)));
  c.reward_range = 2;
  c.index_reward = 0.1;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kRewardClamp)));
}

TEST(AttributionTest, APauseNeedsALargeShiftWithoutAgreement) {
  Checkpoint c;
  c.policy_shift = 0.8;
  EXPECT_THAT(KnobsOf(c, true), ElementsAre(Knob::kPolicyPause));
  c.improvement_agreement = 0.9;
  EXPECT_THAT(KnobsOf(c), Not(Contains(Knob::kPolicyPause)));
  c.improvement_agreement = 0.5;
  EXPECT_THAT(KnobsOf(c), Contains(Knob::kPolicyPause));
}

TEST(AttributionTest, AnUnusualOccupancyCallsForData) {
  Checkpoint c;
  EXPECT_EQ(WhyCollect(c, kOptions), "");
  c.c2st_auc = 0.9;
  EXPECT_THAT(WhyCollect(c, kOptions), HasSubstr("0.90"));
}

TEST(TightenTest, GoesByFactorsAndStopsAtTheLimit) {
  Checkpoint c;
  EXPECT_EQ(Tighten(Knob::kRolloutHorizon, 15, 15, c, kOptions), 7);
  EXPECT_EQ(Tighten(Knob::kRolloutHorizon, 1, 15, c, kOptions), std::nullopt);
  EXPECT_EQ(Tighten(Knob::kRealShare, 0.05, 0.05, c, kOptions), 1);
  EXPECT_EQ(Tighten(Knob::kRealShare, 0.9, 0.05, c, kOptions), 1);
  EXPECT_EQ(Tighten(Knob::kRealShare, 1, 0.05, c, kOptions), std::nullopt);
  EXPECT_EQ(Tighten(Knob::kPessimism, 0, 0, c, kOptions), 0.5);
  EXPECT_EQ(Tighten(Knob::kPessimism, 0.5, 0, c, kOptions), 1);
  EXPECT_EQ(Tighten(Knob::kPessimism, 8, 0, c, kOptions), std::nullopt);
  EXPECT_EQ(Tighten(Knob::kUpdatesPerStep, 10, 10, c, kOptions), 5);
  EXPECT_EQ(Tighten(Knob::kUpdatesPerStep, 1.25, 10, c, kOptions), std::nullopt);
  EXPECT_EQ(Tighten(Knob::kRefit, 3, 0, c, kOptions), 4);
  EXPECT_EQ(Tighten(Knob::kPolicyPause, 1, 0, c, kOptions), std::nullopt);
}

TEST(TightenTest, TheHorizonIsCutFromWhatIsInForceAndToWhereTheErrorIsSafe) {
  Checkpoint c;
  c.horizon = 8;  // the recipe's schedule has not reached 30 yet
  EXPECT_EQ(Tighten(Knob::kRolloutHorizon, 30, 30, c, kOptions), 4);
  c.horizon = 30;
  c.open_loop_1 = 0.1;
  c.open_loop_5 = 0.4;
  c.open_loop_10 = 0.6;
  c.open_loop_20 = 1.1;
  EXPECT_EQ(Tighten(Knob::kRolloutHorizon, 30, 30, c, kOptions), 5);
  c.open_loop_1 = 0.7;
  EXPECT_EQ(Tighten(Knob::kRolloutHorizon, 30, 30, c, kOptions), 1);
}

TEST(RelaxTest, GoesBackStepByStepToTheRecipe) {
  EXPECT_EQ(Relax(Knob::kRolloutHorizon, 3, 5, kOptions), 4);
  EXPECT_EQ(Relax(Knob::kRolloutHorizon, 4, 5, kOptions), std::nullopt);
  EXPECT_NEAR(*Relax(Knob::kRealShare, 0.5, 0.05, kOptions), 0.4, 1e-12);
  EXPECT_EQ(Relax(Knob::kRealShare, 0.1, 0.05, kOptions), std::nullopt);
  EXPECT_EQ(Relax(Knob::kPessimism, 2, 0, kOptions), 1);
  EXPECT_EQ(Relax(Knob::kPessimism, 0.25, 0, kOptions), std::nullopt);
  EXPECT_NEAR(*Relax(Knob::kUpdatesPerStep, 5, 10, kOptions), 6.25, 1e-12);
  EXPECT_EQ(Relax(Knob::kUpdatesPerStep, 9, 10, kOptions), std::nullopt);
  EXPECT_EQ(Relax(Knob::kRewardClamp, 1, 0, kOptions), std::nullopt);
}

TEST(HalvePessimismTest, EndsAtNone) {
  EXPECT_EQ(HalvePessimism(2, kOptions), 1);
  EXPECT_EQ(HalvePessimism(0.5, kOptions), 0.25);
  EXPECT_EQ(HalvePessimism(0.25, kOptions), 0);
  EXPECT_EQ(HalvePessimism(0, kOptions), std::nullopt);
}

TEST(SafeValueTest, NeitherAPauseNorRandomActionsOutliveTheMonitor) {
  EXPECT_EQ(SafeValue(Knob::kPolicyPause, 1), 0);
  EXPECT_EQ(SafeValue(Knob::kDataCollection, 0.1), 0);
  EXPECT_EQ(SafeValue(Knob::kRolloutHorizon, 2), 2);
}

}  // namespace
}  // namespace tandem::coadaptation
