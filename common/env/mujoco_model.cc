#include "common/env/mujoco_model.h"

#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

// MuJoCo's own handler writes a file into the working folder; we read the counters instead.
void IgnoreWarning(const char*) {}

// The models in use, by path. A model goes with the last simulation that holds it.
struct Models {
  Mutex mutex;
  std::map<std::string, std::weak_ptr<const mjModel>> by_path ABSL_GUARDED_BY(mutex);
};

Models& TheModels() {
  static Models* const models = [] {
    mju_user_warning = IgnoreWarning;
    return new Models;
  }();
  return *models;
}

absl::StatusOr<std::string> PathOf(const std::string& file) {
  const char* override_folder = std::getenv("TANDEM_MUJOCO_ASSETS");
  const bool overridden = override_folder != nullptr && *override_folder != '\0';
  const std::string folder = overridden ? override_folder : TANDEM_GYMNASIUM_ASSETS;
  const std::string path = folder + "/" + file;
  std::error_code error;
  if (std::filesystem::exists(path, error)) return path;
  return absl::NotFoundError(absl::StrCat(
      "MuJoCo model ", path, " does not exist (environment variable TANDEM_MUJOCO_ASSETS: ",
      overridden ? override_folder : "not set", "; folder at build time: ", TANDEM_GYMNASIUM_ASSETS,
      "); set TANDEM_MUJOCO_ASSETS to the folder that holds ", file));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const mjModel>> SharedMujocoModel(const std::string& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::string path, PathOf(file));
  Models& models = TheModels();
  MutexLock lock(models.mutex);
  std::weak_ptr<const mjModel>& entry = models.by_path[path];
  if (std::shared_ptr<const mjModel> model = entry.lock()) return model;
  char message[1000] = "";
  mjModel* read = mj_loadXML(path.c_str(), nullptr, message, sizeof(message));
  if (read == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("MuJoCo model ", path, ": ", message));
  }
  std::shared_ptr<const mjModel> model(read, [read](const mjModel*) { mj_deleteModel(read); });
  entry = model;
  return model;
}

int BadNumberWarnings(const mjData& data) {
  return data.warning[mjWARN_BADQPOS].number + data.warning[mjWARN_BADQVEL].number +
         data.warning[mjWARN_BADQACC].number + data.warning[mjWARN_BADCTRL].number;
}

}  // namespace tandem
