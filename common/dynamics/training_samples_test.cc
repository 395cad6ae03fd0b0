#include "common/dynamics/training_samples.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/device.h"

namespace tandem::dynamics {
namespace {

const bool kOneThread = nn::ConfigureThreads(1).ok();
constexpr int64_t kRows = 5, kObs = 3, kAct = 1, kOut = kObs + 1;

/// f(s') = |s'|^2 / 2, and remembers s'.
class Square : public SampleObjective {
 public:
  bool active() const override { return true; }
  absl::Status Gradients(std::span<const float>, std::span<const float>,
                         std::span<const float> next, std::span<float> gradients) override {
    std::copy(next.begin(), next.end(), gradients.begin());
    samples.assign(next.begin(), next.end());
    return absl::OkStatus();
  }
  std::vector<float> samples;
};

at::Tensor Rows(std::vector<float> values, int64_t columns) {
  const auto rows = static_cast<int64_t>(values.size()) / columns;
  return at::from_blob(values.data(), {rows, columns}).to(at::kDouble);
}

std::vector<float> Normals(int64_t columns, uint64_t seed) {
  std::vector<float> out(kRows * columns);
  Rng(seed).FillNormal(out);
  return out;
}

double Farthest(const at::Tensor& gradient, std::span<const float> carried) {
  return (gradient - Rows({carried.begin(), carried.end()}, kOut)).abs().max().item<double>();
}

/// The loss as it is written, E[-log q(s', r | s, a)] + E_q[f(s'')], over the number of outputs, is
/// the ensemble's own, half the mean over rows and outputs, and a rest: by autograd the rest's
/// gradient is what the samples carry back.
TEST(TrainingSamplesTest, WeighTheObjectiveAgainstTheLikelihoodAsItIsWritten) {
  EnsembleMetadata meta;
  meta.obs_dim = kObs;
  meta.inputs = {{0.5f, -1, 0, 0}, {2, 1, 1, 3}};
  meta.targets = {{0.1f, 0.2f, 0, 1}, {1.5f, 0.5f, 1, 2}};
  const std::vector<float> inputs = Normals(kObs + kAct, 1), targets = Normals(kOut, 2);
  const std::vector<float> log_vars = Normals(kOut, 3);
  nn::EnsemblePrediction prediction;
  prediction.means = Normals(kOut, 4);
  for (const float x : log_vars) prediction.stds.push_back(std::exp(x / 2));
  at::Tensor mean = Rows(prediction.means, kOut), log_var = Rows(log_vars, kOut);
  mean.requires_grad_();
  log_var.requires_grad_();

  TrainingSamples samples;
  Square square;
  Rng rng(9);
  samples.Resize(kRows, kObs, kAct);
  samples.Draw(0, inputs, prediction, meta, rng);
  ASSERT_TRUE(samples.Ask(square).ok());
  samples.CarryBack(kRows, meta);

  // The draws' noise, from the samples themselves: s'' = s + change, change = mean + std * noise.
  const at::Tensor scale = Rows({1.5f, 0.5f, 1}, kObs), shift = Rows({0.1f, 0.2f, 0}, kObs);
  const at::Tensor s = Rows(inputs, kObs + kAct).narrow(1, 0, kObs) * Rows({2, 1, 1}, kObs) +
                       Rows({0.5f, -1, 0}, kObs);
  const at::Tensor means = mean.narrow(1, 0, kObs);
  const at::Tensor deviations = (log_var.narrow(1, 0, kObs) / 2).exp();
  const at::Tensor noise =
      (((Rows(square.samples, kObs) - s - shift) / scale - means) / deviations).detach();
  const at::Tensor next = s + shift + scale * (means + deviations * noise);
  const at::Tensor nll = ((mean - Rows(targets, kOut)).square() * (-log_var).exp() + log_var) / 2;
  const at::Tensor written = nll.sum(1).mean() + (next.square() / 2).sum(1).mean();
  (written / kOut - nll.mean()).backward();
  EXPECT_GT(mean.grad().abs().max().item<double>(), 0.1);
  EXPECT_LT(Farthest(mean.grad(), samples.mean_gradients()), 1e-5);
  EXPECT_LT(Farthest(log_var.grad(), samples.log_var_gradients()), 1e-5);
}

}  // namespace
}  // namespace tandem::dynamics
