#include "common/base/log_sum_exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tandem {
namespace {

TEST(LogSumExpTest, IsTheLogarithmOfTheSumAtAnySize) {
  EXPECT_NEAR(LogSumExp(std::vector{std::log(2.0), std::log(5.0)}), std::log(7.0), 1e-12);
  EXPECT_NEAR(LogSumExp(std::vector{5000.0, 5000.0}), 5000 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector{-5000.0, -5000.0}), -5000 + std::log(2.0), 1e-9);
}

TEST(LogSumExpTest, WhatIsNothingAddsNothing) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  EXPECT_EQ(LogSumExp({}), kNone);
  EXPECT_EQ(LogSumExp(std::vector{kNone, kNone}), kNone);
  EXPECT_EQ(LogSumExp(std::vector{kNone, 3.0}), 3);
}

}  // namespace
}  // namespace tandem
