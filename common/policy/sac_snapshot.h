#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/nn/actor_critic.h"
#include "common/nn/safetensors.h"

namespace tandem::policy {

inline constexpr std::string_view kSacKind = "sac";

/// What the metadata of a "sac" snapshot says beside the weights.
struct SacMetadata {
  std::vector<int> hidden;
  uint64_t updates = 0;
  double discount = 0.99;
  double temperature = 0;

  void Export(const EnvironmentSpec& spec, nn::TensorFile* file) const;
  /// Checks kind and spec (name, sizes, action box). INVALID_ARGUMENT says what was expected and
  /// what came.
  static absl::StatusOr<SacMetadata> Import(const nn::TensorFile& file,
                                            const EnvironmentSpec& spec);
};

nn::ActorCriticSpec NetworkSpec(const EnvironmentSpec& spec, const std::vector<int>& hidden);

}  // namespace tandem::policy
