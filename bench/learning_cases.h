#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tandem::bench {

/// Something to be timed. The reference is `flops` over the machine's matrix-product rate, or
/// `budget` where flops is 0.
struct Case {
  std::string name;
  std::string unit;
  double scale;   ///< units in a second, over the items (steps, rows) of one call
  double flops;   ///< of one call
  double budget;  ///< [unit]
  int repeat;     ///< calls in a sample
  std::function<void()> work;
  double state = 0;    ///< [bytes] of the parameters, moments and targets that a call changes
  double traffic = 0;  ///< [bytes] read and written where each of them is touched once
};

/// Makes a case when it is its turn, so that no case shares the caches with another's data.
struct NamedCase {
  std::string name;
  std::function<Case()> make;
};

/// The main job's sizes: observation 4, action 1, policy 2 x 256, 7 members of 4 x 200, batch 256.
std::vector<NamedCase> StandardCases();

/// The updates at other sizes: each size alone, and the corners.
std::vector<NamedCase> GrowthCases();

}  // namespace tandem::bench
