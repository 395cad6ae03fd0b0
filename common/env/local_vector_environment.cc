#include "common/env/local_vector_environment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(100);

absl::Status Stopped() { return absl::CancelledError("the environments were stopped"); }

}  // namespace

absl::StatusOr<std::unique_ptr<VectorEnvironment>> LocalVectorEnvironment::Create(
    const std::string& name, const Options& options) {
  std::vector<std::unique_ptr<Environment>> envs;
  for (int i = 0; i < options.num_envs; ++i) {
    TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<Environment> env,
                            MakeEnvironment(name, options.environment));
    envs.push_back(std::move(env));
  }
  return Create(std::move(envs), options.threads, options.seed);
}

absl::StatusOr<std::unique_ptr<VectorEnvironment>> LocalVectorEnvironment::Create(
    std::vector<std::unique_ptr<Environment>> envs, int threads, uint64_t seed) {
  if (envs.empty()) return absl::InvalidArgumentError("expected at least 1 environment, got 0");
  if (threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected at least 1 thread, got ", threads));
  }
  for (const auto& env : envs) {
    if (env->spec() == envs[0]->spec()) continue;
    return absl::InvalidArgumentError(absl::StrCat("expected environments of one spec, got ",
                                                   envs[0]->spec().name, " and another ",
                                                   env->spec().name));
  }
  std::unique_ptr<VectorEnvironment> all(new LocalVectorEnvironment(std::move(envs), threads));
  TANDEM_RETURN_IF_ERROR(all->ResetAll(seed));
  return all;
}

LocalVectorEnvironment::LocalVectorEnvironment(std::vector<std::unique_ptr<Environment>> envs,
                                               int threads)
    : VectorEnvironment(envs[0]->spec(), static_cast<int>(envs.size())),
      envs_(std::move(envs)),
      unstarted_(envs_.size()),
      errors_(envs_.size()) {
  threads = std::min(threads, num_envs());
  if (threads == 1) return;
  team_ = std::make_unique<WorkerTeam>(threads, num_envs(),
                                       [this](int begin, int end) { StepRange(begin, end); });
}

absl::Status LocalVectorEnvironment::ResetAll(std::optional<uint64_t> seed) {
  if (stop_.stopped()) return Stopped();
  for (int i = 0; i < num_envs(); ++i) {
    std::optional<uint64_t> own;
    if (seed.has_value()) own = EnvironmentSeed(*seed, i);
    outcomes_[static_cast<size_t>(i)] = Restart(i, own) ? Outcome::kStarted : Outcome::kAbsent;
    unstarted_[static_cast<size_t>(i)] = 0;
  }
  return TakeErrors();
}

absl::Status LocalVectorEnvironment::WidenStart(double scale) {
  for (const auto& env : envs_) TANDEM_RETURN_IF_ERROR(env->WidenStart(scale));
  return absl::OkStatus();
}

absl::Status LocalVectorEnvironment::Step(std::span<const float> actions) {
  if (stop_.stopped()) return Stopped();
  TANDEM_RETURN_IF_ERROR(CheckActions(actions));
  actions_ = actions;
  if (team_ == nullptr) {
    StepRange(0, num_envs());
  } else {
    team_->Run();
  }
  if (!failed_.load(std::memory_order_relaxed)) return absl::OkStatus();  // the common case
  TANDEM_RETURN_IF_ERROR(TakeErrors());
  const auto absent = [](Outcome outcome) { return outcome == Outcome::kAbsent; };
  if (std::all_of(outcomes_.begin(), outcomes_.end(), absent)) stop_.Sleep(kPause);
  return absl::OkStatus();
}

void LocalVectorEnvironment::StepRange(int begin, int end) {
  for (int i = begin; i < end; ++i) StepOne(i);
}

void LocalVectorEnvironment::StepOne(int env) {
  const size_t i = static_cast<size_t>(env);
  if (outcomes_[i] == Outcome::kLost || outcomes_[i] == Outcome::kAbsent) {
    outcomes_[i] = Restart(env, std::nullopt) ? Outcome::kStarted : Outcome::kAbsent;
    return;
  }
  if (unstarted_[i] != 0) {
    unstarted_[i] = 0;
    outcomes_[i] = Outcome::kLost;
    return;
  }
  const size_t action_dim = static_cast<size_t>(spec_.action.dim());
  const std::span<float> last = final_observation(env);
  const absl::StatusOr<StepResult> result =
      envs_[i]->Step(actions_.subspan(i * action_dim, action_dim), last);
  if (!result.ok()) {
    outcomes_[i] = Outcome::kLost;
    Fail(env, result.status());
    return;
  }
  outcomes_[i] = Outcome::kStepped;
  results_[i] = *result;
  if (!result->terminated && !result->truncated) {
    std::copy(last.begin(), last.end(), observation(env).begin());
    return;
  }
  unstarted_[i] = Restart(env, std::nullopt) ? 0 : 1;
}

bool LocalVectorEnvironment::Restart(int env, std::optional<uint64_t> seed) {
  const absl::Status status = envs_[static_cast<size_t>(env)]->Reset(seed, observation(env));
  if (!status.ok()) Fail(env, status);
  return status.ok();
}

void LocalVectorEnvironment::Fail(int env, const absl::Status& status) {
  errors_[static_cast<size_t>(env)] = status;
  failed_.store(true, std::memory_order_relaxed);
}

absl::Status LocalVectorEnvironment::TakeErrors() {
  failed_.store(false, std::memory_order_relaxed);
  absl::Status for_good;
  for (size_t i = 0; i < errors_.size(); ++i) {
    const absl::Status error = std::exchange(errors_[i], absl::OkStatus());
    if (error.ok()) continue;
    if (absl::IsInternal(error)) {
      faults_.push_back({.env = static_cast<int>(i),
                         .kind = FaultKind::kNotFinite,
                         .message = std::string(error.message())});
    } else {
      for_good.Update(error);
    }
  }
  return for_good;
}

void LocalVectorEnvironment::Stop() { stop_.Stop(); }

}  // namespace tandem
