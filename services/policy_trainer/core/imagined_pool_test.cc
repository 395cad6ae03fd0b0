#include "services/policy_trainer/core/imagined_pool.h"
#include "common/data/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace tandem::policy_trainer {
namespace {

/// Appends `count` rows that all say `value`, but `-value` in the second column of an observation.
void Fill(TransitionBatch& columns, int64_t count, float value) {
  for (int64_t i = 0; i < count; ++i) {
    columns.observations.insert(columns.observations.end(), {value, -value});
    columns.actions.push_back(value);
    columns.rewards.push_back(value);
    columns.next_observations.insert(columns.next_observations.end(), {value + 1, -value - 1});
    columns.terminated.push_back(static_cast<int>(value) % 2);
  }
}

void AddGeneration(ImaginedPool& pool, int64_t rows, float value) {
  Fill(pool.Begin(rows), rows, value);
  pool.Commit();
}

std::set<float> RewardsIn(const ImaginedPool& pool) {
  TransitionBatch out = MakeRows(2, 1, 2000);
  Rng rng(1);
  pool.Sample(rng, 2000, 0, &out);
  return {out.rewards.begin(), out.rewards.end()};
}

TEST(ImaginedPool, RowsGoOutWithTheirLogRatios) {
  ImaginedPool pool(2, 1, /*generations=*/2);
  Fill(pool.Begin(10), 10, 1);
  ASSERT_TRUE(pool.Relabel([](const TransitionBatch& rows, std::span<float> log_ratios) {
                    EXPECT_EQ(log_ratios.size(), 10u);
                    for (size_t i = 0; i < log_ratios.size(); ++i) {
                      log_ratios[i] = -rows.rewards[i];
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(pool.rows(), 0) << "labelled before they count";
  pool.Commit();
  AddGeneration(pool, 10, 2);  // not labelled yet
  TransitionBatch out = MakeRows(2, 1, 101);
  std::vector<float> log_ratios(101, 5);
  Rng rng(1);
  pool.Sample(rng, 100, 1, &out, log_ratios);
  EXPECT_EQ(log_ratios[0], 5);
  for (int i = 1; i <= 100; ++i) EXPECT_EQ(log_ratios[i], out.rewards[i] == 1 ? -1 : 0);
}

TEST(ImaginedPool, KeepsTheNewestGenerationsAndForgetsTheOldest) {
  ImaginedPool pool(2, 1, /*generations=*/2);
  AddGeneration(pool, 10, 1);
  EXPECT_EQ(pool.rows(), 10);
  AddGeneration(pool, 20, 2);
  EXPECT_EQ(pool.rows(), 30);
  EXPECT_EQ(RewardsIn(pool), (std::set<float>{1, 2}));
  AddGeneration(pool, 5, 3);
  EXPECT_EQ(pool.rows(), 25);
  EXPECT_EQ(RewardsIn(pool), (std::set<float>{2, 3}));
}

TEST(ImaginedPool, AGenerationCountsOnlyOnceCommitted) {
  ImaginedPool pool(2, 1, 2);
  AddGeneration(pool, 10, 1);
  Fill(pool.Begin(4), 4, 2);
  EXPECT_EQ(pool.rows(), 10);
  EXPECT_EQ(RewardsIn(pool), (std::set<float>{1}));
  pool.Commit();
  EXPECT_EQ(pool.rows(), 14);
  pool.Clear();
  EXPECT_EQ(pool.rows(), 0);
}

TEST(ImaginedPool, WhatFailsTakesNoFurtherGeneration) {
  ImaginedPool pool(2, 1, /*generations=*/2);
  AddGeneration(pool, 10, 1);
  AddGeneration(pool, 20, 2);
  for (int i = 0; i < 3; ++i) {
    Fill(pool.Begin(5), 5, 3);  // without Commit
    EXPECT_EQ(pool.rows(), 20);
  }
  AddGeneration(pool, 6, 5);
  EXPECT_EQ(pool.rows(), 26);
  EXPECT_EQ(RewardsIn(pool), (std::set<float>{2, 5}));
}

TEST(ImaginedPool, SamplesEachGenerationInProportionToItsRows) {
  ImaginedPool pool(2, 1, 2);
  AddGeneration(pool, 100, 1);
  AddGeneration(pool, 300, 2);
  TransitionBatch out = MakeRows(2, 1, 40000);
  Rng rng(3);
  pool.Sample(rng, 40000, 0, &out);
  double of_second = 0;
  for (const float reward : out.rewards) of_second += reward == 2;
  EXPECT_NEAR(of_second / 40000, 0.75, 0.02);  // standard error 0.002
}

TEST(ImaginedPool, WritesWholeRowsWhereItIsToldAndNothingElse) {
  ImaginedPool pool(2, 1, 1);
  AddGeneration(pool, 3, 7);
  TransitionBatch out = MakeRows(2, 1, 4);
  Rng rng(1);
  pool.Sample(rng, 2, /*at=*/1, &out);
  EXPECT_THAT(out.observations, testing::ElementsAre(0, 0, 7, -7, 7, -7, 0, 0));
  EXPECT_THAT(out.next_observations, testing::ElementsAre(0, 0, 8, -8, 8, -8, 0, 0));
  EXPECT_THAT(out.actions, testing::ElementsAre(0, 7, 7, 0));
  EXPECT_THAT(out.terminated, testing::ElementsAre(0, 1, 1, 0));
}

TEST(ImaginedPool, ReusesTheMemoryOfTheGenerationItReplaces) {
  ImaginedPool pool(2, 1, 1);
  AddGeneration(pool, 1000, 1);
  const float* before = pool.Begin(1000).observations.data();
  Fill(pool.Begin(1000), 1000, 2);
  pool.Commit();
  EXPECT_EQ(pool.Begin(1000).observations.data(), before);
}

RC_GTEST_PROP(ImaginedPool, HoldsTheRowsOfTheLastGenerations, ()) {
  const int kept = *rc::gen::inRange(1, 4);
  const auto sizes = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 20));
  ImaginedPool pool(2, 1, kept);
  int64_t expected = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    AddGeneration(pool, sizes[i], static_cast<float>(i));
    expected += sizes[i];
    if (i >= static_cast<size_t>(kept)) expected -= sizes[i - kept];
    RC_ASSERT(pool.rows() == expected);
  }
}

}  // namespace
}  // namespace tandem::policy_trainer
