#include "common/env/mujoco_model.h"

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

// MuJoCo's own handler writes a file into the working folder; we read the counters instead.
void IgnoreWarning(const char*) {}

}  // namespace

absl::StatusOr<MujocoModel> LoadMujocoModel(const std::string& file) {
  static const bool once = [] {
    mju_user_warning = IgnoreWarning;
    return true;
  }();
  static_cast<void>(once);
  const char* override_folder = std::getenv("TANDEM_MUJOCO_ASSETS");
  const bool overridden = override_folder != nullptr && *override_folder != '\0';
  const std::string folder = overridden ? override_folder : TANDEM_GYMNASIUM_ASSETS;
  const std::string path = folder + "/" + file;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(
        "MuJoCo model ", path, " does not exist (environment variable TANDEM_MUJOCO_ASSETS: ",
        overridden ? override_folder : "not set", "; folder at build time: ",
        TANDEM_GYMNASIUM_ASSETS, "); set TANDEM_MUJOCO_ASSETS to the folder that holds ", file));
  }
  char message[1000] = "";
  MujocoModel model(mj_loadXML(path.c_str(), nullptr, message, sizeof(message)));
  if (model == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("MuJoCo model ", path, ": ", message));
  }
  return model;
}

int BadNumberWarnings(const mjData& data) {
  return data.warning[mjWARN_BADQPOS].number + data.warning[mjWARN_BADQVEL].number +
         data.warning[mjWARN_BADQACC].number + data.warning[mjWARN_BADCTRL].number;
}

}  // namespace tandem
