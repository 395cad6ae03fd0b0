#include "common/env/environment.h"

#include "absl/strings/str_cat.h"

namespace tandem {

absl::Status NoStartRange(const EnvironmentSpec& spec) {
  return absl::FailedPreconditionError(
      absl::StrCat(spec.name, ": has no range of start states to widen"));
}

SpaceLayout Environment::observation_layout() const {
  return SpaceLayout::Of(SpaceLayout::Use::kObservation, spec().observation);
}

SpaceLayout Environment::action_layout() const {
  return SpaceLayout::Of(SpaceLayout::Use::kAction, spec().action);
}

absl::Status Environment::WidenStart(double) { return NoStartRange(spec()); }

}  // namespace tandem
