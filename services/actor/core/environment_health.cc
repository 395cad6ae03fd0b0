#include "services/actor/core/environment_health.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/log.h"

namespace tandem::actor {
namespace {

// The last lines of an environment's stderr come with line breaks; a line of the log has none.
std::string Describe(const VectorEnvironment& env, const EnvironmentFault& fault) {
  const std::string message(absl::StripAsciiWhitespace(fault.message));
  const std::string kind(FaultName(fault.kind));
  return absl::StrCat("environment ", fault.env, " (", env.spec().name, ") failed, ",
                      absl::StrReplaceAll(kind, {{"_", " "}}), ": ",
                      absl::StrReplaceAll(message, {{"\r", ""}, {"\n", " | "}}));
}

bool AllRun(const VectorEnvironment& env) {
  const auto ran = [](Outcome outcome) { return outcome == Outcome::kStepped; };
  return std::all_of(env.outcomes().begin(), env.outcomes().end(), ran);
}

}  // namespace

EnvironmentHealth::EnvironmentHealth(const Options& options, Clock& clock,
                                     metrics::Registry& registry)
    : options_(options),
      clock_(clock),
      healthy_gauge_(registry.AddGauge("tandem_actor_environment_healthy",
                                       "0 after too many failures of environments, else 1.")) {
  for (const FaultKind kind :
       {FaultKind::kException, FaultKind::kCrashed, FaultKind::kHung, FaultKind::kNotFinite,
        FaultKind::kWrongShape, FaultKind::kVanished}) {
    faults_[kind] = &registry.AddCounter("tandem_actor_environment_faults_total",
                                         "Failures of environments, by kind.",
                                         {{"kind", std::string(FaultName(kind))}});
  }
  healthy_gauge_.Set(1);
}

void EnvironmentHealth::Note(VectorEnvironment& env) {
  for (const EnvironmentFault& fault : env.TakeFaults()) NoteFault(env, fault);
  if (healthy_ || !AllRun(env)) return;
  failures_.clear();
  LogInfo(absl::StrCat("all environments (", env.spec().name, ") run again"));
  Change(true);
}

void EnvironmentHealth::NoteFault(const VectorEnvironment& env, const EnvironmentFault& fault) {
  faults_.at(fault.kind)->Increment();
  const std::string text = Describe(env, fault);
  LogWarning(text);
  const absl::Duration now = clock_.Monotonic();
  const size_t most = static_cast<size_t>(options_.max_failures);
  failures_.push_back(now);
  if (failures_.size() > most) failures_.pop_front();
  if (!healthy_ || failures_.size() < most || now - failures_.front() > options_.failure_window) {
    return;
  }
  LogError(absl::StrCat("environments failed ", options_.max_failures, " times within ",
                        absl::FormatDuration(options_.failure_window),
                        ": unhealthy until all of them run again; the last: ", text));
  Change(false);
}

void EnvironmentHealth::Change(bool healthy) {
  healthy_ = healthy;
  healthy_gauge_.Set(healthy ? 1 : 0);
  if (listener_) listener_(healthy);
}

}  // namespace tandem::actor
