#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/dynamics/dynamics_model.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/nn/safetensors.h"

namespace tandem::dynamics {

inline constexpr std::string_view kSimulatorKind = "simulator";

/// Stands in for a learner where the model is the environment itself: a "fit" only takes the
/// statistics of the targets, which give errors and disagreement their units. One member, one
/// elite. What it publishes predicts exactly, so imagined return is real return and every alarm
/// about it is false: the null of the monitor.
///
/// FAILED_PRECONDITION where an observation of the environment does not determine its state;
/// NOT_FOUND where the environment is not built in.
absl::StatusOr<std::unique_ptr<EnsembleLearner>> MakeSimulatorLearner(const EnvironmentSpec& spec);

/// The kind "simulator" of LoadDynamicsModel. Steps the built-in environment from each observation;
/// its time limit plays no part. A row where it diverges gets NaN, and so does one whose
/// observation does not determine the state, such as a speed that the task clips.
absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadSimulatorModel(const nn::TensorFile& snapshot,
                                                                  const EnvironmentSpec& spec);

}  // namespace tandem::dynamics
