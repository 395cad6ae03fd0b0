#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "common/base/rng.h"
#include "common/nn/device.h"
#include "common/nn/flat_ensemble.h"
#include "common/nn/gaussian_ensemble.h"
#include "common/nn/testing/networks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

using testing::RandomData;
using testing::RelativeDifference;
using Data = testing::EnsembleData;
constexpr std::unique_ptr<GaussianEnsemble> (*Autograd)(
    const GaussianEnsembleSpec&, std::optional<uint64_t>) = testing::Autograd;

using Maker = std::unique_ptr<GaussianEnsemble> (*)(const GaussianEnsembleSpec&,
                                                    std::optional<uint64_t>);

std::vector<float> MemberParameters(const GaussianEnsemble& ensemble, int member) {
  std::vector<float> parameters;
  ensemble.CopyMemberParameters(member, &parameters);
  return parameters;
}

/// Gradients of a step, from Adam's first moments after it: m = (1 - beta1) g.
TensorFile Gradients(GaussianEnsemble& ensemble, const Data& data) {
  std::vector<float> losses(ensemble.spec().members);
  EXPECT_TRUE(ensemble.TrainStep(data.Rows(), {.lr = 1e-9, .beta1 = 0, .beta2 = 0}, losses).ok());
  TensorFile file;
  ensemble.ExportOptimizer("", &file);
  return file;
}

const GaussianEnsembleSpec kSmall{
    .members = 2, .input_dim = 3, .output_dim = 2, .binary_dim = 1, .hidden = {7, 5}};

class EnsembleTest : public ::testing::TestWithParam<Maker> {};

TEST_P(EnsembleTest, GradientsMatchFiniteDifferences) {
  const Data data = RandomData(kSmall, 11, 1);
  auto ensemble = GetParam()(kSmall, 5);
  TensorFile before;
  ensemble->ExportParameters("", &before);
  const NamedTensor gradients = Gradients(*ensemble, data).tensors.at("adam_m");
  const int64_t count = gradients.shape[1];

  const auto loss_with = [&](const std::string& name, int member, int64_t index, float delta) {
    TensorFile changed = before;
    NamedTensor& tensor = changed.tensors.at(name);
    const int64_t size = static_cast<int64_t>(tensor.data.size()) / kSmall.members;
    tensor.data[member * size + index] += delta;
    EXPECT_TRUE(ensemble->ImportParameters("", changed).ok());
    std::vector<float> losses(kSmall.members);
    EXPECT_TRUE(ensemble->TrainStep(data.Rows(), {.lr = 1e-9}, losses).ok());
    return static_cast<double>(losses[member]);
  };
  // The order of the flat gradient: w0, b0, w1, b1, w2, b2, min_log_var, max_log_var.
  int64_t offset = 0;
  for (const char* name : {"w0", "b0", "w1", "b1", "w2", "b2", "min_log_var", "max_log_var"}) {
    const int64_t size = static_cast<int64_t>(before.tensors.at(name).data.size()) / 2;
    for (int member = 0; member < kSmall.members; ++member) {
      for (int64_t index = 0; index < size; index += 3) {
        const float step = 1e-2f;
        const double slope =
            (loss_with(name, member, index, step) - loss_with(name, member, index, -step)) /
            (2 * step);
        EXPECT_NEAR(gradients.data[member * count + offset + index], slope, 2e-4)
            << name << " " << member << " " << index;
      }
    }
    offset += size;
  }
  EXPECT_EQ(offset, count);
}

TEST_P(EnsembleTest, LearnsMeanAndVarianceOfANoisyFunction) {
  const GaussianEnsembleSpec spec{
      .members = 2, .input_dim = 1, .output_dim = 1, .hidden = {32, 32}};
  auto ensemble = GetParam()(spec, 1);
  Rng rng(2);
  Data data = RandomData(spec, 256, 3);
  std::vector<float> losses(2);
  for (int step = 0; step < 600; ++step) {
    for (size_t i = 0; i < data.inputs.size(); ++i) {
      const double x = rng.Uniform(-1, 1);
      data.inputs[i] = static_cast<float>(x);
      data.targets[i] = static_cast<float>(std::sin(3 * x) + (x > 0 ? 0.3 : 0.05) * rng.Normal());
    }
    ASSERT_TRUE(ensemble->TrainStep(data.Rows(), {.lr = 3e-3}, losses).ok());
  }
  const std::vector<float> x = {-0.7f, -0.4f, 0.4f, 0.7f};
  EnsemblePrediction prediction;
  for (int member = 0; member < 2; ++member) {
    ASSERT_TRUE(ensemble->Predict(member, x, &prediction).ok());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(prediction.means[i], std::sin(3 * x[i]), 0.1);
      EXPECT_NEAR(std::exp(0.5 * prediction.log_vars[i]), x[i] > 0 ? 0.3 : 0.05,
                  x[i] > 0 ? 0.08 : 0.04);
    }
  }
}

TEST_P(EnsembleTest, ANumberThatIsNotFiniteChangesNothing) {
  auto ensemble = GetParam()(kSmall, 1);
  TensorFile before, after;
  ensemble->ExportParameters("", &before);
  Data data = RandomData(kSmall, 8, 1);
  data.targets.back() = std::numeric_limits<float>::quiet_NaN();  // of the last member
  std::vector<float> losses(2);
  EXPECT_EQ(ensemble->TrainStep(data.Rows(), {}, losses).code(), absl::StatusCode::kInternal);
  ensemble->ExportParameters("", &after);
  for (const auto& [name, tensor] : before.tensors) {
    EXPECT_EQ(tensor.data, after.tensors.at(name).data) << name;
  }
}

TEST_P(EnsembleTest, WrongShapesAreRefused) {
  auto ensemble = GetParam()(kSmall, 1);
  const Data data = RandomData(kSmall, 8, 1);
  std::vector<float> losses(2), one(1);
  EnsembleRows rows = data.Rows();
  rows.rows = 7;
  EXPECT_EQ(ensemble->TrainStep(rows, {}, losses).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ensemble->TrainStep(data.Rows(), {}, one).code(), absl::StatusCode::kInvalidArgument);
  EnsemblePrediction prediction;
  EXPECT_FALSE(ensemble->Predict(2, std::span(data.inputs).first(3), &prediction).ok());
  EXPECT_FALSE(ensemble->Predict(0, std::span(data.inputs).first(4), &prediction).ok());
  EXPECT_TRUE(ensemble->Predict(0, {}, &prediction).ok());
  EXPECT_TRUE(prediction.means.empty());
}

TEST_P(EnsembleTest, SavedAndLoadedItGoesOnBitForBit) {
  const Data data = RandomData(kSmall, 8, 1);
  auto one = GetParam()(kSmall, 1);
  auto other = GetParam()(kSmall, 2);
  std::vector<float> losses(2), other_losses(2);
  ASSERT_TRUE(one->TrainStep(data.Rows(), {}, losses).ok());
  TensorFile file;
  one->ExportParameters("p.", &file);
  one->ExportOptimizer("p.", &file);
  const TensorFile read = *ReadSafetensors(*WriteSafetensors(file));
  ASSERT_TRUE(other->ImportParameters("p.", read).ok());
  ASSERT_TRUE(other->ImportOptimizer("p.", read).ok());
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(one->TrainStep(data.Rows(), {}, losses).ok());
    ASSERT_TRUE(other->TrainStep(data.Rows(), {}, other_losses).ok());
    EXPECT_EQ(losses, other_losses);
  }
  EXPECT_EQ(MemberParameters(*one, 1), MemberParameters(*other, 1));
  TensorFile broken = read;
  broken.tensors.at("p.w1").shape = {2, 5, 7};
  EXPECT_EQ(other->ImportParameters("p.", broken).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(EnsembleTest, OneMembersWeightsMoveAlone) {
  auto one = GetParam()(kSmall, 1);
  auto other = GetParam()(kSmall, 2);
  const std::vector<float> kept = MemberParameters(*other, 0);
  ASSERT_TRUE(other->SetMemberParameters(1, MemberParameters(*one, 1)).ok());
  EXPECT_EQ(MemberParameters(*other, 1), MemberParameters(*one, 1));
  EXPECT_EQ(MemberParameters(*other, 0), kept);
  EXPECT_FALSE(other->SetMemberParameters(1, std::vector<float>(3)).ok());
}

INSTANTIATE_TEST_SUITE_P(Implementations, EnsembleTest,
                         ::testing::Values(Maker{Autograd}, Maker{MakeExplicitEnsemble}));

TEST(ExplicitEnsemble, AgreesWithAutograd) {
  for (const std::vector<int>& hidden : {std::vector<int>{200, 200, 200}, {64, 33, 48}, {16}}) {
    for (const int64_t input : {5, 40}) {
      const GaussianEnsembleSpec spec{
          .members = 2, .input_dim = input, .output_dim = 5, .binary_dim = 1, .hidden = hidden};
      const Data data = RandomData(spec, 77, 1);
      auto reference = Autograd(spec, 3);
      auto fast = MakeExplicitEnsemble(spec, 3);
      EnsemblePrediction expected, got;
      const std::span<const float> inputs = std::span(data.inputs).first(70 * input);
      ASSERT_TRUE(reference->Predict(1, inputs, &expected).ok());
      ASSERT_TRUE(fast->Predict(1, inputs, &got).ok());
      EXPECT_LT(RelativeDifference(got.means, expected.means), 1e-5);
      EXPECT_LT(RelativeDifference(got.log_vars, expected.log_vars), 1e-5);
      EXPECT_LT(RelativeDifference(got.logits, expected.logits), 1e-5);
      EXPECT_LT(RelativeDifference(Gradients(*fast, data).tensors.at("adam_m").data,
                                   Gradients(*reference, data).tensors.at("adam_m").data),
                1e-5);
    }
  }
}

TEST(ExplicitEnsemble, TrainsAsAutogradDoes) {
  const GaussianEnsembleSpec spec{
      .members = 3, .input_dim = 4, .output_dim = 2, .hidden = {40, 40}};
  auto reference = Autograd(spec, 3);
  auto fast = MakeExplicitEnsemble(spec, 3);
  std::vector<float> expected(3), got(3);
  for (int step = 0; step < 20; ++step) {
    const Data data = RandomData(spec, 64, step);
    const AdamOptions options{.lr = 1e-3, .weight_decay = 0.1};
    ASSERT_TRUE(reference->TrainStep(data.Rows(), options, expected).ok());
    ASSERT_TRUE(fast->TrainStep(data.Rows(), options, got).ok());
    for (int m = 0; m < 3; ++m) EXPECT_NEAR(got[m], expected[m], 1e-4);
  }
}

TEST(GaussianEnsemble, BadSizesAndDevicesAreRefused) {
  EXPECT_EQ(GaussianEnsemble::Create({.members = 0, .input_dim = 1, .output_dim = 1}, "cpu", 0)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(GaussianEnsemble::Create(kSmall, "tpu", 0).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ConfigureThreads(0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ConfigureThreads(1).ok());
  EXPECT_TRUE(ConfigureThreads(1).ok());
}

TEST(GaussianEnsemble, InitialWeightsAreTruncatedNormals) {
  auto ensemble =
      *GaussianEnsemble::Create({.members = 2, .input_dim = 4, .output_dim = 1}, "cpu", 7);
  TensorFile file;
  ensemble->ExportParameters("", &file);
  const std::vector<float>& w = file.tensors.at("w1").data;  // fan-in 200
  const double scale = 1 / (2 * std::sqrt(200.0));
  double squares = 0, largest = 0;
  for (const float x : w) {
    squares += x * x;
    largest = std::max<double>(largest, std::abs(x));
  }
  EXPECT_LE(largest, 2 * scale * 1.0001);
  EXPECT_NEAR(std::sqrt(squares / w.size()) / scale, 0.88, 0.01);  // of a normal cut at 2
  EXPECT_EQ(file.tensors.at("b1").data, std::vector<float>(400));
  EXPECT_EQ(file.tensors.at("max_log_var").data, (std::vector<float>{0.5, 0.5}));
}

}  // namespace
}  // namespace tandem::nn
