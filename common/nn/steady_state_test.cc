// Once its buffers have grown, an update of the explicit path allocates nothing on the heap; and it
// flushes denormals, but for itself alone. A program of its own: it counts every allocation, and
// its threads' floating-point mode is the default one.

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/base/testing/allocations.h"
#include "common/nn/kernels.h"
#include "common/nn/testing/networks.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

/// Where the tensor library takes the large products, it allocates their handles.
bool ProductsAreOurs(int width) { return width <= Kernels::Get().deepest_product; }

TEST(Allocations, AreCounted) {
  EXPECT_EQ(AllocationsOf([] { std::vector<float>(100).at(1) = 1; }), 10);
}

TEST(Allocations, NoneInASacUpdateOrWhileActing) {
  const int width = ProductsAreOurs(256) ? 256 : 32;
  const ActorCriticSpec spec{.obs_dim = 4, .action_dim = 1, .hidden = {width, width}};
  auto network = MakeExplicitActorCritic(spec, {}, 1);
  const testing::SacData data = testing::RandomData(spec, width, 1);
  std::vector<float> actions(width), values(width);
  EXPECT_EQ(AllocationsOf([&] { EXPECT_TRUE(network->Update(data.Batch()).ok()); }), 0);
  EXPECT_EQ(
      AllocationsOf([&] { EXPECT_TRUE(network->Act(data.observations, {}, actions, {}).ok()); }),
      0);
  EXPECT_EQ(AllocationsOf([&] {
              EXPECT_TRUE(network->Value(data.observations, data.actions, true, values).ok());
            }),
            0);
}

TEST(Allocations, NoneInAnEnsembleStepOrAPrediction) {
  const int width = ProductsAreOurs(200) ? 200 : 32;
  const GaussianEnsembleSpec spec{
      .members = 3, .input_dim = 5, .output_dim = 5, .binary_dim = 1, .hidden = {width, width}};
  auto network = MakeExplicitEnsemble(spec, 1);
  const testing::EnsembleData data = testing::RandomData(spec, width, 1);
  std::vector<float> losses(3);
  EnsemblePrediction prediction;
  const std::span<const float> inputs = std::span(data.inputs).first(100 * spec.input_dim);
  EXPECT_EQ(AllocationsOf([&] { EXPECT_TRUE(network->TrainStep(data.Rows(), {}, losses).ok()); }),
            0);
  EXPECT_EQ(AllocationsOf([&] { EXPECT_TRUE(network->Predict(1, inputs, &prediction).ok()); }), 0);
}

TEST(Denormals, AreFlushedInsideAnUpdateAndOnlyThere) {
  const GaussianEnsembleSpec spec{.members = 1, .input_dim = 2, .output_dim = 1, .hidden = {16}};
  auto ensemble = MakeExplicitEnsemble(spec, 3);
  const testing::EnsembleData data = testing::RandomData(spec, 16, 1);
  std::vector<float> losses(1);
  ASSERT_TRUE(ensemble->TrainStep(data.Rows(), {}, losses).ok());
  TensorFile file;
  ensemble->ExportOptimizer("", &file);
  for (const char* name : {"adam_m", "adam_v"}) {
    for (float& x : file.tensors.at(name).data) x = 1e-40f;  // below the smallest normal float
  }
  ASSERT_TRUE(ensemble->ImportOptimizer("", file).ok());
  // Weights of inputs that are always 0 get no gradient: their moments only decay.
  const std::vector<float> zeros(data.inputs.size());
  ASSERT_TRUE(ensemble->TrainStep({16, zeros, data.targets, {}}, {}, losses).ok());
  ensemble->ExportOptimizer("", &file);
  for (const char* name : {"adam_m", "adam_v"}) {
    const std::vector<float>& moments = file.tensors.at(name).data;
    for (const float x : moments) EXPECT_TRUE(x == 0 || std::abs(x) >= FLT_MIN) << x;
    for (int i = 0; i < 32; ++i) EXPECT_EQ(moments[i], 0);  // of the first layer's weights
  }
  volatile float tiny = FLT_MIN;
  EXPECT_GT(tiny * 0.5f, 0);  // the caller's arithmetic is as it was
}

}  // namespace
}  // namespace tandem::nn
