#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::bench {

/// Stops the program where a computation fails: a benchmark of a failure means nothing.
inline void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << "bench: " << status.ToString() << "\n";
  std::exit(1);
}

template <typename T>
T Value(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

std::vector<float> Normals(int64_t size, uint64_t seed);

/// Times of the runs of a case.
struct Sample {
  double median = 0;  ///< [s]
  double spread = 0;  ///< (third quartile - first quartile) / median
};

/// CPU seconds of this thread for a call of `work`, over `runs` runs of `repeat` calls each.
Sample Measure(int runs, int repeat, const std::function<void()>& work);

/// FLOP/s of a 1024^3 float32 matrix product (LibTorch's), median of `runs`.
double ProductRate(int runs);

/// Bytes a second, read and written, of one pass over arrays of `footprint` bytes in all, median of
/// `runs`: two are read and one of them is written.
double StreamRate(double footprint, int runs);

/// [bytes] of the last cache that a core has to itself; 1 MiB where the system does not say.
double PrivateCache();

/// Operations of a product of each layer of an MLP for one row.
double MlpFlops(double input, const std::vector<int>& hidden, double output);

/// A line of a benchmark's report.
struct Result {
  std::string name;
  std::string unit;
  double value = 0;  ///< [unit]
  std::string reference;
  double reference_value = 0;  ///< [unit]
  int runs = 0;
  double spread = 0;
  double roofline = 0;  ///< [unit] reference_value and the memory's time; 0: not asked
};

void PrintHeader();
void Print(const Result& result, bool json);

}  // namespace tandem::bench
