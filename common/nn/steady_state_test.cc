// Once its buffers have grown, an update of the explicit path allocates nothing on the heap; and it
// flushes denormals, but for itself alone. A program of its own: it counts every allocation, and
// its threads' floating-point mode is the default one.

#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "common/nn/kernels.h"
#include "common/nn/testing/networks.h"
#include "gtest/gtest.h"

namespace {

std::atomic<int64_t> allocations{0};

void* Allocate(size_t size, size_t alignment) {
  ++allocations;
  void* p = nullptr;
  if (::posix_memalign(&p, alignment, size == 0 ? 1 : size) != 0) std::abort();
  return p;
}

}  // namespace

// The other forms of the operators call these.
void* operator new(size_t size) { return Allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) {
  return Allocate(size, static_cast<size_t>(alignment));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace tandem::nn {
namespace {

/// Allocations of 10 calls of `work`, after 3 that let the buffers grow.
template <typename Work>
int64_t AllocationsOf(const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  const int64_t before = allocations;
  for (int i = 0; i < 10; ++i) work();
  return allocations - before;
}

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
