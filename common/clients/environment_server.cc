#include "common/clients/environment_server.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

/// How long the end of a process may lag behind that of its connections.
constexpr absl::Duration kDeathLag = absl::Milliseconds(500);
constexpr size_t kMaxClientName = 128;

/// Bytes of the largest response of a session.
size_t LargestResponse(const ServedEnvironment& served, int num_envs) {
  size_t row = sizeof(float) + 3;
  for (size_t i = 0; i < served.observation.leaves().size(); ++i) {
    row += 2 * served.observation.row_bytes(i);
  }
  return row * static_cast<size_t>(num_envs);
}

absl::Status CheckRoom(const ServedEnvironment& served, int num_envs) {
  const size_t largest = LargestResponse(served, num_envs);
  if (largest <= static_cast<size_t>(kMaxEnvMessageBytes) / 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a step of ", num_envs, " environments of ", served.spec.name, " takes ", largest,
      " bytes, expected at most ", kMaxEnvMessageBytes / 2, ": take fewer in one batch"));
}

absl::Status CheckSame(const ServedEnvironment& expected, const ServedEnvironment& served) {
  if (served.spec.name == expected.spec.name &&
      served.observation.leaves() == expected.observation.leaves() &&
      served.action.leaves() == expected.action.leaves()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the server came back with other environments: expected ", expected.spec.name, " with ",
      expected.spec.observation.dim(), " observations and ", expected.spec.action.dim(),
      " actions, got ", served.spec.name, " with ", served.spec.observation.dim(), " and ",
      served.spec.action.dim(), ", or leaves of other shapes, types or bounds"));
}

}  // namespace

void FillReset(int num_envs, std::optional<uint64_t> seed, env::v1::StepRequest* request) {
  const size_t n = static_cast<size_t>(num_envs);
  request->clear_actions();
  request->clear_restart();
  request->mutable_reset()->assign(n, '\1');
  request->clear_seeds();
  for (int i = 0; seed.has_value() && i < num_envs; ++i) {
    const uint64_t own = EnvironmentSeed(*seed, i);
    request->mutable_seeds()->append(reinterpret_cast<const char*>(&own), sizeof(own));
  }
}

EnvironmentServer::EnvironmentServer(const EnvironmentSource& source, const std::string& address,
                                     std::unique_ptr<EnvironmentProcess> process)
    : source_(source),
      address_(address),
      peer_(absl::StrCat("environments at ", address)),
      process_(std::move(process)),
      stub_(env::v1::VectorEnvService::NewStub(
          rpc::Connect(address, /*bulk=*/true, kMaxEnvMessageBytes))) {}

absl::StatusOr<ServedEnvironment> EnvironmentServer::Describe(
    const std::shared_ptr<rpc::CallSet>& calls, absl::Duration timeout) {
  env::v1::DescribeRequest request;
  request.set_protocol_version(kEnvProtocolVersion);
  request.set_client(source_.client.substr(0, kMaxClientName));
  env::v1::DescribeResponse response;
  rpc::CallScope call(calls);
  TANDEM_RETURN_IF_ERROR(call.started());
  rpc::SetDeadline(call.context(), timeout);
  TANDEM_RETURN_IF_ERROR(calls->Explain(stub_->Describe(&call.context(), request, &response)));
  absl::StatusOr<ServedEnvironment> served = Decode(response);
  if (!served.ok()) {
    return absl::Status(served.status().code(),
                        absl::StrCat(peer_, ": ", served.status().message()));
  }
  if (source_.max_episode_steps > 0) served->spec.max_episode_steps = source_.max_episode_steps;
  return served;
}

absl::StatusOr<ServedEnvironment> EnvironmentServer::AwaitDescription(
    const std::shared_ptr<rpc::CallSet>& calls) {
  const absl::Duration deadline = Clock::Real()->Monotonic() + source_.reset_timeout;
  const auto left = [&] { return deadline - Clock::Real()->Monotonic(); };
  rpc::PeerLog log("environments", address_);
  rpc::Backoff backoff;
  for (;;) {
    absl::StatusOr<uint64_t> ready = 0;
    if (process_) {
      ready = process_->AwaitListening(left(), [&] { return calls->stopped(); });
    }
    if (!ready.ok()) {
      return absl::UnavailableError(absl::StrCat(peer_, ": ", ready.status().message()));
    }
    absl::StatusOr<ServedEnvironment> served = Describe(calls, left());
    if (served.ok()) {
      log.Connected();
      return served;
    }
    const absl::Duration pause = backoff.Next();
    const bool waiting = absl::IsUnavailable(served.status());
    if (!waiting && !absl::IsDeadlineExceeded(served.status())) return served.status();
    if (!waiting || pause > left()) {
      return absl::UnavailableError(absl::StrCat(
          served.status().message(), "; waited ", absl::FormatDuration(source_.reset_timeout),
          process_ ? absl::StrCat("; ", process_->LastWords()) : ""));
    }
    log.Failed(served.status());
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(pause));
  }
}

absl::StatusOr<OpenedSession> EnvironmentServer::OpenSession(
    const std::shared_ptr<rpc::CallSet>& calls, const ServedEnvironment& expected, int num_envs,
    uint64_t seed, const std::string& lost) {
  absl::StatusOr<uint64_t> ready = 0;
  if (process_) {
    ready = process_->AwaitListening(source_.reset_timeout, [&] { return calls->stopped(); });
  }
  if (ready.ok() && !lost.empty()) CloseSession(lost);
  absl::StatusOr<OpenedSession> opened = ready.ok()
                                             ? TryOpen(calls, expected, num_envs, seed, *ready)
                                             : absl::StatusOr<OpenedSession>(ready.status());
  if (process_ && absl::IsDeadlineExceeded(opened.status())) {
    process_->Kill(process_->incarnation());
  }
  return opened;
}

absl::StatusOr<OpenedSession> EnvironmentServer::TryOpen(const std::shared_ptr<rpc::CallSet>& calls,
                                                         const ServedEnvironment& expected,
                                                         int num_envs, uint64_t seed,
                                                         uint64_t incarnation) {
  const absl::Duration timeout = source_.reset_timeout + absl::Seconds(1);
  TANDEM_ASSIGN_OR_RETURN(const ServedEnvironment served, Describe(calls, timeout));
  TANDEM_RETURN_IF_ERROR(CheckSame(expected, served));
  TANDEM_RETURN_IF_ERROR(CheckRoom(served, num_envs));
  env::v1::OpenRequest request;
  request.set_protocol_version(kEnvProtocolVersion);
  request.set_num_envs(num_envs);
  request.set_arguments(source_.arguments);
  request.set_max_episode_steps(source_.max_episode_steps);
  request.set_step_timeout_ms(
      std::max<int64_t>(1, absl::ToInt64Milliseconds(source_.step_timeout)));
  request.set_reset_timeout_ms(
      std::max<int64_t>(1, absl::ToInt64Milliseconds(source_.reset_timeout)));
  request.set_client(source_.client.substr(0, kMaxClientName));
  OpenedSession opened;
  opened.incarnation = incarnation;
  TANDEM_ASSIGN_OR_RETURN(opened.session,
                          EnvironmentSession::Open(*stub_, calls, request, timeout));
  env::v1::StepRequest reset;
  FillReset(num_envs, seed, &reset);
  const absl::Status status =
      opened.session->Exchange(reset, &opened.first, timeout, [&] { return Gone(incarnation); });
  if (!status.ok()) {
    if (!Gone(incarnation)) CloseSession(opened.session->id());
    return status;
  }
  return opened;
}

bool EnvironmentServer::Gone(uint64_t incarnation) const {
  return process_ != nullptr && process_->Dead(incarnation);
}

EnvironmentFault EnvironmentServer::Explain(const absl::Status& status, uint64_t incarnation) {
  EnvironmentFault fault;
  fault.kind = absl::IsDeadlineExceeded(status) ? FaultKind::kHung
               : absl::IsInvalidArgument(status) || absl::IsInternal(status)
                   ? FaultKind::kWrongShape
                   : FaultKind::kVanished;
  fault.message = std::string(status.message());
  if (process_ == nullptr) return fault;
  if (fault.kind == FaultKind::kVanished && process_->AwaitDeath(incarnation, kDeathLag)) {
    fault.kind = FaultKind::kCrashed;
  }
  if (fault.kind == FaultKind::kHung) process_->Kill(incarnation);
  if (fault.kind == FaultKind::kWrongShape) return fault;
  absl::StrAppend(&fault.message, "; ", process_->LastWords());
  return fault;
}

}  // namespace tandem::clients
