#include "common/nn/binary_classifier.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/nn/flat_classifier.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

absl::Status CheckSpec(const BinaryClassifierSpec& spec) {
  if (spec.input_dim < 1 || spec.hidden.empty() ||
      std::any_of(spec.hidden.begin(), spec.hidden.end(), [](int n) { return n < 1; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("classifier: expected at least 1 input and hidden unit in each layer, got ",
                     spec.input_dim, " inputs, hidden [", JoinInts(spec.hidden), "]"));
  }
  return absl::OkStatus();
}

absl::Status Mismatch(const char* what, size_t expected, size_t got) {
  return absl::InvalidArgumentError(
      absl::StrCat("classifier ", what, ": expected ", expected, " numbers, got ", got));
}

}  // namespace

FlatClassifier::FlatClassifier(const BinaryClassifierSpec& spec, int64_t align)
    : spec_(spec), layout_(ParameterLayout::Mlp(align, spec.input_dim, spec.hidden, 1)) {}

void FlatClassifier::InitialiseFrom(std::optional<uint64_t> seed) {
  if (!seed.has_value()) return;
  Rng rng(*seed, "classifier_weights");
  std::vector<float> flat(layout_.size());
  Expand(layout_, 1, Initialise(layout_, 1, XavierUniform, rng), flat);
  Write(Buffer::kParameters, flat);
}

absl::Status FlatClassifier::Check(const ClassifierRows& batch) const {
  if (batch.rows < 1) return absl::InvalidArgumentError("classifier: expected at least one row");
  const size_t rows = static_cast<size_t>(batch.rows);
  if (batch.inputs.size() != rows * spec_.input_dim) {
    return Mismatch("inputs", rows * spec_.input_dim, batch.inputs.size());
  }
  if (batch.targets.size() != rows) return Mismatch("targets", rows, batch.targets.size());
  for (const float target : batch.targets) {
    if (target >= 0 && target <= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("classifier targets: expected probabilities, got ", target));
  }
  return absl::OkStatus();
}

absl::Status FlatClassifier::Check(std::span<const float> inputs,
                                   std::span<const float> logits) const {
  if (inputs.size() != logits.size() * spec_.input_dim) {
    return Mismatch("inputs", logits.size() * spec_.input_dim, inputs.size());
  }
  return absl::OkStatus();
}

absl::Status FlatClassifier::Check(std::span<const float> inputs, std::span<const float> logits,
                                   std::span<const float> gradients) const {
  TANDEM_RETURN_IF_ERROR(Check(inputs, logits));
  if (gradients.size() != inputs.size()) {
    return Mismatch("gradients", inputs.size(), gradients.size());
  }
  return absl::OkStatus();
}

void FlatClassifier::ExportParameters(const std::string& prefix, TensorFile* file) const {
  ExportTensors(layout_, 1, /*leading=*/false, Read(Buffer::kParameters), prefix, file);
}

absl::Status FlatClassifier::ImportParameters(const std::string& prefix, const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> flat,
                          ImportTensors(layout_, 1, /*leading=*/false, prefix, file));
  Write(Buffer::kParameters, flat);
  return absl::OkStatus();
}

void FlatClassifier::ExportOptimizer(const std::string& prefix, TensorFile* file) const {
  file->tensors[prefix + "adam_m"] = {{layout_.count()},
                                      Compact(layout_, 1, Read(Buffer::kFirstMoments))};
  file->tensors[prefix + "adam_v"] = {{layout_.count()},
                                      Compact(layout_, 1, Read(Buffer::kSecondMoments))};
  PutInt(file, prefix + "adam_t", adam_steps_);
}

absl::StatusOr<std::vector<float>> FlatClassifier::FindMoments(const std::string& name,
                                                               const TensorFile& file) const {
  TANDEM_ASSIGN_OR_RETURN(const NamedTensor* tensor, FindTensor(file, name, {layout_.count()}));
  std::vector<float> flat(layout_.size());
  Expand(layout_, 1, tensor->data, flat);
  return flat;
}

absl::Status FlatClassifier::ImportOptimizer(const std::string& prefix, const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> first, FindMoments(prefix + "adam_m", file));
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> second, FindMoments(prefix + "adam_v", file));
  TANDEM_ASSIGN_OR_RETURN(adam_steps_, FindInt(file, prefix + "adam_t"));
  Write(Buffer::kFirstMoments, first);
  Write(Buffer::kSecondMoments, second);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BinaryClassifier>> BinaryClassifier::Create(
    const BinaryClassifierSpec& spec, const std::string& device, std::optional<uint64_t> seed) {
  TANDEM_RETURN_IF_ERROR(CheckSpec(spec));
  std::string resolved;
  TANDEM_RETURN_IF_ERROR(ResolveDevice(device, &resolved));
  std::unique_ptr<BinaryClassifier> classifier;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] {
    classifier = resolved == "cpu" ? MakeExplicitClassifier(spec, seed)
                                   : MakeAutogradClassifier(spec, resolved, seed);
    return absl::OkStatus();
  }));
  return classifier;
}

}  // namespace tandem::nn
