#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace tandem {

/// Seed of the stream called `name` under `seed`: the way every random choice of a run is derived
/// from run.seed. A pure function; different names give independent streams.
uint64_t StreamSeed(uint64_t seed, std::string_view name);

/// xoshiro256++ (Blackman and Vigna 2019), seeded by SplitMix64. The same numbers on every machine
/// and compiler, which std's distributions do not promise. Not thread-safe.
class Rng {
 public:
  using State = std::array<uint64_t, 6>;

  explicit Rng(uint64_t seed);
  Rng(uint64_t seed, std::string_view stream) : Rng(StreamSeed(seed, stream)) {}

  /// 64 uniform bits.
  uint64_t Next();
  /// Uniform in [0, 1), 53 bits.
  double Uniform();
  /// Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  /// Uniform in [0, n), without bias (Lemire 2019). n >= 1.
  uint64_t Below(uint64_t n);
  /// Standard normal (Box-Muller; the second of each pair is kept).
  double Normal();
  /// Fills `out` with standard normals.
  void FillNormal(std::span<float> out);

  /// The whole state, to be stored in a checkpoint.
  State Save() const;
  void Restore(const State& state);

 private:
  std::array<uint64_t, 4> s_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace tandem
