#include "common/clients/dm_env_rpc_connection.h"

#include <atomic>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/clients/dm_env_rpc_elements.h"
#include "common/clients/env_messages.h"
#include "common/clients/patience.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

using dm_env_rpc::v1::EnvironmentRequest;
using dm_env_rpc::v1::EnvironmentResponse;

constexpr std::chrono::seconds kDestroyTimeout(1);
constexpr std::chrono::milliseconds kDestroyPause(20);

/// Logs `message` the first time that `told` is asked.
void LogOnce(std::atomic<bool>& told, const std::string& message) {
  if (!told.exchange(true)) LogWarning(message);
}

auto Prepare(dm_env_rpc::v1::Environment::Stub& stub) {
  return [&stub](auto* context, auto* queue) { return stub.PrepareAsyncProcess(context, queue); };
}

}  // namespace

absl::StatusOr<std::shared_ptr<const DmEnvRpcServer>> DmEnvRpcServer::Create(
    const EnvironmentSource& source) {
  auto server = std::make_shared<DmEnvRpcServer>();
  server->source = source;
  server->address = std::string(absl::StripPrefix(source.server, "dm_env_rpc:"));
  server->peer = absl::StrCat("dm_env_rpc environments at ", server->address);
  TANDEM_ASSIGN_OR_RETURN(server->settings, SettingsFromJson(source.arguments));
  server->stub = dm_env_rpc::v1::Environment::NewStub(
      rpc::Connect(server->address, /*bulk=*/true, kMaxEnvMessageBytes));
  return server;
}

DmEnvRpcConnection::DmEnvRpcConnection(std::shared_ptr<const DmEnvRpcServer> server,
                                       std::shared_ptr<rpc::CallSet> calls)
    : server_(std::move(server)), stream_(std::move(calls), Prepare(*server_->stub)) {}

absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> DmEnvRpcConnection::Open(
    std::shared_ptr<const DmEnvRpcServer> server, std::shared_ptr<rpc::CallSet> calls,
    uint64_t seed, const std::string& lost) {
  const TimePoint deadline = After(server->source.reset_timeout);
  std::unique_ptr<DmEnvRpcConnection> connection(
      new DmEnvRpcConnection(std::move(server), std::move(calls)));
  if (!lost.empty()) {
    connection->request_.mutable_destroy_world()->set_world_name(lost);
    const absl::Status destroyed = connection->Exchange(deadline);
    if (!destroyed.ok() && !connection->refused_) return destroyed;
  }
  const absl::Status created = connection->CreateWorld(seed, deadline);
  // Servers may have one world, which is there already.
  const bool may_join = connection->refused_ && connection->server_->settings.empty();
  if (!created.ok() && !may_join) return created;
  const absl::Status joined = connection->Join(deadline);
  if (joined.ok()) return connection;
  const absl::Status& why = !created.ok() && connection->refused_ ? created : joined;
  const std::string world = connection->world_;
  const auto kept = connection->server_;
  connection.reset();
  if (!world.empty()) DestroyWorlds(*kept, {world});
  return why;
}

absl::Status DmEnvRpcConnection::CreateWorld(uint64_t seed, TimePoint deadline) {
  static std::atomic<bool> told{false};
  dm_env_rpc::v1::Tensor seed_tensor;
  seed_tensor.mutable_uint64s()->add_array(seed);
  auto* create = request_.mutable_create_world();
  *create->mutable_settings() = server_->settings;
  const bool own_seed = server_->settings.contains("seed");
  if (!own_seed) (*create->mutable_settings())["seed"] = seed_tensor;
  absl::Status created = Exchange(deadline);
  const bool seeded = created.ok();
  if (!created.ok() && refused_ && !own_seed) {
    create->mutable_settings()->erase("seed");
    created = Exchange(deadline);
  }
  TANDEM_RETURN_IF_ERROR(created);
  world_ = response_.create_world().world_name();
  if (seeded) return absl::OkStatus();
  auto* reset = request_.mutable_reset_world();
  reset->set_world_name(world_);
  (*reset->mutable_settings())["seed"] = seed_tensor;
  const absl::Status reset_status = Exchange(deadline);
  if (reset_status.ok()) return absl::OkStatus();
  if (!refused_) return reset_status;
  LogOnce(told, absl::StrCat(server_->peer, ": takes no seed; its episodes are not reproducible (",
                             reset_status.message(), ")"));
  return absl::OkStatus();
}

absl::Status DmEnvRpcConnection::Join(TimePoint deadline) {
  static std::atomic<bool> told{false};
  request_.mutable_join_world()->set_world_name(world_);
  TANDEM_RETURN_IF_ERROR(Exchange(deadline));
  std::vector<std::string> left_out;
  absl::StatusOr<DmEnvRpcSpecs> specs = Decode(response_.join_world().specs(), &left_out);
  if (!specs.ok()) {
    return absl::Status(specs.status().code(),
                        absl::StrCat(server_->peer, ": ", specs.status().message()));
  }
  if (!left_out.empty()) {
    LogOnce(told, absl::StrCat(server_->peer, ": observations of text are left out: ",
                               absl::StrJoin(left_out, ", ")));
  }
  specs_.emplace(*std::move(specs));
  rows_.resize(specs_->observation_ids.size());
  views_.resize(rows_.size());
  return absl::OkStatus();
}

absl::Status DmEnvRpcConnection::Begin(TimePoint deadline) {
  refused_ = false;
  return stream_.Begin(request_, &response_, deadline);
}

absl::Status DmEnvRpcConnection::End(TimePoint deadline) {
  TANDEM_RETURN_IF_ERROR(stream_.End(deadline));
  if (response_.has_error()) {
    refused_ = true;
    const int code = response_.error().code();
    const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
    return absl::Status(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                        absl::StrCat(server_->peer, ": ", response_.error().message()));
  }
  if (static_cast<int>(response_.payload_case()) == static_cast<int>(request_.payload_case())) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(
      server_->peer, ": expected the answer to request ", static_cast<int>(request_.payload_case()),
      ", got that to ", static_cast<int>(response_.payload_case())));
}

absl::Status DmEnvRpcConnection::Exchange(TimePoint deadline) {
  TANDEM_RETURN_IF_ERROR(Begin(deadline));
  return End(deadline);
}

void DmEnvRpcConnection::RequestObservations(dm_env_rpc::v1::StepRequest* step) {
  if (step->requested_observations_size() > 0) return;  // they stay the same until another Join
  for (const uint64_t id : specs_->observation_ids) step->add_requested_observations(id);
  step->add_requested_observations(specs_->reward.id);
  if (specs_->discount) step->add_requested_observations(specs_->discount->id);
}

absl::Status DmEnvRpcConnection::BeginStep(const std::vector<std::string>& columns, size_t row,
                                           TimePoint deadline) {
  auto* step = request_.mutable_step();
  RequestObservations(step);
  for (size_t leaf = 0; leaf < columns.size(); ++leaf) {
    const size_t bytes = specs_->action.row_bytes(leaf);
    Encode(specs_->action.leaves()[leaf],
           std::string_view(columns[leaf]).substr(row * bytes, bytes),
           &(*step->mutable_actions())[specs_->action_ids[leaf]]);
  }
  return Begin(deadline);
}

absl::Status DmEnvRpcConnection::BeginFirstStep(TimePoint deadline) {
  auto* step = request_.mutable_step();
  RequestObservations(step);
  step->clear_actions();
  return Begin(deadline);
}

absl::Status DmEnvRpcConnection::BeginReset(TimePoint deadline) {
  request_.mutable_reset();
  return Begin(deadline);
}

absl::Status DmEnvRpcConnection::Rejoin(TimePoint deadline) {
  TANDEM_RETURN_IF_ERROR(Leave(deadline));
  return Join(deadline);
}

absl::Status DmEnvRpcConnection::Leave(TimePoint deadline) {
  request_.mutable_leave_world();
  return Exchange(deadline);
}

absl::StatusOr<float> DmEnvRpcConnection::TakeNumber(const DmEnvRpcNumber& number) {
  const auto& observations = response_.step().observations();
  const auto found = observations.find(number.id);
  if (found != observations.end()) {
    const auto numbers = Numbers(found->second, number.type);
    if (numbers.has_value() && numbers->size() == 1) return static_cast<float>(numbers->front());
  }
  return absl::InvalidArgumentError(absl::StrCat("expected one number for \"", number.leaf.name,
                                                 "\" of the type that its spec says"));
}

absl::StatusOr<StepResult> DmEnvRpcConnection::TakeStep(std::span<float> observation) {
  const dm_env_rpc::v1::StepResponse& step = response_.step();
  for (size_t leaf = 0; leaf < rows_.size(); ++leaf) {
    const auto found = step.observations().find(specs_->observation_ids[leaf]);
    const SpaceLeaf& spec = specs_->observation.leaves()[leaf];
    if (found == step.observations().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", spec.name, "\" was requested and is not in the answer"));
    }
    rows_[leaf].clear();
    TANDEM_RETURN_IF_ERROR(
        Decode(found->second, specs_->observation_types[leaf], spec, &rows_[leaf]));
    views_[leaf] = rows_[leaf];
  }
  TANDEM_RETURN_IF_ERROR(specs_->observation.Flatten(views_, 1, observation));
  TANDEM_ASSIGN_OR_RETURN(const float reward, TakeNumber(specs_->reward));
  StepResult taken;
  taken.reward = reward;
  switch (step.state()) {
    case dm_env_rpc::v1::RUNNING:
      return taken;
    case dm_env_rpc::v1::TERMINATED:
      // A discount above 0 says that the state is worth something: the episode was cut off.
      if (specs_->discount) {
        TANDEM_ASSIGN_OR_RETURN(const float discount, TakeNumber(*specs_->discount));
        taken.truncated = discount > 0;
      }
      break;
    case dm_env_rpc::v1::INTERRUPTED:
      taken.truncated = true;
      break;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("expected a state from 1 to 3, got ", static_cast<int>(step.state())));
  }
  taken.terminated = !taken.truncated;
  return taken;
}

void DestroyWorlds(const DmEnvRpcServer& server, const std::vector<std::string>& worlds) {
  if (worlds.empty()) return;
  const auto deadline = std::chrono::steady_clock::now() + kDestroyTimeout;
  ExchangeStream<EnvironmentRequest, EnvironmentResponse> stream(
      std::make_shared<rpc::CallSet>(server.peer), Prepare(*server.stub));
  EnvironmentRequest request;
  EnvironmentResponse response;
  for (const std::string& world : worlds) {
    request.mutable_destroy_world()->set_world_name(world);
    while (stream.Exchange(request, &response, deadline).ok()) {
      // The server may not have seen yet that its agent is gone.
      const bool joined = response.error().code() == static_cast<int>(grpc::FAILED_PRECONDITION);
      if (!joined || std::chrono::steady_clock::now() + kDestroyPause > deadline) break;
      std::this_thread::sleep_for(kDestroyPause);
    }
  }
}

}  // namespace tandem::clients
