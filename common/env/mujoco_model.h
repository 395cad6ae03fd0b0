#pragma once

#include <mujoco/mujoco.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace tandem {

struct MujocoDeleter {
  void operator()(mjModel* model) const { mj_deleteModel(model); }
  void operator()(mjData* data) const { mj_deleteData(data); }
};
using MujocoModel = std::unique_ptr<mjModel, MujocoDeleter>;
using MujocoData = std::unique_ptr<mjData, MujocoDeleter>;

/// Reads a task's XML file, such as "inverted_pendulum.xml", from the folder that the environment
/// variable TANDEM_MUJOCO_ASSETS names, else from Gymnasium's folder at build time. NOT_FOUND names
/// both folders; INVALID_ARGUMENT holds MuJoCo's words. Internal to common/env. Thread-safe.
absl::StatusOr<MujocoModel> LoadMujocoModel(const std::string& file);

/// How often MuJoCo warned since mj_resetData that a number is bad (it then starts the simulation
/// anew, or drops the number, and goes on: for us that is divergence).
int BadNumberWarnings(const mjData& data);

}  // namespace tandem
