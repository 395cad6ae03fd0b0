#include "common/env_server/environment_batch.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace tandem::env_server {
namespace {

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

env::v1::FaultKind KindOf(const absl::Status& status) {
  return absl::IsInternal(status) ? env::v1::FAULT_KIND_NOT_FINITE : env::v1::FAULT_KIND_EXCEPTION;
}

absl::Duration Now() { return Clock::Real()->Monotonic(); }

}  // namespace

void WriteColumns(const SpaceLayout& layout, std::span<const float> flat, int64_t rows,
                  google::protobuf::RepeatedPtrField<std::string>* columns) {
  const std::vector<SpaceLeaf>& leaves = layout.leaves();
  while (columns->size() < static_cast<int>(leaves.size())) columns->Add();
  if (leaves.size() == 1 && leaves[0].kind == SpaceKind::kBox &&
      leaves[0].type == ElementType::kFloat32) {
    columns->Mutable(0)->assign(reinterpret_cast<const char*>(flat.data()), flat.size_bytes());
    return;
  }
  std::vector<std::string> bytes;
  layout.Unflatten(flat, rows, bytes).IgnoreError();  // sizes fit, and the numbers are finite
  for (size_t i = 0; i < bytes.size(); ++i) columns->Mutable(static_cast<int>(i))->swap(bytes[i]);
}

EnvironmentBatch::EnvironmentBatch(const EnvironmentHost& host, HostedEnvironments envs,
                                   Timeouts timeouts)
    : host_(host),
      envs_(std::move(envs)),
      timeouts_(timeouts),
      obs_dim_(static_cast<size_t>(host.spec().observation.dim())),
      action_dim_(static_cast<size_t>(host.spec().action.dim())),
      states_(static_cast<size_t>(envs_.size()), State::kNew),
      observations_(states_.size() * obs_dim_),
      last_(obs_dim_),
      actions_(states_.size() * action_dim_) {}

absl::Status EnvironmentBatch::Answer(const env::v1::StepRequest& request,
                                      env::v1::StepResponse* response) {
  if (!request.reset().empty()) {
    TANDEM_RETURN_IF_ERROR(CheckReset(request));
    Reset(request, response);
  } else {
    if (std::find(states_.begin(), states_.end(), State::kNew) != states_.end()) {
      return Refuse("expected the first request of a session to reset its environments");
    }
    TANDEM_RETURN_IF_ERROR(TakeActions(request));
    StepAll(request, response);
  }
  WriteColumns(host_.observation(), observations_, envs_.size(), response->mutable_observations());
  return absl::OkStatus();
}

absl::Status EnvironmentBatch::CheckReset(const env::v1::StepRequest& request) const {
  if (request.reset().size() != states_.size()) {
    return Refuse("reset: expected ", states_.size(), " bytes, got ", request.reset().size());
  }
  const size_t seeds = states_.size() * sizeof(uint64_t);
  if (!request.seeds().empty() && request.seeds().size() != seeds) {
    return Refuse("seeds: expected ", seeds, " bytes or none, got ", request.seeds().size());
  }
  if (request.actions().empty()) return absl::OkStatus();
  return Refuse("actions: expected none in a reset, got ", request.actions_size(), " columns");
}

void EnvironmentBatch::Reset(const env::v1::StepRequest& request, env::v1::StepResponse* response) {
  std::string outcomes(states_.size(), '\0');
  for (int i = 0; i < envs_.size(); ++i) {
    const size_t at = static_cast<size_t>(i);
    if (request.reset()[at] == 0) continue;
    std::optional<uint64_t> seed;
    if (!request.seeds().empty()) {
      seed.emplace();
      std::memcpy(&*seed, request.seeds().data() + at * sizeof(uint64_t), sizeof(uint64_t));
    }
    const bool begun = Begin(i, seed, response);
    outcomes[at] = begun ? env::v1::OUTCOME_STARTED : env::v1::OUTCOME_ABSENT;
    if (!begun) state(i) = State::kAbsent;
  }
  Finish(outcomes, env::v1::OUTCOME_STARTED, response);
}

absl::Status EnvironmentBatch::TakeActions(const env::v1::StepRequest& request) {
  const SpaceLayout& layout = host_.action();
  bad_actions_.clear();
  if (request.actions_size() != static_cast<int>(layout.leaves().size())) {
    return Refuse("actions: expected ", layout.leaves().size(), " columns, got ",
                  request.actions_size());
  }
  std::vector<std::string_view> columns(request.actions().begin(), request.actions().end());
  for (size_t leaf = 0; leaf < columns.size(); ++leaf) {
    const size_t expected = layout.row_bytes(leaf) * states_.size();
    if (columns[leaf].size() == expected) continue;
    return Refuse("actions, column ", leaf, ": expected ", expected, " bytes, got ",
                  columns[leaf].size());
  }
  if (!request.restart().empty() && request.restart().size() != states_.size()) {
    return Refuse("restart: expected ", states_.size(), " bytes or none, got ",
                  request.restart().size());
  }
  if (layout.Flatten(columns, envs_.size(), actions_).ok()) return absl::OkStatus();
  for (size_t i = 0; i < states_.size(); ++i) {  // a row has a choice that there is not
    std::vector<std::string_view> row;
    for (size_t leaf = 0; leaf < columns.size(); ++leaf) {
      const size_t bytes = layout.row_bytes(leaf);
      row.push_back(columns[leaf].substr(i * bytes, bytes));
    }
    const std::span<float> to = std::span(actions_).subspan(i * action_dim_, action_dim_);
    const absl::Status status = layout.Flatten(row, 1, to);
    if (!status.ok()) bad_actions_[static_cast<int>(i)] = std::string(status.message());
  }
  return absl::OkStatus();
}

void EnvironmentBatch::StepAll(const env::v1::StepRequest& request,
                               env::v1::StepResponse* response) {
  const std::string& restart = request.restart();
  response->mutable_rewards()->assign(states_.size() * sizeof(float), '\0');
  std::string outcomes(states_.size(), '\0');
  finals_.clear();
  for (int i = 0; i < envs_.size(); ++i) {
    const size_t at = static_cast<size_t>(i);
    if (!restart.empty() && restart[at] != 0) state(i) = State::kAbsent;
    outcomes[at] = static_cast<char>(StepOne(i, response));
  }
  if (!finals_.empty()) {
    WriteColumns(host_.observation(), finals_, static_cast<int64_t>(finals_.size() / obs_dim_),
                 response->mutable_final_observations());
  }
  Finish(outcomes, env::v1::OUTCOME_UNSPECIFIED, response);
}

env::v1::Outcome EnvironmentBatch::StepOne(int env, env::v1::StepResponse* response) {
  const size_t at = static_cast<size_t>(env);
  if (state(env) == State::kUnstarted) {
    state(env) = State::kAbsent;
    return env::v1::OUTCOME_LOST;
  }
  if (state(env) != State::kRuns) {
    return Begin(env, std::nullopt, response) ? env::v1::OUTCOME_STARTED : env::v1::OUTCOME_ABSENT;
  }
  if (const auto bad = bad_actions_.find(env); bad != bad_actions_.end()) {
    return Lose(env, env::v1::FAULT_KIND_EXCEPTION, bad->second, response);
  }
  const absl::Duration begin = Now();
  const absl::StatusOr<StepResult> result =
      envs_[env].Step(std::span(actions_).subspan(at * action_dim_, action_dim_), last_);
  if (!result.ok())
    return Lose(env, KindOf(result.status()), std::string(result.status().message()), response);
  if (const absl::Duration took = Now() - begin; took > timeouts_.step) {
    return Lose(env, env::v1::FAULT_KIND_HUNG,
                absl::StrCat("the step took ", absl::FormatDuration(took)), response);
  }
  std::memcpy(response->mutable_rewards()->data() + at * sizeof(float), &result->reward,
              sizeof(float));
  if (!result->terminated && !result->truncated) {
    std::copy(last_.begin(), last_.end(), observations_.begin() + static_cast<long>(at * obs_dim_));
    return env::v1::OUTCOME_UNSPECIFIED;
  }
  std::string* flags =
      result->terminated ? response->mutable_terminated() : response->mutable_truncated();
  flags->resize(states_.size(), '\0');
  (*flags)[at] = 1;
  finals_.insert(finals_.end(), last_.begin(), last_.end());
  if (!Begin(env, std::nullopt, response)) state(env) = State::kUnstarted;
  return env::v1::OUTCOME_UNSPECIFIED;
}

bool EnvironmentBatch::Begin(int env, std::optional<uint64_t> seed,
                             env::v1::StepResponse* response) {
  const absl::Duration begin = Now();
  const absl::Status status = envs_[env].Reset(
      seed, std::span(observations_).subspan(static_cast<size_t>(env) * obs_dim_, obs_dim_));
  const absl::Duration took = Now() - begin;
  state(env) = State::kRuns;
  if (!status.ok()) {
    Lose(env, KindOf(status), std::string(status.message()), response);
  } else if (took > timeouts_.reset) {
    Lose(env, env::v1::FAULT_KIND_HUNG, absl::StrCat("the reset took ", absl::FormatDuration(took)),
         response);
  }
  return state(env) == State::kRuns;
}

env::v1::Outcome EnvironmentBatch::Lose(int env, env::v1::FaultKind kind,
                                        const std::string& message,
                                        env::v1::StepResponse* response) {
  state(env) = State::kAbsent;
  env::v1::Fault* fault = response->add_faults();
  fault->set_env(env);
  fault->set_kind(kind);
  fault->set_message(message.substr(0, 4096));
  const auto row = observations_.begin() + static_cast<long>(static_cast<size_t>(env) * obs_dim_);
  std::fill(row, row + static_cast<long>(obs_dim_), 0.0f);
  return env::v1::OUTCOME_LOST;
}

void EnvironmentBatch::Finish(const std::string& outcomes, char usual,
                              env::v1::StepResponse* response) {
  const bool all = std::all_of(outcomes.begin(), outcomes.end(),
                               [usual](char outcome) { return outcome == usual; });
  if (!all) response->set_outcomes(outcomes);
}

}  // namespace tandem::env_server
