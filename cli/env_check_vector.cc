#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "cli/env_checks.h"
#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"
#include "common/clients/environment_server.h"
#include "common/clients/environment_session.h"
#include "common/clients/patience.h"
#include "common/rpc/channel.h"

namespace tandem::cli {
namespace {

using clients::ServedEnvironment;
using clients::StepStream;
using env::v1::StepRequest;
using env::v1::StepResponse;

constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr int kEnvs = 2;  // or 1, where there is one only
constexpr uint64_t kSeed = 7;
constexpr int kSteps = 20;

absl::Status ExpectCode(const absl::Status& got, absl::StatusCode expected,
                        const std::string& what) {
  if (got.code() == expected) return absl::OkStatus();
  return Unexpected(absl::StatusCodeToString(expected), " for ", what, ", got ", got.ToString());
}

/// A server of tandem.env.v1 under examination. Every wait ends after a minute.
class VectorChecker {
 public:
  VectorChecker(const std::string& address, const std::string& arguments)
      : address_(address),
        arguments_(arguments),
        calls_(std::make_shared<rpc::CallSet>("the server")),
        stub_(env::v1::VectorEnvService::NewStub(
            rpc::Connect(address, /*bulk=*/true, clients::kMaxEnvMessageBytes))) {}
  ~VectorChecker() { Close(); }

  absl::Status Describes();
  absl::Status SpeaksTheLowerVersion();
  absl::Status RefusesVersion0();
  absl::Status RefusesTooMany();
  absl::Status RefusesUnknownSession();
  absl::Status ResetsAll();
  absl::Status StepsConform();
  absl::Status AnswersAgain();
  absl::Status RefusesOtherSteps();
  absl::Status RefusesWrongColumns();
  absl::Status ResetsSomeOnly();
  absl::Status SeedsRepeat();
  absl::Status AnswersInFrames();
  absl::Status GivesBack();

  NamedCheck With(const char* name, absl::Status (VectorChecker::*check)()) {
    return {name, [this, check] {
              return served_ ? (this->*check)() : Skip("the description makes no sense");
            }};
  }

 private:
  absl::Status Ask(uint32_t version, env::v1::DescribeResponse* response);
  absl::Status Open(int64_t count);
  void Close();
  /// A session whose environments were reset, on a new stream.
  absl::Status Begin();
  /// One request on the present stream, which is opened anew after an error.
  absl::Status Exchange(StepRequest request, uint64_t step_id, StepResponse* response);
  absl::Status Next(const StepRequest& request, StepResponse* response) {
    return Exchange(request, step_id_ + 1, response);
  }
  StepRequest Reset() const;
  StepRequest Step() const;
  absl::Status Conforms(const StepResponse& response, bool reset) const {
    return clients::CheckResponse(response, served_->observation, envs_, reset);
  }

  const std::string address_;
  const std::string arguments_;
  int envs_ = kEnvs;  // of a session
  const std::shared_ptr<rpc::CallSet> calls_;
  const std::unique_ptr<env::v1::VectorEnvService::Stub> stub_;
  std::optional<ServedEnvironment> served_;
  std::string session_;
  std::unique_ptr<StepStream> stream_;
  uint64_t step_id_ = 0;
};

absl::Status VectorChecker::Ask(uint32_t version, env::v1::DescribeResponse* response) {
  rpc::CallScope call(calls_);
  rpc::SetDeadline(call.context(), kTimeout);
  env::v1::DescribeRequest request;
  request.set_protocol_version(version);
  request.set_client("tandem env check");
  return calls_->Explain(stub_->Describe(&call.context(), request, response));
}

absl::Status VectorChecker::Open(int64_t count) {
  Close();
  rpc::CallScope call(calls_);
  rpc::SetDeadline(call.context(), kTimeout);
  env::v1::OpenRequest request;
  request.set_protocol_version(clients::kEnvProtocolVersion);
  request.set_num_envs(count);
  request.set_arguments(arguments_);
  request.set_step_timeout_ms(absl::ToInt64Milliseconds(kTimeout));
  request.set_reset_timeout_ms(absl::ToInt64Milliseconds(kTimeout));
  request.set_client("tandem env check");
  env::v1::OpenResponse response;
  TANDEM_RETURN_IF_ERROR(calls_->Explain(stub_->Open(&call.context(), request, &response)));
  session_ = response.session();
  step_id_ = 0;
  return absl::OkStatus();
}

void VectorChecker::Close() {
  stream_.reset();
  if (!session_.empty()) clients::EnvironmentSession::Close(*stub_, session_);
  session_.clear();
}

absl::Status VectorChecker::Exchange(StepRequest request, uint64_t step_id,
                                     StepResponse* response) {
  if (!stream_) {
    stream_ = std::make_unique<StepStream>(calls_, [this](auto* context, auto* queue) {
      return stub_->PrepareAsyncStep(context, queue);
    });
  }
  request.set_step_id(step_id);
  if (request.session().empty()) request.set_session(session_);
  const absl::Status status = stream_->Exchange(request, response, clients::After(kTimeout));
  if (!status.ok()) {
    stream_.reset();
    return status;
  }
  if (response->step_id() != step_id) {
    return Unexpected("the answer to step ", step_id, ", got that to ", response->step_id());
  }
  step_id_ = step_id;
  return absl::OkStatus();
}

StepRequest VectorChecker::Reset() const {
  StepRequest request;
  clients::FillReset(envs_, kSeed, &request);
  return request;
}

StepRequest VectorChecker::Step() const {
  const std::vector<float> middle(static_cast<size_t>(envs_) * served_->spec.action.low.size(),
                                  0.0f);
  std::vector<std::string> columns;
  served_->action.Unflatten(middle, envs_, columns).IgnoreError();  // sizes fit
  StepRequest request;
  for (std::string& column : columns) request.add_actions(std::move(column));
  return request;
}

absl::Status VectorChecker::Begin() {
  TANDEM_RETURN_IF_ERROR(Open(envs_));
  StepResponse response;
  return Next(Reset(), &response);
}

absl::Status VectorChecker::Describes() {
  env::v1::DescribeResponse response;
  TANDEM_RETURN_IF_ERROR(Ask(clients::kEnvProtocolVersion, &response));
  TANDEM_ASSIGN_OR_RETURN(served_, clients::Decode(response));
  if (served_->available < 1) {
    return Unexpected("a free environment for the other checks, got ", served_->available);
  }
  envs_ = static_cast<int>(std::min<int64_t>(kEnvs, served_->available));
  return absl::OkStatus();
}

absl::Status VectorChecker::SpeaksTheLowerVersion() {
  env::v1::DescribeResponse response;
  TANDEM_RETURN_IF_ERROR(Ask(1000, &response));
  if (response.protocol_version() >= 1 && response.protocol_version() < 1000) {
    return absl::OkStatus();
  }
  return Unexpected("its own version for a client of version 1000, got ",
                    response.protocol_version());
}

absl::Status VectorChecker::RefusesVersion0() {
  env::v1::DescribeResponse response;
  return ExpectCode(Ask(0, &response), absl::StatusCode::kUnimplemented, "version 0");
}

absl::Status VectorChecker::RefusesTooMany() {
  if (served_->capacity >= clients::kMaxEnvs) return Skip("nobody may ask for more than it has");
  return ExpectCode(Open(served_->capacity + 1), absl::StatusCode::kResourceExhausted,
                    "one environment more than its capacity");
}

absl::Status VectorChecker::RefusesUnknownSession() {
  StepRequest request = Reset();
  request.set_session("a session that nobody opened");
  StepResponse response;
  return ExpectCode(Exchange(request, 1, &response), absl::StatusCode::kNotFound,
                    "an unknown session");
}

absl::Status VectorChecker::ResetsAll() {
  TANDEM_RETURN_IF_ERROR(Open(envs_));
  StepResponse response;
  TANDEM_RETURN_IF_ERROR(Next(Reset(), &response));
  TANDEM_RETURN_IF_ERROR(Conforms(response, /*reset=*/true));
  for (const env::v1::Fault& fault : response.faults()) {
    return Unexpected("every environment to start, got: ", fault.message());
  }
  return absl::OkStatus();
}

absl::Status VectorChecker::StepsConform() {
  TANDEM_RETURN_IF_ERROR(Begin());
  for (int t = 0; t < kSteps; ++t) {
    StepResponse response;
    TANDEM_RETURN_IF_ERROR(Next(Step(), &response));
    TANDEM_RETURN_IF_ERROR(Conforms(response, /*reset=*/false));
    for (const env::v1::Fault& fault : response.faults()) {
      return Unexpected("no failure in step ", t, ", got: ", fault.message());
    }
  }
  return absl::OkStatus();
}

absl::Status VectorChecker::AnswersAgain() {
  TANDEM_RETURN_IF_ERROR(Begin());
  StepResponse first, again;
  TANDEM_RETURN_IF_ERROR(Next(Step(), &first));
  const auto expect_same = [&](const std::string& where) {
    return first.SerializeAsString() == again.SerializeAsString()
               ? absl::OkStatus()
               : Unexpected("the same answer to the same step_id ", where, ", got another");
  };
  TANDEM_RETURN_IF_ERROR(Exchange(Step(), step_id_, &again));
  TANDEM_RETURN_IF_ERROR(expect_same("on the same stream"));
  stream_.reset();
  TANDEM_RETURN_IF_ERROR(Exchange(Step(), step_id_, &again));
  return expect_same("on a new stream");
}

absl::Status VectorChecker::RefusesOtherSteps() {
  TANDEM_RETURN_IF_ERROR(Begin());
  StepResponse response;
  return ExpectCode(Exchange(Step(), step_id_ + 2, &response), absl::StatusCode::kOutOfRange,
                    "a step_id that is neither the last nor the next");
}

absl::Status VectorChecker::RefusesWrongColumns() {
  TANDEM_RETURN_IF_ERROR(Begin());
  StepRequest request = Step();
  request.mutable_actions(0)->push_back('\0');
  StepResponse response;
  TANDEM_RETURN_IF_ERROR(ExpectCode(Next(request, &response), absl::StatusCode::kInvalidArgument,
                                    "a column of one byte too many"));
  request.clear_actions();
  return ExpectCode(Next(request, &response), absl::StatusCode::kInvalidArgument,
                    "a step without actions");
}

absl::Status VectorChecker::ResetsSomeOnly() {
  if (envs_ < 2) return Skip("it has one environment only");
  TANDEM_RETURN_IF_ERROR(Begin());
  StepResponse before, after;
  TANDEM_RETURN_IF_ERROR(Next(Step(), &before));
  StepRequest request;
  request.set_reset(std::string("\1\0", kEnvs));
  TANDEM_RETURN_IF_ERROR(Next(request, &after));
  TANDEM_RETURN_IF_ERROR(Conforms(after, /*reset=*/true));
  for (int leaf = 0; leaf < before.observations_size(); ++leaf) {
    const size_t row = served_->observation.row_bytes(static_cast<size_t>(leaf));
    if (before.observations(leaf).compare(row, row, after.observations(leaf), row, row) == 0) {
      continue;
    }
    return Unexpected("an environment that is not to be reset to stay as it is");
  }
  return absl::OkStatus();
}

absl::Status VectorChecker::SeedsRepeat() {
  const auto& known = served_->capabilities;
  if (std::find(known.begin(), known.end(), "seed") == known.end()) {
    return Skip("the server does not promise it");
  }
  std::string played[2];
  for (std::string& seen : played) {
    TANDEM_RETURN_IF_ERROR(Open(envs_));
    StepResponse response;
    for (int t = 0; t < kSteps; ++t) {
      TANDEM_RETURN_IF_ERROR(Next(t == 0 ? Reset() : Step(), &response));
      seen += response.SerializeAsString();
    }
  }
  return played[0] == played[1] ? absl::OkStatus()
                                : Unexpected("the same seeds to give the same steps, got others");
}

absl::Status VectorChecker::AnswersInFrames() {
  if (!served_->frames) return Skip("the server does not offer them");
  TANDEM_RETURN_IF_ERROR(Begin());
  StepResponse by_grpc, in_frames;
  TANDEM_RETURN_IF_ERROR(Next(Step(), &by_grpc));
  const auto deadline = clients::After(kTimeout);
  TANDEM_ASSIGN_OR_RETURN(const auto frames, clients::FrameStream::Connect(
                                                 clients::FramesPath(address_), calls_, deadline));
  StepRequest request = Step();
  request.set_session(session_);
  request.set_step_id(step_id_);
  TANDEM_RETURN_IF_ERROR(frames->Exchange(request, &in_frames, deadline));
  if (by_grpc.SerializeAsString() != in_frames.SerializeAsString()) {
    return Unexpected("the answer that gRPC gave to the same step_id, got another");
  }
  request.set_step_id(step_id_ + 2);
  return ExpectCode(frames->Exchange(request, &in_frames, deadline), absl::StatusCode::kOutOfRange,
                    "a step_id that is neither the last nor the next");
}

absl::Status VectorChecker::GivesBack() {
  TANDEM_RETURN_IF_ERROR(Begin());
  StepRequest closed = Step();
  closed.set_session(session_);
  Close();
  clients::EnvironmentSession::Close(*stub_, closed.session());
  StepResponse response;
  TANDEM_RETURN_IF_ERROR(ExpectCode(Exchange(closed, 2, &response), absl::StatusCode::kNotFound,
                                    "a session that was closed"));
  env::v1::DescribeResponse description;
  TANDEM_RETURN_IF_ERROR(Ask(clients::kEnvProtocolVersion, &description));
  if (description.available() >= envs_) return absl::OkStatus();
  return Unexpected("the environments of a closed session to be free, got ",
                    description.available());
}

}  // namespace

std::vector<Finding> CheckVectorProtocol(const std::string& address, const std::string& arguments) {
  VectorChecker server(address, arguments);
  return RunChecks({
      {"Describe: makes sense", [&] { return server.Describes(); }},
      server.With("Describe: speaks the lower version", &VectorChecker::SpeaksTheLowerVersion),
      server.With("Describe: refuses version 0", &VectorChecker::RefusesVersion0),
      server.With("Open: refuses more than its capacity", &VectorChecker::RefusesTooMany),
      server.With("Step: refuses an unknown session", &VectorChecker::RefusesUnknownSession),
      server.With("Step: resets all", &VectorChecker::ResetsAll),
      server.With("Step: answers conform", &VectorChecker::StepsConform),
      server.With("Step: a request sent again is answered again", &VectorChecker::AnswersAgain),
      server.With("Step: refuses other step_ids", &VectorChecker::RefusesOtherSteps),
      server.With("Step: refuses columns of a wrong size", &VectorChecker::RefusesWrongColumns),
      server.With("Step: resets some only", &VectorChecker::ResetsSomeOnly),
      server.With("Step: seeds repeat", &VectorChecker::SeedsRepeat),
      server.With("Step: answers in frames", &VectorChecker::AnswersInFrames),
      server.With("Close: gives the environments back", &VectorChecker::GivesBack),
  });
}

}  // namespace tandem::cli
