#include "common/base/rng.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "common/base/log.h"

namespace tandem {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014): one step of the counter, then its mixing function.
uint64_t SplitMix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

// Recorded runs depend on these numbers: this function must never change.
uint64_t StreamSeed(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  uint64_t state = seed;
  state = SplitMix(state) ^ hash;
  return SplitMix(state);
}

Rng::Rng(uint64_t seed) {
  for (uint64_t& word : s_) word = SplitMix(seed);
}

uint64_t Rng::Next() {
  const uint64_t result = std::rotl(s_[0] + s_[3], 23) + s_[0];
  const uint64_t t = s_[1] << 17;
  s_[2] ^= s_[0];
  s_[3] ^= s_[1];
  s_[1] ^= s_[2];
  s_[0] ^= s_[3];
  s_[2] ^= t;
  s_[3] = std::rotl(s_[3], 45);
  return result;
}

double Rng::Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

uint64_t Rng::Below(uint64_t n) {
  TANDEM_CHECK(n >= 1);
  __extension__ using uint128 = unsigned __int128;
  uint128 product = static_cast<uint128>(Next()) * n;
  if (static_cast<uint64_t>(product) < n) {
    const uint64_t threshold = -n % n;  // 2^64 mod n: lower words would favour some results
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<uint128>(Next()) * n;
  }
  return static_cast<uint64_t>(product >> 64);
}

double Rng::Normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));  // 1 - Uniform() is in (0, 1]
  const double angle = 2 * std::numbers::pi * Uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

void Rng::FillNormal(std::span<float> out) {
  for (float& x : out) x = static_cast<float>(Normal());
}

Rng::State Rng::Save() const {
  return {s_[0],
          s_[1],
          s_[2],
          s_[3],
          has_spare_ ? uint64_t{1} : uint64_t{0},
          std::bit_cast<uint64_t>(spare_)};
}

void Rng::Restore(const State& state) {
  s_ = {state[0], state[1], state[2], state[3]};
  has_spare_ = state[4] != 0;
  spare_ = std::bit_cast<double>(state[5]);
}

}  // namespace tandem
