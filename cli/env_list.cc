#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/env_commands.h"
#include "common/env/environment.h"

namespace tandem::cli {
namespace {

/// "1 of 3" for a choice of 3, "6" for a box of 6 numbers.
std::string Shape(const SpaceLayout& layout) {
  const SpaceLeaf& leaf = layout.leaves()[0];
  if (layout.leaves().size() == 1 && leaf.kind == SpaceKind::kDiscrete) {
    return absl::StrCat("1 of ", leaf.choices[0]);
  }
  return absl::StrCat(layout.flat().dim());
}

}  // namespace

int ListEnvironments(bool json) {
  if (!json) {
    std::cout << absl::StreamFormat("%-26s %-28s %11s %8s %8s  %s\n", "name", "Gymnasium's",
                                    "observation", "action", "steps", "termination");
  }
  int code = kDone;
  for (const std::string& name : EnvironmentNames()) {
    const auto env = MakeEnvironment(name);
    if (!env.ok()) {
      code = Fail(env.status());
      continue;
    }
    const EnvironmentSpec& spec = (*env)->spec();
    const bool known = KnownTermination(name).ok();
    const std::string twin = GymnasiumIdOf(name).value_or("");
    if (json) {
      std::cout << nlohmann::json({{"name", name},
                                   {"gymnasium_id", twin},
                                   {"observation_dim", spec.observation.dim()},
                                   {"action_dim", spec.action.dim()},
                                   {"max_episode_steps", spec.max_episode_steps},
                                   {"termination_published", known}})
                << std::endl;
      continue;
    }
    std::cout << absl::StreamFormat("%-26s %-28s %11s %8s %8d  %s\n", name,
                                    twin.empty() ? "-" : twin, Shape((*env)->observation_layout()),
                                    Shape((*env)->action_layout()), spec.max_episode_steps,
                                    known ? "published" : "not published");
  }
  return code;
}

}  // namespace tandem::cli
