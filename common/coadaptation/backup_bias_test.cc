#include "common/coadaptation/backup_bias.h"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/rng.h"

namespace tandem::coadaptation {
namespace {

constexpr int kStates = 6;
constexpr double kDiscount = 0.9;

/// A Markov chain with rewards: an MDP under a fixed policy. From state i: reward[i], the episode
/// ends with probability ends[i] (wherever it goes), and the next state is j with probability
/// next[i][j].
struct Chain {
  std::array<double, kStates> reward;
  std::array<double, kStates> ends;
  std::array<std::array<double, kStates>, kStates> next;
};

Chain RandomChain(Rng& rng) {
  Chain chain;
  for (int i = 0; i < kStates; ++i) {
    chain.reward[i] = rng.Uniform(-1, 2);
    chain.ends[i] = rng.Uniform(0, 0.2);
    double sum = 0;
    for (double& p : chain.next[i]) sum += p = rng.Uniform();
    for (double& p : chain.next[i]) p /= sum;
  }
  return chain;
}

/// Values by iterating the Bellman equation to its fixed point.
std::array<double, kStates> Values(const Chain& chain) {
  std::array<double, kStates> values = {};
  for (int sweep = 0; sweep < 600; ++sweep) {
    std::array<double, kStates> updated;
    for (int i = 0; i < kStates; ++i) {
      double follow = 0;
      for (int j = 0; j < kStates; ++j) follow += chain.next[i][j] * values[j];
      updated[i] = chain.reward[i] + kDiscount * (1 - chain.ends[i]) * follow;
    }
    values = updated;
  }
  return values;
}

/// Sum over t of discount^t P(in state i at t), from state 0.
std::array<double, kStates> Occupancy(const Chain& chain) {
  std::array<double, kStates> total = {};
  std::array<double, kStates> now = {1};
  for (int t = 0; t < 600; ++t) {
    std::array<double, kStates> after = {};
    for (int i = 0; i < kStates; ++i) {
      total[i] += now[i];
      for (int j = 0; j < kStates; ++j) {
        after[j] += kDiscount * now[i] * (1 - chain.ends[i]) * chain.next[i][j];
      }
    }
    now = after;
  }
  return total;
}

struct Expected {
  BackupBias bias;  // sums over the discounted occupancy
  double residual = 0;
};

/// Enumerates every transition of `world`, scored by `model` with the values `v`.
Expected Enumerate(const Chain& world, const Chain& model, const std::array<double, kStates>& v) {
  const std::array<double, kStates> occupancy = Occupancy(world);
  Expected sum;
  for (int i = 0; i < kStates; ++i) {
    // The model's outcomes as equally likely ones: its expected next value at its chance of ending.
    double model_next = 0;
    for (int k = 0; k < kStates; ++k) model_next += model.next[i][k] * v[k];
    const std::vector<Outcome> imagined = {{model.reward[i], model.ends[i], model_next}};
    sum.residual += occupancy[i] * BellmanResidual(v[i], imagined, kDiscount);
    for (int j = 0; j < kStates; ++j) {
      for (int done = 0; done < 2; ++done) {
        const double p = world.next[i][j] * (done == 1 ? world.ends[i] : 1 - world.ends[i]);
        const Outcome real = {world.reward[i], static_cast<double>(done), v[j]};
        const BackupBias b = ComputeBackupBias(real, imagined, kDiscount);
        sum.bias.reward += occupancy[i] * p * b.reward;
        sum.bias.dynamics += occupancy[i] * p * b.dynamics;
        sum.bias.termination += occupancy[i] * p * b.termination;
      }
    }
  }
  return sum;
}

TEST(BackupBiasTest, WithTheModelsValueItSumsToModelReturnMinusRealReturn) {
  Rng rng(1);
  for (int trial = 0; trial < 50; ++trial) {
    const Chain world = RandomChain(rng);
    const Chain model = RandomChain(rng);
    const std::array<double, kStates> v = Values(model);
    const Expected sum = Enumerate(world, model, v);
    EXPECT_NEAR(sum.bias.total(), v[0] - Values(world)[0], 1e-9);
    EXPECT_NEAR(sum.residual, 0, 1e-9);
  }
}

TEST(BackupBiasTest, WithAnyValueBiasAndResidualTelescopeToValueOptimism) {
  Rng rng(2);
  for (int trial = 0; trial < 50; ++trial) {
    const Chain world = RandomChain(rng);
    const Chain model = RandomChain(rng);
    std::array<double, kStates> v;
    for (double& x : v) x = rng.Uniform(-20, 20);
    const Expected sum = Enumerate(world, model, v);
    EXPECT_NEAR(sum.bias.total() + sum.residual, v[0] - Values(world)[0], 1e-9);
  }
}

TEST(BackupBiasTest, AnExactModelHasNoBiasWhateverTheCritic) {
  Rng rng(3);
  const Chain world = RandomChain(rng);
  std::array<double, kStates> v;
  for (double& x : v) x = rng.Uniform(-20, 20);
  EXPECT_NEAR(Enumerate(world, world, v).bias.total(), 0, 1e-10);
}

TEST(BackupBiasTest, EachPartSeesOnlyItsOwnError) {
  Rng rng(4);
  const Chain world = RandomChain(rng);
  const std::array<double, kStates> v = Values(world);

  Chain model = world;
  for (double& r : model.reward) r += 0.5;
  BackupBias bias = Enumerate(world, model, v).bias;
  EXPECT_GT(bias.reward, 0.4);
  EXPECT_NEAR(bias.dynamics, 0, 1e-10);
  EXPECT_NEAR(bias.termination, 0, 1e-10);

  model = world;
  for (double& p : model.ends) p = 0;
  bias = Enumerate(world, model, v).bias;
  EXPECT_NEAR(bias.reward, 0, 1e-10);
  EXPECT_NEAR(bias.dynamics, 0, 1e-10);
  EXPECT_GT(std::abs(bias.termination), 1e-3);

  model = world;
  model.next = RandomChain(rng).next;
  bias = Enumerate(world, model, v).bias;
  EXPECT_NEAR(bias.reward, 0, 1e-10);
  EXPECT_GT(std::abs(bias.dynamics), 1e-3);
}

TEST(BackupBiasTest, AfterARealEndNothingIsBootstrapped) {
  const Outcome real = {.reward = 1, .termination = 1, .next_value = 1e6};
  const std::vector<Outcome> model = {{.reward = 1, .termination = 1, .next_value = 3}};
  EXPECT_EQ(ComputeBackupBias(real, model, 0.99).total(), 0);
  EXPECT_EQ(BellmanResidual(1, model, 0.99), 0);
}

TEST(BackupBiasTest, TakesTheMeanOverTheModelsOutcomes) {
  const Outcome real = {.reward = 0, .termination = 0, .next_value = 10};
  const std::vector<Outcome> model = {{.reward = 1, .termination = 0, .next_value = 12},
                                      {.reward = 3, .termination = 1, .next_value = 50}};
  // Backups 1 + .5 * 12 = 7 and 3, mean 5; the real one is 5.
  EXPECT_NEAR(ComputeBackupBias(real, model, 0.5).total(), 0, 1e-12);
  EXPECT_NEAR(BellmanResidual(5.5, model, 0.5), 0.5, 1e-12);
}

TEST(CoadaptationIndexTest, IsInUnitsOfTheReturnScale) {
  EXPECT_NEAR(CoadaptationIndex(0.2, 0.99, 100), 0.2, 1e-12);
  EXPECT_TRUE(std::isnan(CoadaptationIndex(0.2, 1, 100)));
  EXPECT_TRUE(std::isnan(CoadaptationIndex(0.2, 0.99, 0)));
  EXPECT_TRUE(std::isnan(CoadaptationIndex(0.2, 0.99, std::nan(""))));
}

}  // namespace
}  // namespace tandem::coadaptation
