#include "cli/env_checks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/clients/patience.h"
#include "common/env/random_actions.h"

namespace tandem::cli {
namespace {

constexpr int kEnvs = 2;  // or 1, where there is one only
constexpr uint64_t kSeed = 7;
constexpr int kSteps = 300;
constexpr int kStepsToAnEnd = 3000;
constexpr int kEnds = 10;
constexpr absl::Duration kRecovery = absl::Seconds(60);
constexpr absl::StatusCode kSkipped = absl::StatusCode::kCancelled;

/// All that came of one step, in numbers.
using Row = std::vector<float>;

class Behaviour {
 public:
  explicit Behaviour(EnvironmentProvider& provider) : provider_(provider) {}

  absl::Status Makes();
  absl::Status FirstObservationsAreInBounds() { return CheckRows(env_->observations(), "first"); }
  absl::Status StepsAreFiniteAndInBounds();
  absl::Status TakesActionsAtTheirBounds();
  absl::Status ASeedRepeatsEverything();
  absl::Status EpisodesEndAndBegin();
  absl::Status EpisodesKeepTheirLimit();
  absl::Status Latency();

  /// A check that needs environments that run.
  NamedCheck With(const char* name, absl::Status (Behaviour::*check)()) {
    return {name, [this, check] {
              if (!env_) return Skip("there are no environments");
              const absl::Status recovered = Recover();
              return recovered.ok() ? (this->*check)() : recovered;
            }};
  }
  const std::string& figures() const { return figures_; }

 private:
  absl::Status Faults(const std::string& expected) {
    std::string got = "otherwise";
    for (const EnvironmentFault& fault : env_->TakeFaults()) got = fault.message;
    return Unexpected(expected, ", got: ", got);
  }
  absl::Status CheckRows(std::span<const float> rows, const std::string& which) const;
  /// Lets what failed in the check before come back, so that one failure is told once.
  absl::Status Recover();
  absl::Status StepRandomly();
  /// OK where an episode can begin with one of these observations, [obs_dim] each.
  absl::Status BeginsWithOneOf(const std::vector<Row>& observations);
  absl::Status Play(int steps, Row& seen);
  std::span<const float> RowOf(std::span<const float> rows, int i) const {
    const size_t dim = env_->spec().observation.low.size();
    return rows.subspan(static_cast<size_t>(i) * dim, dim);
  }
  bool Ended(int i) const { return env_->results()[static_cast<size_t>(i)].ended(); }

  EnvironmentProvider& provider_;
  std::unique_ptr<VectorEnvironment> env_;
  Rng rng_{kSeed};
  std::string figures_;
};

absl::Status Behaviour::Makes() {
  auto made = provider_.Make(kEnvs, kSeed);
  if (!made.ok()) {
    auto one = provider_.Make(1, kSeed);
    if (one.ok()) made = std::move(one);
  }
  TANDEM_ASSIGN_OR_RETURN(env_, std::move(made));
  const auto outcomes = env_->outcomes();
  const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                               [](Outcome outcome) { return outcome == Outcome::kStarted; });
  return all ? absl::OkStatus() : Faults("every environment to start an episode");
}

absl::Status Behaviour::Recover() {
  const auto run = [this] {
    const auto outcomes = env_->outcomes();
    return std::all_of(outcomes.begin(), outcomes.end(), [](Outcome outcome) {
      return outcome == Outcome::kStepped || outcome == Outcome::kStarted;
    });
  };
  const auto end = clients::After(kRecovery);
  while (!run() && std::chrono::steady_clock::now() < end) {
    if (!env_->Step(RandomActions(*env_, rng_)).ok()) break;
  }
  env_->TakeFaults();
  if (run()) return absl::OkStatus();
  const int count = env_->num_envs();
  env_.reset();
  auto made = provider_.Make(count, kSeed);
  if (!made.ok()) {
    return Skip(absl::StrCat("the environments do not run again: ", made.status().message()));
  }
  env_ = *std::move(made);
  return absl::OkStatus();
}

absl::Status Behaviour::CheckRows(std::span<const float> rows, const std::string& which) const {
  const BoxSpace& space = env_->spec().observation;
  const size_t dim = space.low.size();
  for (size_t i = 0; i < rows.size(); ++i) {
    const float low = space.low[i % dim], high = space.high[i % dim];
    // Rounding may put a number a little outside.
    const float slack = 1e-5f * (1 + std::abs(rows[i]));
    if (std::isfinite(rows[i]) && rows[i] >= low - slack && rows[i] <= high + slack) continue;
    return Unexpected("the ", which, " observation to be finite and from ", low, " to ", high,
                      " in element ", i % dim, ", got ", rows[i]);
  }
  return absl::OkStatus();
}

absl::Status Behaviour::StepRandomly() {
  TANDEM_RETURN_IF_ERROR(env_->Step(RandomActions(*env_, rng_)));
  const auto outcomes = env_->outcomes();
  const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                               [](Outcome outcome) { return outcome == Outcome::kStepped; });
  return all ? absl::OkStatus() : Faults("every environment to take its step");
}

absl::Status Behaviour::StepsAreFiniteAndInBounds() {
  for (int t = 0; t < kSteps; ++t) {
    TANDEM_RETURN_IF_ERROR(StepRandomly());
    TANDEM_RETURN_IF_ERROR(CheckRows(env_->observations(), absl::StrCat("step ", t, "'s")));
    for (int i = 0; i < env_->num_envs(); ++i) {
      const float reward = env_->results()[static_cast<size_t>(i)].reward;
      if (!std::isfinite(reward)) return Unexpected("a finite reward, got ", reward);
      if (!Ended(i)) continue;
      TANDEM_RETURN_IF_ERROR(CheckRows(RowOf(env_->final_observations(), i), "last"));
    }
  }
  return absl::OkStatus();
}

absl::Status Behaviour::TakesActionsAtTheirBounds() {
  const BoxSpace& space = env_->spec().action;
  for (const std::vector<float>& bound : {space.low, space.high}) {
    std::vector<float> actions;
    for (int i = 0; i < env_->num_envs(); ++i) {
      actions.insert(actions.end(), bound.begin(), bound.end());
    }
    TANDEM_RETURN_IF_ERROR(env_->Step(actions));
    for (const Outcome outcome : env_->outcomes()) {
      if (outcome != Outcome::kStepped) return Faults("actions at their bounds to be taken");
    }
  }
  return absl::OkStatus();
}

absl::Status Behaviour::Play(int steps, Row& seen) {
  TANDEM_RETURN_IF_ERROR(env_->ResetAll(kSeed));
  rng_ = Rng(kSeed);
  const auto add = [&seen](std::span<const float> row) {
    seen.insert(seen.end(), row.begin(), row.end());
  };
  add(env_->observations());
  for (int t = 0; t < steps; ++t) {
    TANDEM_RETURN_IF_ERROR(StepRandomly());
    add(env_->observations());
    for (int i = 0; i < env_->num_envs(); ++i) {
      seen.push_back(env_->results()[static_cast<size_t>(i)].reward);
      seen.push_back(Ended(i) ? 1 : 0);
    }
  }
  return absl::OkStatus();
}

absl::Status Behaviour::ASeedRepeatsEverything() {
  Row first, second;
  TANDEM_RETURN_IF_ERROR(Play(kSteps, first));
  TANDEM_RETURN_IF_ERROR(Play(kSteps, second));
  const auto differ = std::mismatch(first.begin(), first.end(), second.begin());
  if (differ.first == first.end()) return absl::OkStatus();
  const size_t results = 2 * static_cast<size_t>(env_->num_envs());
  const size_t row = env_->observations().size() + results;
  const size_t at = static_cast<size_t>(differ.first - first.begin());
  return Unexpected("the same seed to give the same numbers, got ", *differ.first, " and then ",
                    *differ.second, " after ", (at + results) / row, " steps");
}

absl::Status Behaviour::EpisodesEndAndBegin() {
  size_t ended = 0;
  std::vector<Row> same;  // first observations that are also the last ones before them
  for (int t = 0; t < kStepsToAnEnd && ended == same.size() && ended < kEnds; ++t) {
    TANDEM_RETURN_IF_ERROR(StepRandomly());
    for (int i = 0; i < env_->num_envs(); ++i) {
      if (!Ended(i)) continue;
      ++ended;
      const auto next = RowOf(env_->observations(), i), last = RowOf(env_->final_observations(), i);
      if (std::equal(next.begin(), next.end(), last.begin()))
        same.emplace_back(next.begin(), next.end());
    }
  }
  if (ended == 0) return Skip(absl::StrCat("no episode ended in ", kStepsToAnEnd, " steps"));
  return same.size() == ended ? BeginsWithOneOf(same) : StepRandomly();
}

absl::Status Behaviour::BeginsWithOneOf(const std::vector<Row>& observations) {
  for (uint64_t seed = kSeed; seed < kSeed + kEnds; ++seed) {
    TANDEM_RETURN_IF_ERROR(env_->ResetAll(seed));
    for (int i = 0; i < env_->num_envs(); ++i) {
      const auto first = RowOf(env_->observations(), i);
      const Row row(first.begin(), first.end());
      if (std::find(observations.begin(), observations.end(), row) != observations.end()) {
        return absl::OkStatus();
      }
    }
  }
  return Unexpected("the first observation of the next episode to differ from the last one");
}

absl::Status Behaviour::EpisodesKeepTheirLimit() {
  const int64_t limit = env_->spec().max_episode_steps;
  if (limit == 0) return Skip("the environment names no limit");
  if (limit > kStepsToAnEnd) return Skip(absl::StrCat("its limit is ", limit, " steps"));
  TANDEM_RETURN_IF_ERROR(env_->ResetAll(kSeed));
  std::vector<int64_t> steps(env_->outcomes().size());
  for (int64_t t = 0; t < limit + 1; ++t) {
    TANDEM_RETURN_IF_ERROR(StepRandomly());
    for (int i = 0; i < env_->num_envs(); ++i) {
      const int64_t length = ++steps[static_cast<size_t>(i)];
      if (!Ended(i) && length >= limit) {
        return Unexpected("an episode of at most ", limit, " steps, got a longer one");
      }
      if (Ended(i)) steps[static_cast<size_t>(i)] = 0;
    }
  }
  return absl::OkStatus();
}

absl::Status Behaviour::Latency() {
  std::vector<double> millis;
  for (int t = 0; t < kSteps; ++t) {
    const auto begin = std::chrono::steady_clock::now();
    TANDEM_RETURN_IF_ERROR(StepRandomly());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    millis.push_back(took.count());
  }
  std::sort(millis.begin(), millis.end());
  figures_ = absl::StrFormat("%d environments: %.3f ms (p50), %.3f ms (p99)", env_->num_envs(),
                             millis[millis.size() / 2], millis[millis.size() * 99 / 100]);
  return absl::OkStatus();
}

}  // namespace

absl::Status Skip(const std::string& why) { return absl::Status(kSkipped, why); }

std::vector<Finding> RunChecks(const std::vector<NamedCheck>& checks) {
  std::vector<Finding> findings;
  for (const NamedCheck& check : checks) {
    const absl::Status status = check.run();
    findings.push_back({check.name,
                        status.ok()                 ? Finding::Result::kOk
                        : status.code() == kSkipped ? Finding::Result::kSkipped
                                                    : Finding::Result::kFailed,
                        std::string(status.message())});
  }
  return findings;
}

std::vector<Finding> CheckBehaviour(EnvironmentProvider& provider) {
  Behaviour behaviour(provider);
  std::vector<Finding> findings = RunChecks({
      {"environments start", [&] { return behaviour.Makes(); }},
      behaviour.With("first observations are in bounds", &Behaviour::FirstObservationsAreInBounds),
      behaviour.With("steps are finite and in bounds", &Behaviour::StepsAreFiniteAndInBounds),
      behaviour.With("actions at their bounds are taken", &Behaviour::TakesActionsAtTheirBounds),
      behaviour.With("a seed repeats everything", &Behaviour::ASeedRepeatsEverything),
      behaviour.With("episodes end and begin", &Behaviour::EpisodesEndAndBegin),
      behaviour.With("episodes keep their limit", &Behaviour::EpisodesKeepTheirLimit),
      behaviour.With("latency of a step", &Behaviour::Latency),
  });
  if (findings.back().result == Finding::Result::kOk) findings.back().detail = behaviour.figures();
  return findings;
}

}  // namespace tandem::cli
