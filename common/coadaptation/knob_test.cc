#include "common/coadaptation/knob.h"

#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

TEST(KnobTest, EveryKnobStandsAtItsNumberAndIsFoundByItsName) {
  int number = 0;
  for (const KnobInfo& info : Knobs()) {
    EXPECT_EQ(static_cast<int>(info.knob), ++number) << info.name;
    EXPECT_EQ(&InfoOf(info.knob), &info) << info.name;
    EXPECT_EQ(KnobFromName(info.name), info.knob);
    EXPECT_STREQ(KnobName(info.knob), info.name);
    EXPECT_LT(info.low, info.high) << info.name;
    EXPECT_STRNE(info.meaning, "");
  }
  EXPECT_EQ(KnobFromName("rollout-horizon"), std::nullopt);
}

TEST(KnobTest, ADirectiveKnowsTheValuesThatAreOffTheRecipe) {
  Directive directive;
  directive.settings.push_back({.knob = Knob::kRealShare, .value = 0.5});
  EXPECT_EQ(directive.ValueOf(Knob::kRealShare), 0.5);
  EXPECT_EQ(directive.ValueOf(Knob::kRollback), std::nullopt);
}

}  // namespace
}  // namespace tandem::coadaptation
