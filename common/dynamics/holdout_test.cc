#include "common/dynamics/holdout.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace tandem::dynamics {
namespace {

/// Two members, each of which predicts the same for every row: normal with means (.1, 0) and
/// (.01, .2), and variances e^0.
std::unique_ptr<nn::GaussianEnsemble> TwoMembers() {
  const nn::GaussianEnsembleSpec spec{.members = 2, .input_dim = 1, .output_dim = 2, .hidden = {4}};
  auto network = *nn::GaussianEnsemble::Create(spec, "cpu", 1);
  nn::TensorFile file;
  network->ExportParameters("", &file);
  for (auto& [name, tensor] : file.tensors) {
    if (name[0] == 'w') std::fill(tensor.data.begin(), tensor.data.end(), 0.0f);
  }
  file.tensors.at("b1").data = {0.1f, 0, 0, 0, 0.01f, 0.2f, 0, 0};  // means, log variances
  EXPECT_TRUE(network->ImportParameters("", file).ok());
  return network;
}

TEST(Holdout, ADimensionOfNoiseDoesNotDecide) {
  // Two members, alike in noise but for luck; the second predicts the other dimension far better.
  const FitRows rows{
      .rows = 2, .input_dim = 1, .output_dim = 2, .inputs = {0, 0}, .targets = {0, 1, 0, -1}};
  const auto network = TwoMembers();
  const MemberScore first = *ScoreMember(*network, 0, rows);
  const MemberScore second = *ScoreMember(*network, 1, rows);
  EXPECT_NEAR(first.squared_errors[0], 0.01, 1e-6);
  EXPECT_NEAR(second.squared_errors[1], 1.04, 1e-6);
  const auto plain = [](const MemberScore& s) { return s.squared_errors[0] + s.squared_errors[1]; };
  EXPECT_LT(plain(first), plain(second));  // what a plain mean would choose
  EXPECT_LT(second.score, first.score);
}

TEST(Holdout, OnlyScoredTargetsCount) {
  FitRows rows{.rows = 2,
               .input_dim = 1,
               .output_dim = 2,
               .scored_dim = 1,
               .inputs = {0, 0},
               .targets = {1, 100, 3, -100}};
  const auto network = TwoMembers();
  const MemberScore score = *ScoreMember(*network, 0, rows);
  ASSERT_EQ(score.squared_errors.size(), 1u);
  EXPECT_NEAR(score.squared_errors[0], (0.81 + 8.41) / 2, 1e-5);
  EXPECT_NEAR(score.score, (0.81 + 8.41) / 2, 1e-5);
  const std::vector<double> mean = *ScoreMean(*network, std::vector<int>{0, 1}, rows);
  ASSERT_EQ(mean.size(), 1u);
  EXPECT_NEAR(mean[0], (0.945 * 0.945 + 2.945 * 2.945) / 2, 1e-5);
  rows.scored_dim = 0;  // all
  EXPECT_EQ(ScoreMember(*network, 0, rows)->squared_errors.size(), 2u);
  EXPECT_EQ(ScoreMean(*network, std::vector<int>{0}, rows)->size(), 2u);
}

}  // namespace
}  // namespace tandem::dynamics
