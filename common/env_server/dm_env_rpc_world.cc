#include "common/env_server/dm_env_rpc_world.h"

#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/clients/dm_env_rpc_messages.h"
#include "common/env_server/environment_batch.h"

namespace tandem::env_server {
namespace {

using dm_env_rpc::v1::StepRequest;
using dm_env_rpc::v1::StepResponse;

SpaceLeaf Number(const char* name, double low, double high) {
  SpaceLeaf leaf;
  leaf.name = name;
  leaf.low = {low};
  leaf.high = {high};
  return leaf;
}

const SpaceLeaf& Reward() {
  static const auto* leaf = new SpaceLeaf(Number("reward", -std::numeric_limits<double>::infinity(),
                                                 std::numeric_limits<double>::infinity()));
  return *leaf;
}

const SpaceLeaf& Discount() {
  static const auto* leaf = new SpaceLeaf(Number("discount", 0, 1));
  return *leaf;
}

std::string_view BytesOf(const float& number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

}  // namespace

DmEnvRpcWorld::DmEnvRpcWorld(const EnvironmentHost& host, HostedEnvironments env,
                             std::optional<uint64_t> seed)
    : host_(host),
      env_(std::move(env)),
      seed_(seed),
      observation_(static_cast<size_t>(host.spec().observation.dim())),
      action_(static_cast<size_t>(host.spec().action.dim())) {
  host_.action().Unflatten(action_, 1, neutral_).IgnoreError();  // zeros fit
  uint64_t id = 0;
  for (const SpaceLeaf& leaf : host_.observation().leaves()) {
    clients::Encode(leaf, "observation", &(*specs_.mutable_observations())[++id]);
  }
  clients::Encode(Reward(), "", &(*specs_.mutable_observations())[++id]);
  clients::Encode(Discount(), "", &(*specs_.mutable_observations())[++id]);
  id = 0;
  for (const SpaceLeaf& leaf : host_.action().leaves()) {
    clients::Encode(leaf, "action", &(*specs_.mutable_actions())[++id]);
  }
}

absl::Status DmEnvRpcWorld::CheckRequested(const StepRequest& request) const {
  for (const uint64_t id : request.requested_observations()) {
    if (specs_.observations().contains(id)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("requested_observations: expected ids from 1 to ",
                     specs_.observations().size(), ", got ", id));
  }
  return absl::OkStatus();
}

absl::Status DmEnvRpcWorld::TakeActions(const StepRequest& request) {
  const std::vector<SpaceLeaf>& leaves = host_.action().leaves();
  std::vector<std::string> rows = neutral_;
  for (const auto& [id, tensor] : request.actions()) {
    if (id < 1 || id > leaves.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("actions: expected ids from 1 to ", leaves.size(), ", got ", id));
    }
    std::string& row = rows[id - 1];
    row.clear();
    TANDEM_RETURN_IF_ERROR(clients::Decode(tensor, leaves[id - 1], &row));
    TANDEM_RETURN_IF_ERROR(clients::CheckBounds(leaves[id - 1], row));
  }
  const std::vector<std::string_view> views(rows.begin(), rows.end());
  return host_.action().Flatten(views, 1, action_);
}

absl::Status DmEnvRpcWorld::Begin() {
  TANDEM_RETURN_IF_ERROR(env_[0].Reset(std::exchange(seed_, std::nullopt), observation_));
  running_ = true;
  return absl::OkStatus();
}

void DmEnvRpcWorld::WriteObservations(const StepRequest& request, float reward, float discount,
                                      StepResponse* response) const {
  const std::vector<SpaceLeaf>& leaves = host_.observation().leaves();
  google::protobuf::RepeatedPtrField<std::string> rows;
  WriteColumns(host_.observation(), observation_, 1, &rows);
  for (const uint64_t id : request.requested_observations()) {
    dm_env_rpc::v1::Tensor* tensor = &(*response->mutable_observations())[id];
    if (id <= leaves.size()) {
      clients::Encode(leaves[id - 1], rows[static_cast<int>(id - 1)], tensor);
    } else {
      const bool is_reward = id == leaves.size() + 1;
      clients::Encode(is_reward ? Reward() : Discount(), BytesOf(is_reward ? reward : discount),
                      tensor);
    }
  }
}

absl::Status DmEnvRpcWorld::Step(const StepRequest& request, StepResponse* response) {
  TANDEM_RETURN_IF_ERROR(CheckRequested(request));
  response->set_state(dm_env_rpc::v1::RUNNING);
  StepResult result;
  if (interrupted_) {
    interrupted_ = running_ = false;
    result.truncated = true;
  } else if (!running_) {
    TANDEM_RETURN_IF_ERROR(Begin());
  } else {
    TANDEM_RETURN_IF_ERROR(TakeActions(request));
    const absl::StatusOr<StepResult> step = env_[0].Step(action_, observation_);
    running_ = step.ok() && !step->terminated && !step->truncated;
    if (!step.ok()) return step.status();
    result = *step;
  }
  if (result.terminated) response->set_state(dm_env_rpc::v1::TERMINATED);
  if (result.truncated) response->set_state(dm_env_rpc::v1::INTERRUPTED);
  WriteObservations(request, result.reward, result.terminated ? 0.0f : 1.0f, response);
  return absl::OkStatus();
}

void DmEnvRpcWorld::Reset(std::optional<uint64_t> seed) {
  running_ = interrupted_ = false;
  if (seed.has_value()) seed_ = seed;
}

void DmEnvRpcWorld::Interrupt(std::optional<uint64_t> seed) {
  interrupted_ = running_;
  if (seed.has_value()) seed_ = seed;
}

}  // namespace tandem::env_server
