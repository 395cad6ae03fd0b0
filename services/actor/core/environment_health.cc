#include "services/actor/core/environment_health.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/trouble.h"

namespace tandem::actor {
namespace {

constexpr absl::Duration kBetweenLines = absl::Milliseconds(200);
constexpr size_t kMaxMessage = 2048;                     // [bytes] of a line of the log
constexpr absl::Duration kToldAfter = absl::Seconds(1);  // without a step since a failure
constexpr char kTopic[] = "environment";

// The last lines of an environment's stderr come with line breaks, and may hold anything; a line of
// the log has neither breaks nor control characters.
std::string Describe(const VectorEnvironment& env, const EnvironmentFault& fault) {
  std::string message(absl::StripAsciiWhitespace(fault.message));
  if (message.size() > kMaxMessage) {
    message = absl::StrCat("... ", message.substr(message.size() - kMaxMessage));
  }
  message = absl::StrReplaceAll(message, {{"\r", ""}, {"\n", " | "}, {"\t", " "}});
  for (char& c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  const std::string kind(FaultName(fault.kind));
  return absl::StrCat("environment ", fault.env, " (", env.spec().name, ") failed, ",
                      absl::StrReplaceAll(kind, {{"_", " "}}), ": ", message);
}

// For people: "RuntimeError: no motor", the end of a traceback; else how the message begins and
// ends.
std::string Summary(const EnvironmentFault& fault) {
  const std::vector<std::string> lines =
      absl::StrSplit(fault.message, absl::ByAnyChar("\r\n"), absl::SkipWhitespace());
  if (lines.empty()) return absl::StrReplaceAll(std::string(FaultName(fault.kind)), {{"_", " "}});
  std::string last(absl::StripAsciiWhitespace(lines.back()));
  if (fault.kind == FaultKind::kException || lines.size() == 1) return last;
  return absl::StrCat(absl::StripAsciiWhitespace(lines.front()), " ... ", last);
}

int64_t Count(const VectorEnvironment& env, Outcome outcome) {
  return std::count(env.outcomes().begin(), env.outcomes().end(), outcome);
}

}  // namespace

EnvironmentHealth::EnvironmentHealth(const Options& options, Clock& clock,
                                     metrics::Registry& registry)
    : options_(options),
      clock_(clock),
      healthy_gauge_(registry.AddGauge("tandem_actor_environment_healthy",
                                       "0 after too many failures of environments, or too long "
                                       "without a step, else 1.")) {
  for (const FaultKind kind :
       {FaultKind::kException, FaultKind::kCrashed, FaultKind::kHung, FaultKind::kNotFinite,
        FaultKind::kWrongShape, FaultKind::kVanished}) {
    faults_[kind] = &registry.AddCounter("tandem_actor_environment_faults_total",
                                         "Failures of environments, by kind.",
                                         {{"kind", std::string(FaultName(kind))}});
  }
  healthy_gauge_.Set(1);
}

void EnvironmentHealth::Note(const VectorEnvironment& env,
                             std::span<const EnvironmentFault> faults) {
  Follow(env, !faults.empty());
  if (!faults.empty()) NoteFaults(env, faults);
  if (healthy_ && faults.empty() && standings_.at(&env).all_ran) {  // the common case
    if (failures_in_a_row_ > 0 && AllRun()) {
      failures_in_a_row_ = 0;
      several_failed_ = false;
    }
    if (told_) Tell();
    return;
  }
  const std::string complaint = Complaint();
  if (healthy_ && !complaint.empty()) {
    LogError(absl::StrCat(complaint, ": unhealthy until all of them run again; the last failure: ",
                          last_failure_.empty() ? "not known" : last_failure_));
    Change(false);
  } else if (!healthy_ && complaint.empty() && AllRun()) {
    LogInfo("all environments run again");
    Change(true);
  }
  Tell();
}

void EnvironmentHealth::Follow(const VectorEnvironment& env, bool failed) {
  Standing& standing = standings_[&env];
  const int64_t stepped = Count(env, Outcome::kStepped);
  const bool down = Count(env, Outcome::kLost) + Count(env, Outcome::kAbsent) > 0;
  if (stepped > 0) standing.halted.reset();
  if (stepped == env.num_envs()) standing.all_ran = true;
  if (down || failed) standing.all_ran = false;
  if (down && stepped == 0 && !standing.halted) standing.halted = clock_.Monotonic();
}

void EnvironmentHealth::NoteFaults(const VectorEnvironment& env,
                                   std::span<const EnvironmentFault> faults) {
  for (const EnvironmentFault& fault : faults) faults_.at(fault.kind)->Increment();
  const absl::Duration now = clock_.Monotonic();
  failures_.push_back(now);
  if (failures_.size() > static_cast<size_t>(options_.max_failures)) failures_.pop_front();
  last_failure_ = Describe(env, faults[0]);
  short_failure_ = Summary(faults[0]);
  const std::pair<const VectorEnvironment*, int> failed(&env, static_cast<int>(faults[0].env));
  several_failed_ =
      several_failed_ || faults.size() > 1 || (failures_in_a_row_ > 0 && failed != last_failed_);
  last_failed_ = failed;
  ++failures_in_a_row_;
  unlogged_ += static_cast<int>(faults.size()) - 1;
  if (logged_ && now - *logged_ < kBetweenLines) {
    ++unlogged_;
    return;
  }
  LogWarning(unlogged_ == 0 ? last_failure_
                            : absl::StrCat(last_failure_, "; and ", unlogged_, " other failures"));
  logged_ = now;
  unlogged_ = 0;
}

std::string EnvironmentHealth::Complaint() {
  const absl::Duration now = clock_.Monotonic();
  while (!failures_.empty() && now - failures_.front() > options_.failure_window) {
    failures_.pop_front();
  }
  if (failures_.size() >= static_cast<size_t>(options_.max_failures)) {
    return absl::StrCat("environments failed ", options_.max_failures, " times within ",
                        absl::FormatDuration(options_.failure_window));
  }
  for (const auto& [env, standing] : standings_) {
    if (!StandsStill(standing, options_.standstill)) continue;
    return absl::StrCat("none of ", env->num_envs(), " environments has taken a step for ",
                        absl::FormatDuration(options_.standstill));
  }
  return "";
}

bool EnvironmentHealth::StandsStill(const Standing& standing, absl::Duration how_long) const {
  return standing.halted && clock_.Monotonic() - *standing.halted >= how_long;
}

void EnvironmentHealth::Tell() {
  const bool halted = std::any_of(standings_.begin(), standings_.end(), [this](const auto& entry) {
    return StandsStill(entry.second, kToldAfter);
  });
  if (!healthy_ || halted) {
    told_ = true;
    std::string how = several_failed_ ? ", with others" : "";
    if (failures_in_a_row_ > 1) {
      absl::StrAppend(&how, " ", failures_in_a_row_, " times, last");
    }
    SetTrouble(kTopic, absl::StrCat("environment ", last_failed_.second, " failed", how, ": ",
                                    short_failure_, AllRun() ? "; it runs again" : ""));
  } else if (told_) {
    told_ = false;
    ClearTrouble(kTopic);
  }
}

bool EnvironmentHealth::AllRun() const {
  return std::all_of(standings_.begin(), standings_.end(),
                     [](const auto& entry) { return entry.second.all_ran; });
}

void EnvironmentHealth::Change(bool healthy) {
  healthy_ = healthy;
  healthy_gauge_.Set(healthy ? 1 : 0);
  if (listener_) listener_(healthy);
}

}  // namespace tandem::actor
