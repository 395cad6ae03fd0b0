#include "common/env_server/vector_env_service.h"

#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"
#include "common/env_server/stream_scope.h"
#include "common/rpc/status.h"

namespace tandem::env_server {
namespace {

/// 128 random bits.
std::string NewSessionId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&id, "%08x", random());
  return id;
}

absl::Status CheckVersion(uint32_t version) {
  if (version >= 1) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat("expected version 1 to ",
                                               clients::kEnvProtocolVersion,
                                               " of the environment protocol, got ", version));
}

absl::Status CheckOpen(const env::v1::OpenRequest& request) {
  TANDEM_RETURN_IF_ERROR(CheckVersion(request.protocol_version()));
  const auto refuse = [](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(parts...));
  };
  if (request.protocol_version() > clients::kEnvProtocolVersion) {
    return refuse("expected the version that Describe answered, got ", request.protocol_version());
  }
  if (request.num_envs() < 1 || request.num_envs() > clients::kMaxEnvs) {
    return refuse("num_envs: expected 1 to ", clients::kMaxEnvs, ", got ", request.num_envs());
  }
  if (!request.arguments().empty() && request.arguments() != "{}") {
    return refuse("arguments: this environment takes none, got ", request.arguments());
  }
  if (request.max_episode_steps() < 0) {
    return refuse("max_episode_steps: expected >= 0, got ", request.max_episode_steps());
  }
  if (request.step_timeout_ms() < 1 || request.reset_timeout_ms() < 1) {
    return refuse("expected timeouts of at least 1 ms, got ", request.step_timeout_ms(),
                  " for a step and ", request.reset_timeout_ms(), " for a reset");
  }
  return absl::OkStatus();
}

}  // namespace

grpc::Status VectorEnvService::Describe(grpc::ServerContext*,
                                        const env::v1::DescribeRequest* request,
                                        env::v1::DescribeResponse* response) {
  const absl::Status known = CheckVersion(request->protocol_version());
  if (!known.ok()) return rpc::ToGrpc(known);
  CloseIdle();
  response->set_protocol_version(
      std::min(request->protocol_version(), clients::kEnvProtocolVersion));
  response->set_name(host_.spec().name);
  for (const SpaceLeaf& leaf : host_.observation().leaves()) {
    clients::Encode(leaf, response->add_observation());
  }
  for (const SpaceLeaf& leaf : host_.action().leaves()) {
    clients::Encode(leaf, response->add_action());
  }
  response->set_max_episode_steps(host_.spec().max_episode_steps);
  response->set_capacity(host_.capacity());
  response->set_available(host_.available());
  response->add_capabilities("seed");
  response->set_server(options_.server);
  return grpc::Status::OK;
}

grpc::Status VectorEnvService::Open(grpc::ServerContext*, const env::v1::OpenRequest* request,
                                    env::v1::OpenResponse* response) {
  CloseIdle();
  return rpc::ToGrpc(OpenSession(*request, response));
}

absl::Status VectorEnvService::OpenSession(const env::v1::OpenRequest& request,
                                           env::v1::OpenResponse* response) {
  TANDEM_RETURN_IF_ERROR(CheckOpen(request));
  TANDEM_ASSIGN_OR_RETURN(
      HostedEnvironments envs,
      host_.Take(request.num_envs(), {.max_episode_steps = request.max_episode_steps()}));
  const auto session = std::make_shared<Session>(
      host_, std::move(envs),
      EnvironmentBatch::Timeouts{absl::Milliseconds(request.step_timeout_ms()),
                                 absl::Milliseconds(request.reset_timeout_ms())});
  session->idle_since = options_.clock->Monotonic();
  response->set_session(NewSessionId());
  response->set_idle_timeout_ms(absl::ToInt64Milliseconds(options_.idle_timeout));
  LogInfo(absl::StrCat(request.num_envs(), " environments for ",
                       request.client().empty() ? "a client" : request.client()));
  MutexLock lock(mu_);
  sessions_[response->session()] = session;
  return absl::OkStatus();
}

void VectorEnvService::CloseIdle() {
  const absl::Duration now = options_.clock->Monotonic();
  std::vector<std::shared_ptr<Session>> closed;  // destroyed without the lock
  MutexLock lock(mu_);
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    Session& session = *it->second;
    const bool idle = session.streams == 0 && now - session.idle_since > options_.idle_timeout;
    if (idle) closed.push_back(it->second);
    it = idle ? sessions_.erase(it) : std::next(it);
  }
}

absl::StatusOr<std::shared_ptr<VectorEnvService::Session>> VectorEnvService::Attach(
    const std::string& id) {
  CloseIdle();
  MutexLock lock(mu_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) {
    return absl::NotFoundError("no such session: it was closed, or nobody used it for too long");
  }
  ++found->second->streams;
  return found->second;
}

void VectorEnvService::Detach(Session& session) {
  MutexLock lock(mu_);
  --session.streams;
  session.idle_since = options_.clock->Monotonic();
}

grpc::Status VectorEnvService::Step(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<env::v1::StepResponse, env::v1::StepRequest>* stream) {
  const StreamScope scope(live_, *context);
  if (!scope.live()) return {grpc::UNAVAILABLE, "the server is shutting down"};
  const uint64_t number = ++streams_;
  std::string id;
  std::shared_ptr<Session> session;
  env::v1::StepRequest request;
  absl::Status status;
  while (status.ok() && stream->Read(&request)) {
    const bool other = !session || id != request.session();
    if (other) {
      if (session) Detach(*session);
      session = nullptr;
      auto attached = Attach(request.session());
      status = attached.status();
      if (!status.ok()) break;
      session = *std::move(attached);
      id = request.session();
    }
    const auto response = Answer(*session, other, number, request);
    status = response.status();
    if (response.ok() && !stream->Write(**response)) break;
  }
  if (session) Detach(*session);
  return rpc::ToGrpc(status);
}

absl::StatusOr<std::shared_ptr<const env::v1::StepResponse>> VectorEnvService::Answer(
    Session& session, bool takes_over, uint64_t stream, const env::v1::StepRequest& request) {
  MutexLock lock(session.mu);
  if (takes_over) session.owner = stream;
  if (session.owner != stream) {
    return absl::AbortedError("another stream has taken the session over");
  }
  if (request.step_id() == session.step_id && session.last != nullptr) return session.last;
  if (request.step_id() != session.step_id + 1) {
    return absl::OutOfRangeError(absl::StrCat("step_id: expected ", session.step_id, " or ",
                                              session.step_id + 1, ", got ", request.step_id()));
  }
  auto response = std::make_shared<env::v1::StepResponse>();
  response->set_step_id(request.step_id());
  TANDEM_RETURN_IF_ERROR(session.batch.Answer(request, response.get()));
  session.step_id = request.step_id();
  session.last = response;
  return response;
}

grpc::Status VectorEnvService::Close(grpc::ServerContext*, const env::v1::CloseRequest* request,
                                     env::v1::CloseResponse*) {
  std::shared_ptr<Session> closed;  // destroyed without the lock
  MutexLock lock(mu_);
  const auto found = sessions_.find(request->session());
  if (found == sessions_.end()) return grpc::Status::OK;
  closed = std::move(found->second);
  sessions_.erase(found);
  return grpc::Status::OK;
}

}  // namespace tandem::env_server
