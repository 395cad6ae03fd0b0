#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/dynamics/ensemble_learner.h"
#include "common/rpc/server_runner.h"
#include "services/model_trainer/core/joint_companion.h"
#include "services/model_trainer/core/model_trainer.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::model_trainer {

/// All that the process needs to know, from the config of the run.
struct ServiceOptions {
  ModelTrainerOptions trainer;
  bool simulator = false;  ///< The model is the environment itself: `learner` is not used.
  dynamics::EnsembleLearnerOptions learner;
  std::optional<JointCompanionOptions> joint;  ///< Nothing: the likelihood alone.
  rpc::ServerOptions server;   ///< Without services and registry, which main() makes.
  std::string replay_buffer;   ///< Its address.
  std::string policy_trainer;  ///< Its address; empty: its critic is not needed.
  std::string monitor;         ///< Its address; empty: there is none.
  int threads = 1;             ///< For tensor operations.
  absl::Duration drain = absl::Seconds(4);
};

/// Picks the model trainer's part of a resolved config. FAILED_PRECONDITION where the config wants
/// a device that is not there; INVALID_ARGUMENT where an address is missing.
absl::StatusOr<ServiceOptions> OptionsFrom(const config::v1::RunConfig& config);

}  // namespace tandem::model_trainer
