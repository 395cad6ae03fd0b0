#pragma once

#include <cstddef>
#include <cstdint>

namespace tandem {

/// Allocations on the heap so far, by all threads. A program that calls this counts every one of
/// them: its operators new and delete are replaced. Thread-safe.
int64_t Allocations();

/// One that counts, for libraries with hooks of their own; to be given to std::free. alignment: a
/// power of 2, at least that of a pointer.
void* AllocateCounted(size_t size, size_t alignment);

/// Allocations of 10 calls of `work`, after 3 that let buffers grow.
template <typename Work>
int64_t AllocationsOf(const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  const int64_t before = Allocations();
  for (int i = 0; i < 10; ++i) work();
  return Allocations() - before;
}

}  // namespace tandem
