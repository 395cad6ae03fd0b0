#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/dense.h"
#include "common/nn/torch_adam.h"
#include "common/nn/torch_memory.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

/// LibTorch's own AdamW, one step at a time.
class LibTorchAdam {
 public:
  explicit LibTorchAdam(std::vector<float>& parameters)
      : parameters_(at::from_blob(parameters.data(), {static_cast<int64_t>(parameters.size())},
                                  at::TensorOptions(at::kFloat))),
        first_(at::zeros_like(parameters_)),
        second_(at::zeros_like(parameters_)),
        step_(at::zeros({}, at::kFloat)) {}

  void Step(std::vector<float>& gradient, const AdamOptions& options) {
    step_.add_(1);
    const at::Tensor g = at::from_blob(gradient.data(), {static_cast<int64_t>(gradient.size())},
                                       at::TensorOptions(at::kFloat));
    std::vector<at::Tensor> p = {parameters_}, grads = {g}, m = {first_}, v = {second_}, none,
                            steps = {step_};
    at::_fused_adamw_(p, grads, m, v, none, steps, options.lr, options.beta1, options.beta2,
                      options.weight_decay, options.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }

 private:
  at::Tensor parameters_, first_, second_, step_;
};

TEST(Adam, OfTheFlatBuffersIsLibTorchs) {
  ParameterLayout layout(kLanes);
  layout.AddMatrix("w0", 8, 16);
  const AdamOptions options{.lr = 1e-2, .weight_decay = 0.1};
  std::vector<float> expected(layout.size());
  Rng rng(1);
  rng.FillNormal(expected);
  AlignedFloats p(expected.begin(), expected.end()), m(p.size()), v(p.size());
  TorchParameters on_device(layout, 1, at::kCPU);
  on_device.parameters.copy_(at::from_blob(expected.data(), {1, layout.size()}));
  LibTorchAdam reference(expected);
  for (int64_t step = 1; step <= 20; ++step) {
    std::vector<float> gradient(p.size());
    rng.FillNormal(gradient);
    reference.Step(gradient, options);
    const AlignedFloats aligned(gradient.begin(), gradient.end());
    AdamNetwork(layout, options, step, p.data(), aligned.data(), m.data(), v.data());
    on_device.leaf(0).mutable_grad() =
        at::from_blob(gradient.data(), {1, 8, 16}, at::TensorOptions(at::kFloat)).clone();
    on_device.AdamStep(options, step);
  }
  const std::vector<float> got = ToHost(on_device.parameters);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(p[i], expected[i], 2e-6);
    EXPECT_NEAR(got[i], expected[i], 2e-6);
  }
}

TEST(Adam, DecaySparesVectorsAndPaddingStaysZero) {
  ParameterLayout layout(kLanes);
  layout.AddMatrix("w0", 2, 3);
  layout.AddVector("b0", 3);
  AlignedFloats p(layout.size()), gradient(p.size()), m(p.size()), v(p.size());
  for (const LayoutEntry& entry : layout.entries()) {
    for (int64_t r = 0; r < entry.rows; ++r) {
      std::fill_n(p.begin() + entry.offset + r * entry.stride, entry.cols, 1.0f);
    }
  }
  AdamNetwork(layout, {.lr = 0.1, .weight_decay = 0.5}, 1, p.data(), gradient.data(), m.data(),
              v.data());
  EXPECT_FLOAT_EQ(p[0], 0.95f);
  EXPECT_EQ(p[3], 0);
  EXPECT_EQ(p[layout[1].offset], 1);
}

}  // namespace
}  // namespace tandem::nn
