#include "common/dynamics/fit_data.h"

#include <cmath>
#include <set>
#include <span>
#include <vector>

#include "common/base/rng.h"
#include "common/dynamics/normaliser.h"
#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

TEST(Normaliser, ColumnsGetMeanZeroAndVarianceOneAndConstantOnesTheirStandIn) {
  std::vector<float> rows = {1, 5, 3, 5, 5, 5};
  const Normaliser n = Normaliser::Of(rows, 2, 0.25f);
  EXPECT_FLOAT_EQ(n.mean[0], 3);
  EXPECT_FLOAT_EQ(n.std[0], std::sqrt(8.0f / 3));
  EXPECT_FLOAT_EQ(n.std[1], 0.25f);
  n.Apply(rows);
  EXPECT_FLOAT_EQ(rows[0], -2 / std::sqrt(8.0f / 3));
  EXPECT_EQ(rows[3], 0);
  nn::TensorFile file;
  n.Export("a", &file);
  Normaliser back;
  ASSERT_TRUE(back.Import("a", 2, file).ok());
  EXPECT_EQ(back.std, n.std);
  file.tensors.at("a_std").data[0] = 0;
  EXPECT_EQ(back.Import("a", 2, file).code(), absl::StatusCode::kInvalidArgument);
}

TEST(BootstrapBatches, EachMemberDrawsItsOwnRowsWithReplacement) {
  FitRows rows{.rows = 100, .input_dim = 1, .output_dim = 1};
  for (int i = 0; i < 100; ++i) {
    rows.inputs.push_back(static_cast<float>(i));
    rows.targets.push_back(static_cast<float>(-i));
  }
  Rng rng(1);
  BootstrapBatches batches(rows, 2, 32, rng);
  EXPECT_EQ(batches.batches_per_epoch(), 3);
  batches.Shuffle();
  std::multiset<float> seen[2];
  for (int b = 0; b < 3; ++b) {
    const nn::EnsembleRows batch = batches.Batch(b);
    ASSERT_EQ(batch.rows, 32);
    for (int m = 0; m < 2; ++m) {
      for (int i = 0; i < 32; ++i) {
        EXPECT_EQ(batch.inputs[m * 32 + i], -batch.targets[m * 32 + i]);
        seen[m].insert(batch.inputs[m * 32 + i]);
      }
    }
  }
  EXPECT_NE(seen[0], seen[1]);
  const std::set<float> distinct(seen[0].begin(), seen[0].end());
  EXPECT_LT(distinct.size(), 80u);  // about 63 of 100
  EXPECT_GT(distinct.size(), 45u);
}

}  // namespace
}  // namespace tandem::dynamics
