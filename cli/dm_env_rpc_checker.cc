#include "cli/dm_env_rpc_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/env_checks.h"
#include "common/base/status_macros.h"

namespace tandem::cli {
namespace {

constexpr std::chrono::seconds kTimeout(10);
constexpr int kMaxStepsToRun = 100;

}  // namespace

bool IsNumber(const dm_env_rpc::v1::TensorSpec& spec) {
  const auto type = spec.dtype();
  return type != dm_env_rpc::v1::STRING && type != dm_env_rpc::v1::PROTO &&
         type != dm_env_rpc::v1::BOOL;
}

DmEnvRpcChecker::DmEnvRpcChecker(dm_env_rpc::v1::Environment::Stub& stub,
                                 clients::DmEnvRpcSettings settings)
    : settings_(std::move(settings)),
      stream_(std::make_shared<rpc::CallSet>("the server"), [&stub](auto* context, auto* queue) {
        return stub.PrepareAsyncProcess(context, queue);
      }) {}

DmEnvRpcChecker::~DmEnvRpcChecker() {
  Leave().IgnoreError();
  for (const std::string& world : std::vector<std::string>(created_)) Destroy(world).IgnoreError();
}

absl::StatusOr<DmEnvRpcChecker::Response> DmEnvRpcChecker::Send(const Request& request) {
  Response response;
  TANDEM_RETURN_IF_ERROR(
      stream_.Exchange(request, &response, std::chrono::steady_clock::now() + kTimeout));
  if (response.has_error()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the server refused: ", response.error().message()));
  }
  if (static_cast<int>(response.payload_case()) == static_cast<int>(request.payload_case())) {
    return response;
  }
  return absl::InternalError(
      absl::StrCat("expected the answer to request ", static_cast<int>(request.payload_case()),
                   ", got that to ", static_cast<int>(response.payload_case())));
}

absl::Status DmEnvRpcChecker::ExpectRefused(const Request& request, const std::string& what) {
  const absl::StatusOr<Response> response = Send(request);
  if (response.ok()) return Unexpected(what, " to be refused, got no error");
  if (!absl::IsFailedPrecondition(response.status())) return response.status();
  refusal_ = std::string(response.status().message());
  return absl::OkStatus();
}

absl::StatusOr<std::string> DmEnvRpcChecker::Create(const clients::DmEnvRpcSettings& settings) {
  Request request;
  *request.mutable_create_world()->mutable_settings() = settings;
  TANDEM_ASSIGN_OR_RETURN(const Response response, Send(request));
  created_.push_back(response.create_world().world_name());
  return created_.back();
}

absl::Status DmEnvRpcChecker::Destroy(const std::string& world) {
  created_.erase(std::remove(created_.begin(), created_.end(), world), created_.end());
  Request request;
  request.mutable_destroy_world()->set_world_name(world);
  return Send(request).status();
}

absl::Status DmEnvRpcChecker::Join() {
  if (created_.empty()) {
    const absl::StatusOr<std::string> created = Create();
    // Servers may have one world, which is there already.
    if (!created.ok() && !absl::IsFailedPrecondition(created.status())) return created.status();
    world_ = created.value_or("");
  }
  Request request;
  request.mutable_join_world()->set_world_name(world_);
  TANDEM_ASSIGN_OR_RETURN(const Response response, Send(request));
  specs_ = response.join_world().specs();
  running_ = false;
  return absl::OkStatus();
}

absl::Status DmEnvRpcChecker::Leave() {
  Request request;
  request.mutable_leave_world();
  return Send(request).status();
}

absl::StatusOr<DmEnvRpcChecker::Specs> DmEnvRpcChecker::Reset() {
  Request request;
  request.mutable_reset();
  TANDEM_ASSIGN_OR_RETURN(const Response response, Send(request));
  running_ = false;
  return response.reset().specs();
}

absl::Status DmEnvRpcChecker::ResetWorld(const std::string& world) {
  Request request;
  request.mutable_reset_world()->set_world_name(world);
  running_ = false;
  return Send(request).status();
}

absl::StatusOr<dm_env_rpc::v1::StepResponse> DmEnvRpcChecker::Step(
    const Actions& actions, const std::vector<uint64_t>& observations) {
  Request request;
  auto* step = request.mutable_step();
  for (const auto& [id, tensor] : actions) (*step->mutable_actions())[id] = tensor;
  for (const uint64_t id : observations) step->add_requested_observations(id);
  TANDEM_ASSIGN_OR_RETURN(const Response response, Send(request));
  running_ = response.step().state() == dm_env_rpc::v1::RUNNING;
  return response.step();
}

absl::Status DmEnvRpcChecker::StepUntilRunning() {
  for (int i = 0; i < kMaxStepsToRun && !running_; ++i) {
    TANDEM_RETURN_IF_ERROR(Step().status());
  }
  return running_ ? absl::OkStatus() : Unexpected("an episode to go on, got none that does");
}

absl::Status DmEnvRpcChecker::ExpectActionRefused(uint64_t id, const dm_env_rpc::v1::Tensor& tensor,
                                                  const std::string& what) {
  TANDEM_RETURN_IF_ERROR(StepUntilRunning());
  Request request;
  (*request.mutable_step()->mutable_actions())[id] = tensor;
  return ExpectRefused(request, what);
}

std::vector<uint64_t> DmEnvRpcChecker::ObservationIds() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, spec] : specs_.observations()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace tandem::cli
