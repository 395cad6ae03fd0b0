// Stepping allocates nothing on the heap, also not where episodes end and others begin.

#include <gtest/gtest.h>

#include <vector>

#include "common/base/testing/allocations.h"
#include "common/env/local_vector_environment.h"

namespace tandem {
namespace {

TEST(Allocations, AreCounted) {
  EXPECT_EQ(AllocationsOf([] { std::vector<float>(100).at(1) = 1; }), 10);
}

TEST(Allocations, NoneInAStepWithAndWithoutThreads) {
  for (const std::string name : {"half_cheetah", "inverted_pendulum", "pendulum"}) {
    for (const int threads : {1, 2}) {
      auto all =
          LocalVectorEnvironment::Create(name, {.num_envs = 9, .threads = threads, .seed = 1});
      ASSERT_TRUE(all.ok()) << all.status();
      const size_t dim = static_cast<size_t>((*all)->spec().action.dim());
      const std::vector<float> actions(9 * dim, 0.5f);
      int ended = 0;
      const auto step = [&] {
        for (int t = 0; t < 10; ++t) {
          ASSERT_TRUE((*all)->Step(actions).ok());
          for (const StepResult& result : (*all)->results()) ended += result.terminated ? 1 : 0;
        }
      };
      EXPECT_EQ(AllocationsOf(step), 0) << name << " with " << threads << " threads";
      EXPECT_TRUE(ended > 9 || name != "inverted_pendulum") << ended;
    }
  }
}

}  // namespace
}  // namespace tandem
