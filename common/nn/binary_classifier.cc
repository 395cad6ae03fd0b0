#include "common/nn/binary_classifier.h"

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/nn/flat_classifier.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

absl::Status CheckSpec(const BinaryClassifierSpec& spec) {
  if (spec.input_dim < 1 || !AreWidths(spec.hidden)) {
    return absl::InvalidArgumentError(
        absl::StrCat("classifier: expected at least 1 input and hidden unit in each layer, got ",
                     spec.input_dim, " inputs, hidden [", JoinInts(spec.hidden), "]"));
  }
  return absl::OkStatus();
}

ParameterLayout LayoutOf(const BinaryClassifierSpec& spec, int64_t align) {
  ParameterLayout layout = ParameterLayout::Mlp(align, spec.input_dim, spec.hidden, 1);
  if (spec.layer_norm) {
    layout.AddVector("norm_gain", spec.hidden.front());
    layout.AddVector("norm_bias", spec.hidden.front());
  }
  return layout;
}

}  // namespace

FlatClassifier::FlatClassifier(const BinaryClassifierSpec& spec, int64_t align)
    : WithState(LayoutOf(spec, align), 1, /*leading=*/false), spec_(spec) {}

void FlatClassifier::InitialiseFrom(std::optional<uint64_t> seed) {
  if (!seed.has_value()) return;
  Rng rng(*seed, "classifier_weights");
  std::vector<float> flat(layout_.size());
  Expand(layout_, 1, Initialise(layout_, 1, XavierUniform, rng), flat);
  Write(Buffer::kParameters, flat);
}

absl::StatusOr<double> FlatClassifier::TrainStep(const ClassifierRows& batch,
                                                 const ClassifierStepOptions& options) {
  TANDEM_RETURN_IF_ERROR(Check(batch));
  double loss = 0;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] { return Step(batch, options, &loss); }));
  return loss;
}

absl::Status FlatClassifier::Check(const ClassifierRows& batch) const {
  if (batch.rows < 1) return absl::InvalidArgumentError("classifier: expected at least one row");
  const size_t rows = static_cast<size_t>(batch.rows);
  TANDEM_RETURN_IF_ERROR(
      CheckCount("classifier inputs", rows * spec_.input_dim, batch.inputs.size()));
  TANDEM_RETURN_IF_ERROR(CheckCount("classifier targets", rows, batch.targets.size()));
  for (const float target : batch.targets) {
    if (target >= 0 && target <= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("classifier targets: expected probabilities, got ", target));
  }
  return absl::OkStatus();
}

absl::Status FlatClassifier::Check(std::span<const float> inputs,
                                   std::span<const float> logits) const {
  return CheckCount("classifier inputs", logits.size() * spec_.input_dim, inputs.size());
}

absl::Status FlatClassifier::Check(std::span<const float> inputs, std::span<const float> logits,
                                   std::span<const float> gradients) const {
  TANDEM_RETURN_IF_ERROR(Check(inputs, logits));
  return CheckCount("classifier gradients", inputs.size(), gradients.size());
}

absl::StatusOr<std::unique_ptr<BinaryClassifier>> BinaryClassifier::Create(
    const BinaryClassifierSpec& spec, const std::string& device, std::optional<uint64_t> seed) {
  TANDEM_RETURN_IF_ERROR(CheckSpec(spec));
  std::string resolved;
  TANDEM_RETURN_IF_ERROR(ResolveDevice(device, &resolved));
  std::unique_ptr<BinaryClassifier> classifier;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] {
    const bool is_explicit = resolved == "cpu" && !spec.layer_norm;
    classifier = is_explicit ? MakeExplicitClassifier(spec, seed)
                             : MakeAutogradClassifier(spec, resolved, seed);
    return absl::OkStatus();
  }));
  return classifier;
}

}  // namespace tandem::nn
