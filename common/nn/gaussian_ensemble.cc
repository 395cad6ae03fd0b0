#include "common/nn/gaussian_ensemble.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/nn/flat_ensemble.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

constexpr float kInitialMinLogVar = -10;
constexpr float kInitialMaxLogVar = 0.5;

ParameterLayout EnsembleLayout(const GaussianEnsembleSpec& spec, int64_t align) {
  ParameterLayout layout = ParameterLayout::Mlp(align, spec.input_dim, spec.hidden,
                                                2 * spec.output_dim + spec.binary_dim);
  layout.AddVector("min_log_var", spec.output_dim);
  layout.AddVector("max_log_var", spec.output_dim);
  return layout;
}

absl::Status Check(const GaussianEnsembleSpec& spec) {
  if (spec.members < 1 || spec.input_dim < 1 || spec.output_dim < 1 || spec.binary_dim < 0 ||
      !AreWidths(spec.hidden)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ensemble: expected at least 1 member, input, output and hidden unit in each layer, got ",
        spec.members, " members, ", spec.input_dim, " inputs, ", spec.output_dim, " outputs, ",
        spec.binary_dim, " binary outputs, hidden [", JoinInts(spec.hidden), "]"));
  }
  return absl::OkStatus();
}

}  // namespace

FlatEnsemble::FlatEnsemble(const GaussianEnsembleSpec& spec, int64_t align)
    : WithState(EnsembleLayout(spec, align), spec.members, /*leading=*/true), spec_(spec) {}

void FlatEnsemble::InitialiseFrom(std::optional<uint64_t> seed) {
  if (!seed.has_value()) return;
  Rng rng(*seed, "ensemble_weights");
  const std::vector<float> compact = Initialise(layout_, spec_.members, TruncatedNormal, rng);
  std::vector<float> flat(spec_.members * layout_.size());
  Expand(layout_, spec_.members, compact, flat);
  for (int m = 0; m < spec_.members; ++m) {
    float* member = flat.data() + m * layout_.size();
    std::fill_n(member + layout_[min_entry()].offset, spec_.output_dim, kInitialMinLogVar);
    std::fill_n(member + layout_[max_entry()].offset, spec_.output_dim, kInitialMaxLogVar);
  }
  Write(Buffer::kParameters, flat);
}

absl::Status FlatEnsemble::TrainStep(const EnsembleRows& batch, const AdamOptions& options,
                                     std::span<float> losses) {
  TANDEM_RETURN_IF_ERROR(CheckRows(batch, losses));
  return TryTorch([&] { return Step(batch, options, losses); });
}

absl::Status FlatEnsemble::CheckRows(const EnsembleRows& batch,
                                     std::span<const float> losses) const {
  if (batch.rows < 1) return absl::InvalidArgumentError("ensemble: expected at least one row");
  const size_t rows = static_cast<size_t>(spec_.members) * batch.rows;
  TANDEM_RETURN_IF_ERROR(
      CheckCount("ensemble inputs", rows * spec_.input_dim, batch.inputs.size()));
  TANDEM_RETURN_IF_ERROR(
      CheckCount("ensemble targets", rows * spec_.output_dim, batch.targets.size()));
  TANDEM_RETURN_IF_ERROR(
      CheckCount("ensemble binary targets", rows * spec_.binary_dim, batch.binary_targets.size()));
  for (const auto& gradients : {batch.mean_gradients, batch.log_var_gradients}) {
    const size_t wanted = batch.mean_gradients.empty() ? 0 : rows * spec_.output_dim;
    TANDEM_RETURN_IF_ERROR(CheckCount("ensemble gradients", wanted, gradients.size()));
  }
  return CheckCount("ensemble losses", spec_.members, losses.size());
}

absl::Status FlatEnsemble::CheckPredict(int member, std::span<const float> inputs) const {
  if (member < 0 || member >= spec_.members) {
    return absl::InvalidArgumentError(
        absl::StrCat("ensemble member: expected one of ", spec_.members, ", got ", member));
  }
  if (inputs.size() % spec_.input_dim != 0) {
    return absl::InvalidArgumentError(absl::StrCat("ensemble inputs: expected a multiple of ",
                                                   spec_.input_dim, ", got ", inputs.size()));
  }
  return absl::OkStatus();
}

absl::Status FlatEnsemble::CheckParameters(int member, std::span<const float> parameters) const {
  if (member < 0 || member >= spec_.members ||
      parameters.size() != static_cast<size_t>(layout_.size())) {
    return absl::InvalidArgumentError("ensemble member parameters: wrong member or size");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GaussianEnsemble>> GaussianEnsemble::Create(
    const GaussianEnsembleSpec& spec, const std::string& device, std::optional<uint64_t> seed) {
  TANDEM_RETURN_IF_ERROR(Check(spec));
  std::string resolved;
  TANDEM_RETURN_IF_ERROR(ResolveDevice(device, &resolved));
  std::unique_ptr<GaussianEnsemble> ensemble;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] {
    ensemble = resolved == "cpu" ? MakeExplicitEnsemble(spec, seed)
                                 : MakeAutogradEnsemble(spec, resolved, seed);
    return absl::OkStatus();
  }));
  return ensemble;
}

}  // namespace tandem::nn
