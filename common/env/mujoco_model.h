#pragma once

#include <mujoco/mujoco.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace tandem {

struct MujocoDataDeleter {
  void operator()(mjData* data) const { mj_deleteData(data); }
};
using MujocoData = std::unique_ptr<mjData, MujocoDataDeleter>;

/// A task's XML file, such as "inverted_pendulum.xml", from the folder that the environment
/// variable TANDEM_MUJOCO_ASSETS names, else from Gymnasium's folder at build time. All simulations
/// that are alive share one model of a file; it is constant and may be read by many threads.
/// NOT_FOUND names both folders; INVALID_ARGUMENT holds MuJoCo's words. Blocks while the file is
/// read. Internal to common/env. Thread-safe.
absl::StatusOr<std::shared_ptr<const mjModel>> SharedMujocoModel(const std::string& file);

/// How often MuJoCo warned since mj_resetData that a number is bad (it then starts the simulation
/// anew, or drops the number, and goes on: for us that is divergence).
int BadNumberWarnings(const mjData& data);

}  // namespace tandem
