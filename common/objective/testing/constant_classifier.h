#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/objective/transition_classifier.h"

namespace tandem::objective {

/// A network that gives every row the same logit and learns nothing.
class ConstantNetwork : public nn::BinaryClassifier {
 public:
  ConstantNetwork(int64_t input_dim, float logit) : spec_{.input_dim = input_dim}, logit_(logit) {}
  const nn::BinaryClassifierSpec& spec() const override { return spec_; }
  absl::StatusOr<double> TrainStep(const nn::ClassifierRows&,
                                   const nn::ClassifierStepOptions&) override {
    return 0;
  }
  absl::Status Logits(std::span<const float>, std::span<float> logits) override {
    std::fill(logits.begin(), logits.end(), logit_);
    return absl::OkStatus();
  }
  absl::Status LogitGradients(std::span<const float> inputs, std::span<float> logits,
                              std::span<float> gradients) override {
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    return Logits(inputs, logits);
  }
  void ExportParameters(const std::string&, nn::TensorFile*) const override {}
  absl::Status ImportParameters(const std::string&, const nn::TensorFile&) override {
    return absl::OkStatus();
  }
  void ExportOptimizer(const std::string&, nn::TensorFile*) const override {}
  absl::Status ImportOptimizer(const std::string&, const nn::TensorFile&) override {
    return absl::OkStatus();
  }

 private:
  const nn::BinaryClassifierSpec spec_;
  const float logit_;
};

/// A classifier that thinks the same of every transition.
inline std::unique_ptr<TransitionClassifier> ConstantClassifier(int64_t obs_dim, int64_t action_dim,
                                                                float logit) {
  const int64_t inputs = TransitionClassifier::InputDim(obs_dim, action_dim);
  dynamics::Normaliser plain{std::vector<float>(inputs, 0), std::vector<float>(inputs, 1)};
  return std::make_unique<TransitionClassifier>(obs_dim, action_dim, std::move(plain),
                                                std::make_unique<ConstantNetwork>(inputs, logit));
}

}  // namespace tandem::objective
