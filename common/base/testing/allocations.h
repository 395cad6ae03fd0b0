#pragma once

#include <cstdint>

namespace tandem {

/// Allocations on the heap so far, by all threads. A program that calls this counts every one of
/// them: its operators new and delete are replaced. Thread-safe.
int64_t Allocations();

/// Allocations of 10 calls of `work`, after 3 that let buffers grow.
template <typename Work>
int64_t AllocationsOf(const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  const int64_t before = Allocations();
  for (int i = 0; i < 10; ++i) work();
  return Allocations() - before;
}

}  // namespace tandem
