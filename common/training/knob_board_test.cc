#include "common/training/knob_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/clients/testing/fake_directive_client.h"

namespace tandem::training {
namespace {

using coadaptation::Knob;
using testing::HasSubstr;

struct Board {
  FakeClock clock;
  FakeDirectiveClient client{clock};
  metrics::Registry registry;
  KnobBoard board{{.receiver = coadaptation::Receiver::kPolicyTrainer,
                   .metric_prefix = "tandem_test",
                   .recipe = {{Knob::kRealShare, 0.05}, {Knob::kRollback, 0}},
                   .patience = absl::Milliseconds(20)},
                  &client,
                  registry,
                  clock};
};

TEST(KnobBoardTest, HasTheRecipesValuesUntilADirectiveComesAndAgainWithoutIt) {
  Board b;
  EXPECT_FALSE(b.board.Refresh(0));
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.05);
  EXPECT_THAT(b.registry.Page(), HasSubstr("tandem_test_knob_value{knob=\"real_share\"} 0.05"));
  b.client.Set(3, {{.knob = Knob::kRealShare, .value = 0.5, .reason = "x"},
                   {.knob = Knob::kRefit, .value = 1}});  // of another receiver
  b.clock.Advance(absl::Seconds(2));
  ASSERT_TRUE(b.board.Refresh(0));
  b.board.Acknowledge();
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.5);
  EXPECT_THAT(b.registry.Page(), HasSubstr("tandem_test_knob_value{knob=\"real_share\"} 0.5"));
  EXPECT_FALSE(b.board.Refresh(3)) << "nothing is new";
  b.client.Set(4, {});
  ASSERT_TRUE(b.board.Refresh(4));
  b.board.Acknowledge();
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.05);
  const auto told = b.client.acknowledged();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].version, 3);
  EXPECT_EQ(told[0].outcome, DirectiveOutcome::kApplied);
  EXPECT_EQ(told[0].apply_seconds, 2);
  EXPECT_EQ(told[1].version, 4);
}

TEST(KnobBoardTest, AMonitorThatBeganAnewHasTheRecipesValues) {
  Board b;
  b.client.Set(3, {{.knob = Knob::kRealShare, .value = 0.5}});
  ASSERT_TRUE(b.board.Refresh(0));
  b.board.Acknowledge();
  b.client.Set(0, {});
  ASSERT_TRUE(b.board.Refresh(0));
  b.board.Acknowledge();
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.05);
  EXPECT_EQ(b.client.acknowledged().size(), 1u) << "there is no directive to acknowledge";
}

TEST(KnobBoardTest, RefusesWhatIsOutOfRangeOrCannotBeDoneAndKeepsTheValueBefore) {
  Board b;
  b.client.Set(1,
               {{.knob = Knob::kRealShare, .value = 0.5}, {.knob = Knob::kRollback, .value = 7}});
  ASSERT_TRUE(b.board.Refresh(1));
  EXPECT_EQ(b.board.value(Knob::kRollback), 7);
  b.board.Refuse(Knob::kRollback, "not kept");
  EXPECT_EQ(b.board.value(Knob::kRollback), 0);
  b.board.Acknowledge();
  EXPECT_EQ(b.client.acknowledged()[0].outcome, DirectiveOutcome::kRefused);
  EXPECT_EQ(b.client.acknowledged()[0].message, "rollback: not kept");
  EXPECT_THAT(b.client.acknowledged()[0].refused, testing::ElementsAre(Knob::kRollback));
  for (const double bad : {1.5, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    b.client.Set(b.client.Held().directive.version + 1, {{.knob = Knob::kRealShare, .value = bad}});
    ASSERT_TRUE(b.board.Refresh(0));
    b.board.Acknowledge();
    EXPECT_EQ(b.board.value(Knob::kRealShare), 0.5);
    EXPECT_EQ(b.client.acknowledged().back().outcome, DirectiveOutcome::kRefused);
    EXPECT_THAT(b.client.acknowledged().back().message, HasSubstr("real_share: expected 0 to 1"));
  }
}

TEST(KnobBoardTest, WhatWasRefusedIsNeitherTriedNorToldAgainWhileItIsAskedFor) {
  Board b;
  const coadaptation::Setting rollback = {.knob = Knob::kRollback, .value = 7, .safe_value = 7};
  const coadaptation::Setting bad = {.knob = Knob::kRealShare,
                                     .value = std::numeric_limits<double>::quiet_NaN()};
  const auto refresh = [&b](int64_t version, std::vector<coadaptation::Setting> settings) {
    b.client.Set(version, std::move(settings), absl::Seconds(60));
    EXPECT_TRUE(b.board.Refresh(0));
    if (b.board.value(Knob::kRollback) != 0) b.board.Refuse(Knob::kRollback, "not kept");
    b.board.Acknowledge();
    return b.client.acknowledged().back();
  };
  EXPECT_THAT(refresh(1, {rollback, bad}).refused,
              testing::ElementsAre(Knob::kRealShare, Knob::kRollback));
  for (int64_t version = 2; version < 5; ++version) {
    EXPECT_EQ(refresh(version, {rollback, bad}).outcome, DirectiveOutcome::kApplied) << version;
  }
  EXPECT_EQ(refresh(5, {rollback, {.knob = Knob::kRealShare, .value = 0.5}}).outcome,
            DirectiveOutcome::kApplied);
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.5) << "the others are turned all the same";
  b.clock.Advance(absl::Seconds(61));  // and expire as ever
  ASSERT_TRUE(b.board.Refresh(0));
  EXPECT_EQ(b.board.value(Knob::kRollback), 0);
  b.board.Acknowledge();
  EXPECT_EQ(b.client.acknowledged().back().outcome, DirectiveOutcome::kExpired);
  EXPECT_EQ(refresh(6, {}).outcome, DirectiveOutcome::kApplied);
  EXPECT_EQ(refresh(7, {rollback}).outcome, DirectiveOutcome::kRefused) << "asked for anew";
  EXPECT_EQ(refresh(8, {{.knob = Knob::kRollback, .value = 9}}).outcome, DirectiveOutcome::kRefused)
      << "another value";
}

TEST(KnobBoardTest, GoesToTheSafeValueWhenTheDirectiveExpiresAndBackWhenItIsRenewed) {
  Board b;
  const std::vector<coadaptation::Setting> settings = {
      {.knob = Knob::kRealShare, .value = 0.5, .safe_value = 0.3}};
  b.client.Set(1, settings, absl::Seconds(60));
  ASSERT_TRUE(b.board.Refresh(0));
  b.board.Acknowledge();
  b.clock.Advance(absl::Seconds(59));
  EXPECT_FALSE(b.board.Refresh(0));
  b.clock.Advance(absl::Seconds(1));
  ASSERT_TRUE(b.board.Refresh(0));
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.3);
  b.board.Acknowledge();
  EXPECT_EQ(b.client.acknowledged().back().outcome, DirectiveOutcome::kExpired);
  b.client.Set(1, settings, absl::Seconds(60));
  ASSERT_TRUE(b.board.Refresh(0));
  EXPECT_EQ(b.board.value(Knob::kRealShare), 0.5);
}

TEST(KnobBoardTest, WaitsForTheDirectiveThatAGrantNamesButOnlyOnce) {
  Board b;
  EXPECT_FALSE(b.board.Refresh(9));
  EXPECT_FALSE(b.board.Refresh(9));
  EXPECT_THAT(b.registry.Page(), HasSubstr("tandem_test_late_directives_total 1"));
  b.client.Set(9, {{.knob = Knob::kRealShare, .value = 0.5}});
  EXPECT_TRUE(b.board.Refresh(9));
  EXPECT_FALSE(b.board.Refresh(10));
  EXPECT_THAT(b.registry.Page(), HasSubstr("tandem_test_late_directives_total 2"));
}

TEST(KnobBoardTest, WithoutAMonitorTheRecipeHolds) {
  metrics::Registry registry;
  KnobBoard board({.metric_prefix = "tandem_test", .recipe = {{Knob::kRealShare, 0.05}}}, nullptr,
                  registry, *Clock::Real());
  EXPECT_FALSE(board.Refresh(5));
  EXPECT_EQ(board.value(Knob::kRealShare), 0.05);
}

}  // namespace
}  // namespace tandem::training
