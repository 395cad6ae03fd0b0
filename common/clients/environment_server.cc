#include "common/clients/environment_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/trouble.h"
#include "common/clients/patience.h"
#include "common/rpc/channel.h"

namespace tandem::clients {
namespace {

/// How long the end of a process may lag behind that of its connections.
constexpr absl::Duration kDeathLag = absl::Milliseconds(500);
constexpr size_t kMaxClientName = 128;
/// Topic of the trouble of a server that is awaited.
constexpr char kWaiting[] = "environment server";
/// Of all arrays of a batch of environments.
constexpr int64_t kMaxFlatBytes = int64_t{1} << 30;
/// Servers keep the sessions of a client that is gone for a minute or so.
constexpr absl::Duration kExpiry = absl::Seconds(90);

/// Bytes of the largest response of a session.
size_t LargestResponse(const ServedEnvironment& served, int num_envs) {
  size_t row = sizeof(float) + 3;
  for (size_t i = 0; i < served.observation.leaves().size(); ++i) {
    row += 2 * served.observation.row_bytes(i);
  }
  return row * static_cast<size_t>(num_envs);
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

/// Only this side says DATA_LOSS: of an answer that cannot be used.
FaultKind KindOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return FaultKind::kHung;
    case absl::StatusCode::kDataLoss:
      return FaultKind::kWrongShape;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnknown:
      return FaultKind::kException;
    default:
      return FaultKind::kVanished;
  }
}

}  // namespace

absl::Duration BatchTime(const ServedEnvironment& served, int num_envs, absl::Duration each) {
  return each * ((num_envs + served.workers - 1) / served.workers);
}

absl::Duration AnswerMargin(const ServedEnvironment& served) {
  return served.isolates ? absl::Seconds(3) : absl::Seconds(1);
}

absl::Status CheckRoom(const ServedEnvironment& served, int num_envs) {
  const size_t largest = LargestResponse(served, num_envs);
  if (largest > static_cast<size_t>(kMaxEnvMessageBytes) / 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a step of ", num_envs, " environments of ", served.spec.name, " takes ", largest,
        " bytes, expected at most ", kMaxEnvMessageBytes / 2, ": take fewer in one batch"));
  }
  // The spaces are flat here: a byte that chooses among many becomes many numbers.
  const int64_t flat = (3 * served.spec.observation.dim() + served.spec.action.dim()) *
                       int64_t{num_envs} * static_cast<int64_t>(sizeof(float));
  if (flat <= kMaxFlatBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      num_envs, " environments of ", served.spec.name, " with ", served.spec.observation.dim(),
      " observations and ", served.spec.action.dim(), " actions take ", flat,
      " bytes, expected at most ", kMaxFlatBytes, ": take fewer in one batch"));
}

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
  return served;
}

absl::StatusOr<ServedEnvironment> EnvironmentServer::AwaitDescription(
    const std::shared_ptr<rpc::CallSet>& calls) {
  const absl::Duration deadline = Clock::Real()->Monotonic() + source_.reset_timeout;
  const auto left = [&] { return deadline - Clock::Real()->Monotonic(); };
  rpc::PeerLog log("environments", address_);
  rpc::Backoff backoff;
  TroubleScope trouble(kWaiting);
  trouble.Set(absl::StrCat("waiting for ", peer_));
  for (;;) {
    absl::StatusOr<uint64_t> ready = 0;
    if (process_) {
      ready = process_->AwaitListening(left(), [&] { return calls->stopped(); });
    }
    if (absl::IsCancelled(ready.status())) return calls->Cancelled();
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
    trouble.Set(absl::StrCat("waiting for ", peer_, ", where no server answers"));
    if (!SleepUnlessStopped(*calls, pause)) return calls->Cancelled();
  }
}

absl::StatusOr<OpenedSession> EnvironmentServer::OpenSession(
    const std::shared_ptr<rpc::CallSet>& calls, const SessionOrder& order) {
  uint64_t ready = 0;
  if (process_) {
    TANDEM_ASSIGN_OR_RETURN(
        ready, process_->AwaitListening(source_.reset_timeout, [&] { return calls->stopped(); }));
  }
  if (!order.lost.empty()) CloseSession(order.lost);
  absl::StatusOr<OpenedSession> opened = TryOpen(calls, order, ready);
  if (process_ && absl::IsDeadlineExceeded(opened.status())) process_->Kill(ready);
  return opened;
}

absl::StatusOr<OpenedSession> EnvironmentServer::OpenFirstSession(
    const std::shared_ptr<rpc::CallSet>& calls, const SessionOrder& order) {
  const int64_t capacity = order.expected.capacity;
  if (held_ + order.num_envs > capacity) {
    return absl::ResourceExhaustedError(absl::StrCat(peer_, ": expected at most ", capacity,
                                                     " environments, of which ", capacity - held_,
                                                     " are free, got ", order.num_envs));
  }
  const auto deadline = After(std::max(source_.reset_timeout, kExpiry));
  TroubleScope trouble(kWaiting);
  rpc::PeerLog log("environments", address_);
  rpc::Backoff backoff;
  for (;;) {
    absl::StatusOr<OpenedSession> opened = OpenSession(calls, order);
    if (opened.ok()) log.Connected();
    if (!absl::IsUnavailable(opened.status()) && !absl::IsResourceExhausted(opened.status())) {
      return opened;
    }
    const absl::Duration pause = backoff.Next();
    if (After(pause) > deadline) return opened;
    log.Failed(opened.status());
    trouble.Set(absl::StrCat("waiting for ", peer_, ": ", std::string(opened.status().message())));
    if (!SleepUnlessStopped(*calls, pause)) return calls->Cancelled();
  }
}

absl::StatusOr<OpenedSession> EnvironmentServer::TryOpen(const std::shared_ptr<rpc::CallSet>& calls,
                                                         const SessionOrder& order,
                                                         uint64_t incarnation) {
  TANDEM_ASSIGN_OR_RETURN(const ServedEnvironment served,
                          Describe(calls, source_.reset_timeout + AnswerMargin(order.expected)));
  TANDEM_RETURN_IF_ERROR(CheckSame(order.expected, served));
  TANDEM_RETURN_IF_ERROR(CheckRoom(served, order.num_envs));
  env::v1::OpenRequest request;
  request.set_protocol_version(kEnvProtocolVersion);
  request.set_num_envs(order.num_envs);
  request.set_arguments(source_.arguments);
  request.set_max_episode_steps(order.max_episode_steps);
  request.set_step_timeout_ms(
      std::max<int64_t>(1, absl::ToInt64Milliseconds(source_.step_timeout)));
  request.set_reset_timeout_ms(
      std::max<int64_t>(1, absl::ToInt64Milliseconds(source_.reset_timeout)));
  request.set_client(source_.client.substr(0, kMaxClientName));
  const absl::Duration begin = Clock::Real()->Monotonic();
  OpenedSession opened;
  opened.incarnation = incarnation;
  TANDEM_ASSIGN_OR_RETURN(
      opened.session,
      EnvironmentSession::Open(*stub_, calls, request, served.frames ? FramesPath(address_) : "",
                               order.timeout));
  env::v1::StepRequest reset;
  FillReset(order.num_envs, order.seed, &reset);
  const absl::Status status = opened.session->Exchange(reset, &opened.first, order.timeout,
                                                       [&] { return Gone(incarnation); });
  if (!status.ok()) {
    if (!Gone(incarnation)) CloseSession(opened.session->id());
    return status;
  }
  opened.took = Clock::Real()->Monotonic() - begin;
  return opened;
}

bool EnvironmentServer::Gone(uint64_t incarnation) const {
  return process_ != nullptr && process_->Dead(incarnation);
}

EnvironmentFault EnvironmentServer::Explain(const absl::Status& status, uint64_t incarnation) {
  EnvironmentFault fault;
  fault.kind = KindOf(status);
  fault.message = Printable(std::string(status.message()));
  if (process_ == nullptr) return fault;
  const bool vanished = fault.kind == FaultKind::kVanished;
  if ((vanished && process_->AwaitDeath(incarnation, kDeathLag)) ||
      (fault.kind == FaultKind::kException && process_->Dead(incarnation))) {
    fault.kind = FaultKind::kCrashed;
  }
  if (fault.kind == FaultKind::kHung) process_->Kill(incarnation);
  if (fault.kind == FaultKind::kWrongShape) return fault;
  absl::StrAppend(&fault.message, "; ", process_->LastWords());
  return fault;
}

}  // namespace tandem::clients
