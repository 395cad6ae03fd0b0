#include "common/objective/transition_classifier.h"
#include "common/nn/layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/snapshot_checks.h"

namespace tandem::objective {
namespace {

constexpr nn::SnapshotChecks kChecks("model snapshot");

}  // namespace

void ClassifierInputs(int64_t obs_dim, int64_t action_dim, std::span<const float> observations,
                      std::span<const float> actions, std::span<const float> next_observations,
                      std::vector<float>* out) {
  const int64_t rows = static_cast<int64_t>(observations.size()) / obs_dim;
  out->resize(rows * TransitionClassifier::InputDim(obs_dim, action_dim));
  float* to = out->data();
  for (int64_t i = 0; i < rows; ++i) {
    const float* s = observations.data() + i * obs_dim;
    const float* next = next_observations.data() + i * obs_dim;
    to = std::copy_n(s, obs_dim, to);
    to = std::copy_n(actions.data() + i * action_dim, action_dim, to);
    for (int64_t j = 0; j < obs_dim; ++j) *to++ = next[j] - s[j];
    to = std::copy_n(next, obs_dim, to);
  }
}

TransitionClassifier::TransitionClassifier(int64_t obs_dim, int64_t action_dim,
                                           dynamics::Normaliser inputs,
                                           std::unique_ptr<nn::BinaryClassifier> network)
    : obs_dim_(obs_dim),
      action_dim_(action_dim),
      normaliser_(std::move(inputs)),
      network_(std::move(network)) {}

bool TransitionClassifier::IsIn(const nn::TensorFile& snapshot) {
  return snapshot.metadata.contains(kClassifierHiddenKey);
}

absl::StatusOr<std::unique_ptr<TransitionClassifier>> TransitionClassifier::Load(
    const nn::TensorFile& snapshot, const EnvironmentSpec& spec, const std::string& device) {
  if (!IsIn(snapshot)) return absl::NotFoundError("the model snapshot holds no classifier");
  const int64_t obs_dim = spec.observation.dim(), action_dim = spec.action.dim();
  const int64_t inputs = InputDim(obs_dim, action_dim);
  TANDEM_ASSIGN_OR_RETURN(const std::vector<int> hidden,
                          kChecks.Hidden(snapshot, kClassifierHiddenKey));
  dynamics::Normaliser normaliser;
  TANDEM_RETURN_IF_ERROR(normaliser.Import(kClassifierInputsName, inputs, snapshot));
  TANDEM_ASSIGN_OR_RETURN(auto network,
                          nn::BinaryClassifier::Create(
                              {.input_dim = inputs,
                               .hidden = hidden,
                               .layer_norm = snapshot.metadata.contains(kClassifierLayerNormKey)},
                              device, std::nullopt));
  TANDEM_RETURN_IF_ERROR(network->ImportParameters(kClassifierPrefix, snapshot));
  return std::make_unique<TransitionClassifier>(obs_dim, action_dim, std::move(normaliser),
                                                std::move(network));
}

absl::Status TransitionClassifier::Prepare(std::span<const float> observations,
                                           std::span<const float> actions,
                                           std::span<const float> next_observations,
                                           std::span<const float> logits) {
  const size_t rows = logits.size();
  if (observations.size() != rows * obs_dim_ || actions.size() != rows * action_dim_ ||
      next_observations.size() != observations.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "classifier: expected ", rows, " rows of observations [", obs_dim_, "], actions [",
        action_dim_, "] and next observations, got ", observations.size(), ", ", actions.size(),
        " and ", next_observations.size(), " numbers"));
  }
  ClassifierInputs(obs_dim_, action_dim_, observations, actions, next_observations, &inputs_);
  normaliser_.Apply(inputs_);
  return absl::OkStatus();
}

absl::Status TransitionClassifier::Logits(std::span<const float> observations,
                                          std::span<const float> actions,
                                          std::span<const float> next_observations,
                                          std::span<float> logits) {
  TANDEM_RETURN_IF_ERROR(Prepare(observations, actions, next_observations, logits));
  return network_->Logits(inputs_, logits);
}

absl::Status TransitionClassifier::LogitGradients(std::span<const float> observations,
                                                  std::span<const float> actions,
                                                  std::span<const float> next_observations,
                                                  std::span<float> logits,
                                                  std::span<float> gradients) {
  TANDEM_RETURN_IF_ERROR(Prepare(observations, actions, next_observations, logits));
  TANDEM_RETURN_IF_ERROR(
      nn::CheckCount("classifier gradients", next_observations.size(), gradients.size()));
  gradients_.resize(inputs_.size());
  TANDEM_RETURN_IF_ERROR(network_->LogitGradients(inputs_, logits, gradients_));
  const int64_t dim = normaliser_.dim(), change = obs_dim_ + action_dim_;
  for (size_t i = 0; i < logits.size(); ++i) {
    const float* from = gradients_.data() + static_cast<int64_t>(i) * dim;
    for (int64_t j = 0; j < obs_dim_; ++j) {  // s' is seen twice: in s' - s and by itself
      gradients[i * obs_dim_ + j] =
          from[change + j] / normaliser_.std[change + j] +
          from[change + obs_dim_ + j] / normaliser_.std[change + obs_dim_ + j];
    }
  }
  return absl::OkStatus();
}

}  // namespace tandem::objective
