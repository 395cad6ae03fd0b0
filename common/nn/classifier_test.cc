#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "common/base/rng.h"
#include "common/nn/binary_classifier.h"
#include "common/nn/flat_classifier.h"
#include "common/nn/testing/networks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

using testing::RelativeDifference;

using Maker = std::unique_ptr<BinaryClassifier> (*)(const BinaryClassifierSpec&,
                                                    std::optional<uint64_t>);

std::unique_ptr<BinaryClassifier> Autograd(const BinaryClassifierSpec& spec,
                                           std::optional<uint64_t> seed) {
  return MakeAutogradClassifier(spec, "cpu", seed);
}

std::unique_ptr<BinaryClassifier> WithLayerNorm(const BinaryClassifierSpec& spec,
                                                std::optional<uint64_t> seed) {
  BinaryClassifierSpec with = spec;
  with.layer_norm = true;
  return *BinaryClassifier::Create(with, "cpu", seed);
}

struct Data {
  int64_t rows;
  std::vector<float> inputs, targets;
  ClassifierRows Rows() const { return {rows, inputs, targets}; }
};

Data RandomRows(const BinaryClassifierSpec& spec, int64_t rows, uint64_t seed) {
  Rng rng(seed);
  Data data{rows, std::vector<float>(rows * spec.input_dim), std::vector<float>(rows)};
  rng.FillNormal(data.inputs);
  for (float& x : data.targets) x = static_cast<float>(rng.Uniform());  // soft ones
  return data;
}

/// Gradients of a step, from Adam's first moments after it with beta1 = 0.
TensorFile Gradients(BinaryClassifier& net, const Data& data, double most = 0) {
  EXPECT_TRUE(net.TrainStep(data.Rows(), {{.lr = 1e-9, .beta1 = 0, .beta2 = 0}, most}).ok());
  TensorFile file;
  net.ExportOptimizer("", &file);
  return file;
}

const BinaryClassifierSpec kSmall{.input_dim = 3, .hidden = {7, 5}};

constexpr const char* kNames[] = {"Explicit", "Autograd", "LayerNorm"};

class ClassifierTest : public ::testing::TestWithParam<Maker> {};
INSTANTIATE_TEST_SUITE_P(Implementations, ClassifierTest,
                         ::testing::Values(&MakeExplicitClassifier, &Autograd, &WithLayerNorm),
                         [](const auto& info) { return kNames[info.index]; });

/// tanh(LayerNorm(.)) of a layer, in doubles.
void NormaliseAndBound(const TensorFile& file, std::vector<double>* y) {
  const double count = static_cast<double>(y->size());
  const double mean = std::accumulate(y->begin(), y->end(), 0.0) / count;
  double variance = 0;
  for (const double v : *y) variance += (v - mean) * (v - mean) / count;
  for (size_t j = 0; j < y->size(); ++j) {
    const double normal = ((*y)[j] - mean) / std::sqrt(variance + 1e-5);
    (*y)[j] = std::tanh(normal * (1 + file.tensors.at("norm_gain").data[j]) +
                        file.tensors.at("norm_bias").data[j]);
  }
}

/// The loss in doubles: two hidden layers, written out.
double PlainLogit(const TensorFile& file, const float* x) {
  std::vector<double> h(x, x + kSmall.input_dim);
  for (const char* layer : {"0", "1", "2"}) {
    const NamedTensor& w = file.tensors.at(std::string("w") + layer);
    const NamedTensor& b = file.tensors.at(std::string("b") + layer);
    std::vector<double> y(b.data.begin(), b.data.end());
    for (size_t k = 0; k < h.size(); ++k) {
      for (size_t j = 0; j < y.size(); ++j) y[j] += h[k] * w.data[k * y.size() + j];
    }
    if (*layer == '0' && file.tensors.contains("norm_gain")) {
      NormaliseAndBound(file, &y);
    } else if (*layer != '2') {
      for (double& v : y) v = std::max(v, 0.0);
    }
    h = y;
  }
  return h[0];
}

double PlainLoss(const TensorFile& file, const Data& data) {
  double loss = 0;
  for (int64_t i = 0; i < data.rows; ++i) {
    const double l = PlainLogit(file, data.inputs.data() + i * kSmall.input_dim);
    loss += std::log1p(std::exp(l)) - l * data.targets[i];
  }
  return loss / static_cast<double>(data.rows);
}

TEST_P(ClassifierTest, GradientsMatchFiniteDifferencesOfAPlainLoss) {
  const Data data = RandomRows(kSmall, 19, 1);
  const auto net = GetParam()(kSmall, 5);
  TensorFile file;
  net->ExportParameters("", &file);
  const NamedTensor gradients = Gradients(*net, data).tensors.at("adam_m");
  size_t at = 0;  // in the order of the layout
  for (const char* name : {"w0", "b0", "w1", "b1", "w2", "b2", "norm_gain", "norm_bias"}) {
    if (!file.tensors.contains(name)) continue;
    std::vector<float>& values = file.tensors.at(name).data;
    for (float& x : values) {
      const float kept = x;
      const auto loss_at = [&](float moved) {
        x = moved;
        return PlainLoss(file, data);
      };
      const float up = kept + 1e-3f, down = kept - 1e-3f;
      const double slope = (loss_at(up) - loss_at(down)) / (static_cast<double>(up) - down);
      x = kept;
      EXPECT_NEAR(gradients.data[at++], slope, 2e-4) << name;
    }
  }
  EXPECT_EQ(at, gradients.data.size());
}

TEST_P(ClassifierTest, AGradientAboveTheMostIsScaledDownToIt) {
  const Data data = RandomRows(kSmall, 700, 1);  // two blocks
  const auto gradient = [&](double most) {
    return Gradients(*GetParam()(kSmall, 5), data, most).tensors.at("adam_m").data;
  };
  const std::vector<float> whole = gradient(0);
  double squares = 0;
  for (const float x : whole) squares += static_cast<double>(x) * x;
  const double norm = std::sqrt(squares);
  EXPECT_EQ(gradient(1.001 * norm), whole);
  std::vector<float> half = whole;
  for (float& x : half) x *= 0.5f;
  EXPECT_LT(RelativeDifference(gradient(norm / 2), half), 1e-5);
}

TEST_P(ClassifierTest, LogitsAndTheirGradientsByInputs) {
  const Data data = RandomRows(kSmall, 11, 2);
  const auto net = GetParam()(kSmall, 6);
  TensorFile file;
  net->ExportParameters("", &file);
  std::vector<float> logits(data.rows), again(data.rows), gradients(data.inputs.size());
  ASSERT_TRUE(net->Logits(data.inputs, logits).ok());
  ASSERT_TRUE(net->LogitGradients(data.inputs, again, gradients).ok());
  EXPECT_EQ(logits, again);
  for (int64_t i = 0; i < data.rows; ++i) {
    std::vector<float> x(data.inputs.begin() + i * kSmall.input_dim,
                         data.inputs.begin() + (i + 1) * kSmall.input_dim);
    EXPECT_NEAR(logits[i], PlainLogit(file, x.data()), 1e-5);
    for (int64_t j = 0; j < kSmall.input_dim; ++j) {
      const float kept = x[j];
      x[j] = kept + 1e-3f;
      const double up = PlainLogit(file, x.data());
      x[j] = kept - 1e-3f;
      const double down = PlainLogit(file, x.data());
      x[j] = kept;
      EXPECT_NEAR(gradients[i * kSmall.input_dim + j], (up - down) / 2e-3, 5e-3);
    }
  }
}

TEST_P(ClassifierTest, RefusesWhatDoesNotFit) {
  const auto net = GetParam()(kSmall, 5);
  Data data = RandomRows(kSmall, 4, 1);
  std::vector<float> logits(3);
  EXPECT_EQ(net->Logits(data.inputs, logits).code(), absl::StatusCode::kInvalidArgument);
  data.targets[2] = 1.5f;
  EXPECT_EQ(net->TrainStep(data.Rows(), {}).status().code(), absl::StatusCode::kInvalidArgument);
  data.targets[2] = 1;
  data.inputs[5] = std::numeric_limits<float>::quiet_NaN();
  TensorFile before, after;
  net->ExportParameters("", &before);
  EXPECT_EQ(net->TrainStep(data.Rows(), {}).status().code(), absl::StatusCode::kInternal);
  net->ExportParameters("", &after);
  EXPECT_EQ(before.tensors.at("w0").data, after.tensors.at("w0").data);
}

TEST_P(ClassifierTest, GoesOnFromStoredParametersAndMomentsBitForBit) {
  const Data data = RandomRows(kSmall, 16, 3);
  const auto one = GetParam()(kSmall, 5);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(one->TrainStep(data.Rows(), {}).ok());
  TensorFile file;
  one->ExportParameters("c.", &file);
  one->ExportOptimizer("c.", &file);
  const auto two = GetParam()(kSmall, std::nullopt);
  ASSERT_TRUE(two->ImportParameters("c.", file).ok());
  ASSERT_TRUE(two->ImportOptimizer("c.", file).ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(*one->TrainStep(data.Rows(), {}), *two->TrainStep(data.Rows(), {}));
  }
}

TEST(ClassifierImplementationsTest, AgreeOverManyStepsAndBlocks) {
  const BinaryClassifierSpec spec{.input_dim = 10, .hidden = {64, 64}};
  const Data data = RandomRows(spec, 1100, 4);  // three blocks
  const auto one = MakeExplicitClassifier(spec, 5);
  const auto two = Autograd(spec, 5);
  EXPECT_LT(RelativeDifference(Gradients(*one, data).tensors.at("adam_m").data,
                               Gradients(*two, data).tensors.at("adam_m").data),
            1e-4);
  for (int i = 0; i < 20; ++i) {
    const double a = *one->TrainStep(data.Rows(), {.adam = {.lr = 2e-3}});
    const double b = *two->TrainStep(data.Rows(), {.adam = {.lr = 2e-3}});
    EXPECT_NEAR(a, b, 1e-4);
  }
  std::vector<float> a(data.rows), b(data.rows), da(data.inputs.size()), db(data.inputs.size());
  ASSERT_TRUE(one->LogitGradients(data.inputs, a, da).ok());
  ASSERT_TRUE(two->LogitGradients(data.inputs, b, db).ok());
  EXPECT_LT(RelativeDifference(a, b), 1e-2);
}

TEST(BinaryClassifierTest, CreateChecksSizes) {
  EXPECT_FALSE(BinaryClassifier::Create({.input_dim = 0}, "cpu", 1).ok());
  EXPECT_FALSE(BinaryClassifier::Create({.input_dim = 2, .hidden = {}}, "cpu", 1).ok());
  EXPECT_TRUE(BinaryClassifier::Create({.input_dim = 2}, "cpu", 1).ok());
}

/// A further term that is linear in the outputs: its gradient is that of a loss whose value both
/// implementations of the ensemble must descend alike.
TEST(EnsembleFurtherTermTest, GradientsOfImplementationsAgree) {
  const GaussianEnsembleSpec spec{
      .members = 2, .input_dim = 3, .output_dim = 2, .binary_dim = 1, .hidden = {7, 5}};
  const testing::EnsembleData data = testing::RandomData(spec, 700, 1);
  std::vector<float> by_mean(2 * 700 * 2), by_log_var(2 * 700 * 2);
  Rng rng(3);
  rng.FillNormal(by_mean);
  rng.FillNormal(by_log_var);
  const auto gradients = [&](GaussianEnsemble& net, bool further) {
    EnsembleRows rows = data.Rows();
    if (further) {
      rows.mean_gradients = by_mean;
      rows.log_var_gradients = by_log_var;
    }
    std::vector<float> losses(2);
    EXPECT_TRUE(net.TrainStep(rows, {.lr = 1e-9, .beta1 = 0, .beta2 = 0}, losses).ok());
    TensorFile file;
    net.ExportOptimizer("", &file);
    return file.tensors.at("adam_m").data;
  };
  const auto one = MakeExplicitEnsemble(spec, 5);
  const auto two = testing::Autograd(spec, 5);
  const std::vector<float> a = gradients(*one, true), b = gradients(*two, true);
  EXPECT_LT(RelativeDifference(a, b), 1e-4);
  EXPECT_GT(RelativeDifference(a, gradients(*one, false)), 1);  // and the term is felt
}

}  // namespace
}  // namespace tandem::nn
