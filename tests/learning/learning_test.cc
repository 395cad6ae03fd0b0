#include <gtest/gtest.h>

#include <algorithm>

#include "tests/learning/one_process_run.h"

namespace tandem {
namespace {

/// Where random actions return about 20 and a perfect policy 200, three seeds of a short run have
/// to show learning, each of them.
class LearningTest : public testing::TestWithParam<uint64_t> {};

TEST_P(LearningTest, BalancesTheCartpoleInAThousandSteps) {
  const auto result = TrainInOneProcess(SmallCartpole(GetParam()));
  ASSERT_TRUE(result.ok()) << result.status();
  double best = 0;
  for (const EvaluationResult& evaluation : result->evaluations) {
    RecordProperty("return_at_" + std::to_string(evaluation.env_steps),
                   std::to_string(evaluation.mean_return));
    printf("steps %ld updates %ld return %.1f\n", static_cast<long>(evaluation.env_steps),
           static_cast<long>(evaluation.policy_updates), evaluation.mean_return);
    best = std::max(best, evaluation.mean_return);
  }
  EXPECT_GT(best, 120);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LearningTest, testing::Values(1, 2, 3));

}  // namespace
}  // namespace tandem
