#include "common/env_server/dm_env_rpc_service.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/env_server/stream_scope.h"

namespace tandem::env_server {
namespace {

using dm_env_rpc::v1::EnvironmentRequest;
using dm_env_rpc::v1::EnvironmentResponse;
using dm_env_rpc::v1::Tensor;

template <typename Array>
std::optional<uint64_t> Whole(const Array& array) {
  if (array.size() != 1 || array[0] < 0) return std::nullopt;
  return static_cast<uint64_t>(array[0]);
}

std::optional<uint64_t> Whole(const Tensor& tensor) {
  switch (tensor.payload_case()) {
    case Tensor::kInt32S:
      return Whole(tensor.int32s().array());
    case Tensor::kInt64S:
      return Whole(tensor.int64s().array());
    case Tensor::kUint32S:
      return Whole(tensor.uint32s().array());
    case Tensor::kUint64S:
      return Whole(tensor.uint64s().array());
    default:
      return std::nullopt;
  }
}

struct Settings {
  std::optional<uint64_t> seed;
  EnvironmentOptions options;
};

/// INVALID_ARGUMENT for a setting that is none of `known`, and for one that is no whole number.
absl::StatusOr<Settings> Read(const google::protobuf::Map<std::string, Tensor>& map,
                              const std::vector<std::string>& known) {
  Settings settings;
  for (const auto& [name, tensor] : map) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat("there is no setting \"", name, "\" here"));
    }
    const std::optional<uint64_t> value = Whole(tensor);
    if (!value.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("setting \"", name, "\": expected one whole number >= 0"));
    }
    if (name == "seed") settings.seed = value;
    if (name == "max_episode_steps") {
      settings.options.max_episode_steps = static_cast<int64_t>(*value);
      if (settings.options.max_episode_steps < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("setting \"", name, "\": expected less than 2^63, got ", *value));
      }
    }
  }
  return settings;
}

absl::Status NotJoined() {
  return absl::FailedPreconditionError("this connection is not joined to a world");
}

}  // namespace

grpc::Status DmEnvRpcService::Process(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<EnvironmentResponse, EnvironmentRequest>* stream) {
  const StreamScope scope(live_, *context);
  if (!scope.live()) return {grpc::UNAVAILABLE, "the server is shutting down"};
  std::shared_ptr<World> joined;
  EnvironmentRequest request;
  EnvironmentResponse response;
  while (stream->Read(&request)) {
    response.Clear();
    const absl::Status status = Answer(joined, request, &response);
    if (!status.ok()) {
      response.Clear();
      response.mutable_error()->set_code(static_cast<int>(status.code()));
      response.mutable_error()->set_message(std::string(status.message()));
    }
    if (!stream->Write(response)) break;
  }
  Leave(joined);
  return grpc::Status::OK;
}

absl::Status DmEnvRpcService::Answer(std::shared_ptr<World>& joined,
                                     const EnvironmentRequest& request,
                                     EnvironmentResponse* response) {
  switch (request.payload_case()) {
    case EnvironmentRequest::kCreateWorld:
      return Create(request.create_world(), response->mutable_create_world());
    case EnvironmentRequest::kJoinWorld:
      return Join(joined, request.join_world(), response->mutable_join_world());
    case EnvironmentRequest::kStep: {
      if (!joined) return NotJoined();
      MutexLock lock(joined->mu);
      return joined->world.Step(request.step(), response->mutable_step());
    }
    case EnvironmentRequest::kReset: {
      if (!joined) return NotJoined();
      TANDEM_RETURN_IF_ERROR(Read(request.reset().settings(), {}).status());
      MutexLock lock(joined->mu);
      joined->world.Reset(std::nullopt);
      *response->mutable_reset()->mutable_specs() = joined->world.specs();
      return absl::OkStatus();
    }
    case EnvironmentRequest::kResetWorld:
      response->mutable_reset_world();
      return ResetWorld(joined, request.reset_world());
    case EnvironmentRequest::kLeaveWorld:
      response->mutable_leave_world();
      Leave(joined);
      return absl::OkStatus();
    case EnvironmentRequest::kDestroyWorld:
      response->mutable_destroy_world();
      return Destroy(request.destroy_world().world_name());
    default:
      return absl::UnimplementedError("this server has no extensions");
  }
}

absl::Status DmEnvRpcService::Create(const dm_env_rpc::v1::CreateWorldRequest& request,
                                     dm_env_rpc::v1::CreateWorldResponse* response) {
  TANDEM_ASSIGN_OR_RETURN(const Settings settings,
                          Read(request.settings(), {"seed", "max_episode_steps"}));
  if (host_.available() == 0) DestroyIdle();
  TANDEM_ASSIGN_OR_RETURN(HostedEnvironments env, host_.Take(1, settings.options));
  auto world = std::make_shared<World>(host_, std::move(env), settings.seed);
  MutexLock lock(mu_);
  world->idle_since = options_.clock->Monotonic();
  response->set_world_name(absl::StrCat("world-", ++created_));
  worlds_[response->world_name()] = std::move(world);
  return absl::OkStatus();
}

absl::StatusOr<DmEnvRpcService::Worlds::iterator> DmEnvRpcService::Find(const std::string& name) {
  const auto found = worlds_.find(name);
  if (found != worlds_.end()) return found;
  return absl::NotFoundError(absl::StrCat("there is no world \"", name, "\"; create it first"));
}

absl::Status DmEnvRpcService::Join(std::shared_ptr<World>& joined,
                                   const dm_env_rpc::v1::JoinWorldRequest& request,
                                   dm_env_rpc::v1::JoinWorldResponse* response) {
  if (joined) return absl::FailedPreconditionError("this connection is joined to a world already");
  TANDEM_RETURN_IF_ERROR(Read(request.settings(), {}).status());
  {
    MutexLock lock(mu_);
    TANDEM_ASSIGN_OR_RETURN(const Worlds::iterator found, Find(request.world_name()));
    if (found->second->joined) {
      return absl::FailedPreconditionError(
          absl::StrCat("world \"", request.world_name(), "\" has its one agent already"));
    }
    found->second->joined = true;
    joined = found->second;
  }
  MutexLock lock(joined->mu);
  joined->world.Reset(std::nullopt);
  *response->mutable_specs() = joined->world.specs();
  return absl::OkStatus();
}

absl::Status DmEnvRpcService::ResetWorld(const std::shared_ptr<World>& joined,
                                         const dm_env_rpc::v1::ResetWorldRequest& request) {
  TANDEM_ASSIGN_OR_RETURN(const Settings settings, Read(request.settings(), {"seed"}));
  std::shared_ptr<World> world;
  {
    MutexLock lock(mu_);
    TANDEM_ASSIGN_OR_RETURN(const Worlds::iterator found, Find(request.world_name()));
    world = found->second;
  }
  MutexLock lock(world->mu);
  if (world == joined) {
    world->world.Reset(settings.seed);
  } else {
    world->world.Interrupt(settings.seed);
  }
  return absl::OkStatus();
}

absl::Status DmEnvRpcService::Destroy(const std::string& name) {
  std::shared_ptr<World> destroyed;  // without the lock
  MutexLock lock(mu_);
  TANDEM_ASSIGN_OR_RETURN(const Worlds::iterator found, Find(name));
  if (found->second->joined) {
    return absl::FailedPreconditionError(absl::StrCat("world \"", name, "\" has an agent"));
  }
  destroyed = std::move(found->second);
  worlds_.erase(found);
  return absl::OkStatus();
}

void DmEnvRpcService::Leave(std::shared_ptr<World>& joined) {
  if (!joined) return;
  MutexLock lock(mu_);
  joined->joined = false;
  joined->idle_since = options_.clock->Monotonic();
  joined = nullptr;
}

void DmEnvRpcService::DestroyIdle() {
  const absl::Duration now = options_.clock->Monotonic();
  std::vector<std::shared_ptr<World>> destroyed;  // without the lock
  MutexLock lock(mu_);
  for (auto it = worlds_.begin(); it != worlds_.end();) {
    const bool idle = !it->second->joined && now - it->second->idle_since > options_.idle_timeout;
    if (idle) destroyed.push_back(it->second);
    it = idle ? worlds_.erase(it) : std::next(it);
  }
}

}  // namespace tandem::env_server
