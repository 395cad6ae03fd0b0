#include "common/clients/testing/scripted_env_server.h"

#include <sys/socket.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/socket_files.h"

namespace tandem::clients {
namespace {

constexpr int kHorizon = 7;

template <typename T>
void Append(T value, std::string* column) {
  column->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T At(const std::string& column, size_t i) {
  T value;
  std::memcpy(&value, column.data() + i * sizeof(T), sizeof(T));
  return value;
}

void FillLeaf(const char* name, int64_t size, double bound, env::v1::SpaceLeaf* leaf) {
  leaf->set_name(name);
  leaf->set_kind(env::v1::SPACE_KIND_BOX);
  leaf->set_element_type(env::v1::ELEMENT_TYPE_FLOAT32);
  leaf->add_shape(size);
  Append(-bound, leaf->mutable_low());
  Append(bound, leaf->mutable_high());
}

}  // namespace

bool ScriptedEnvServer::Start() {
  stopping_ = false;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (takes_frames) {
    const std::string path = rpc::UnixSocketPath(address_) + ".frames";
    frames_listener_ =
        std::make_unique<FrameListener>(path, [this](int socket) { ServeFrames(socket); });
  }
  return server_ != nullptr;
}

void ScriptedEnvServer::Stop() {
  stopping_ = true;
  frames_listener_.reset();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
  MutexLock lock(mu_);
  sessions_.clear();
}

void ScriptedEnvServer::SabotageNext(Sabotage sabotage, int env) {
  MutexLock lock(mu_);
  victim_ = env;
  sabotage_ = sabotage;
}

size_t ScriptedEnvServer::open_sessions() const {
  MutexLock lock(mu_);
  return sessions_.size();
}

grpc::Status ScriptedEnvServer::Describe(grpc::ServerContext*, const env::v1::DescribeRequest*,
                                         env::v1::DescribeResponse* response) {
  response->set_protocol_version(1);
  response->set_name("scripted");
  FillLeaf("state", 2, std::numeric_limits<double>::infinity(), response->add_observation());
  FillLeaf("push", 1, 1, response->add_action());
  response->set_max_episode_steps(kHorizon);
  response->set_capacity(capacity);
  response->set_available(capacity);
  response->set_server("scripted 1");
  if (offers_frames) response->add_capabilities("frames");
  edit_description(response);
  return grpc::Status::OK;
}

grpc::Status ScriptedEnvServer::Open(grpc::ServerContext*, const env::v1::OpenRequest* request,
                                     env::v1::OpenResponse* response) {
  if (request->arguments() == "bad") {
    return {grpc::StatusCode::INVALID_ARGUMENT, "TypeError: unexpected argument"};
  }
  MutexLock lock(mu_);
  size_t taken = 0;
  for (const auto& [id, session] : sessions_) taken += session.copies.size();
  if (taken + static_cast<size_t>(request->num_envs()) > static_cast<size_t>(capacity)) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, absl::StrCat(capacity - taken, " are free")};
  }
  response->set_session(absl::StrCat("session-", ++opened_));
  sessions_[response->session()].copies.resize(static_cast<size_t>(request->num_envs()));
  return grpc::Status::OK;
}

grpc::Status ScriptedEnvServer::Close(grpc::ServerContext*, const env::v1::CloseRequest* request,
                                      env::v1::CloseResponse*) {
  MutexLock lock(mu_);
  sessions_.erase(request->session());
  return grpc::Status::OK;
}

grpc::Status ScriptedEnvServer::Step(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<env::v1::StepResponse, env::v1::StepRequest>* stream) {
  return Serve(
      {[&](env::v1::StepRequest* request) { return stream->Read(request); },
       [&](const env::v1::StepResponse& response, Sabotage) { return stream->Write(response); },
       [&] { return context->IsCancelled(); }});
}

void ScriptedEnvServer::ServeFrames(int socket) {
  if (!Greet(socket)) return;
  const grpc::Status status =
      Serve({[&](env::v1::StepRequest* request) {
               std::string raw;
               return ReadFrame(socket, &raw) && request->ParseFromString(raw);
             },
             [&](const env::v1::StepResponse& response, Sabotage sabotage) {
               const std::string frame = Frame(response.SerializeAsString());
               if (sabotage == Sabotage::kNoFrame) return WriteBytes(socket, "HTTP/1.1 200 OK\r\n");
               if (sabotage != Sabotage::kCutFrame) return WriteBytes(socket, frame);
               WriteBytes(socket, std::string_view(frame).substr(0, frame.size() / 2));
               return false;
             },
             [&] {
               char byte;
               return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
             }});
  if (!status.ok()) WriteBytes(socket, Frame(status.error_message(), status.error_code()));
}

grpc::Status ScriptedEnvServer::Serve(const Stream& stream) {
  env::v1::StepRequest request;
  while (stream.read(&request)) {
    Sabotage sabotage;
    {
      MutexLock lock(mu_);
      sabotage = std::exchange(sabotage_, Sabotage::kNone);
    }
    if (sabotage == Sabotage::kDropBefore) return {grpc::StatusCode::UNAVAILABLE, "dropped"};
    if (sabotage == Sabotage::kInternal) return {grpc::StatusCode::INTERNAL, "no disk"};
    if (sabotage == Sabotage::kSlow) std::this_thread::sleep_for(std::chrono::milliseconds(1600));
    while (sabotage == Sabotage::kHang && !stream.gone() && !stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    env::v1::StepResponse response;
    const grpc::Status status = Answer(request, sabotage, &response);
    if (!status.ok()) return status;
    if (sabotage == Sabotage::kDropAfter) return {grpc::StatusCode::UNAVAILABLE, "dropped"};
    if (!stream.write(response, sabotage)) break;
  }
  return grpc::Status::OK;
}

grpc::Status ScriptedEnvServer::Answer(const env::v1::StepRequest& request, Sabotage sabotage,
                                       env::v1::StepResponse* response) {
  MutexLock lock(mu_);
  if (sabotage == Sabotage::kForget) sessions_.erase(request.session());
  const auto found = sessions_.find(request.session());
  if (found == sessions_.end()) return {grpc::StatusCode::NOT_FOUND, "no such session"};
  Session& session = found->second;
  if (request.step_id() != session.step_id) {
    if (request.step_id() != session.step_id + 1) {
      return {grpc::StatusCode::OUT_OF_RANGE, "neither the last step nor the next"};
    }
    session.step_id = request.step_id();
    session.last.Clear();
    session.last.set_step_id(session.step_id);
    if (request.reset().empty()) {
      StepAll(session, request, sabotage);
    } else {
      Reset(session, request);
    }
  }
  *response = session.last;
  if (sabotage == Sabotage::kShortColumn) response->mutable_rewards()->pop_back();
  if (sabotage == Sabotage::kBadOutcome)
    response->mutable_outcomes()->assign(session.copies.size(), 9);
  // A string that is no UTF-8 is sent, but not taken.
  if (sabotage == Sabotage::kGarbage) response->add_faults()->set_message("\xff");
  if (sabotage == Sabotage::kWrongStepId) response->set_step_id(session.step_id + 5);
  return grpc::Status::OK;
}

void ScriptedEnvServer::Begin(Copy& copy) {
  copy.x = copy.rng->Uniform(-1, 1);
  copy.t = 0;
}

void ScriptedEnvServer::AppendRow(const Copy& copy, std::string* column) {
  Append(static_cast<float>(copy.x), column);
  Append(static_cast<float>(copy.t), column);
}

void ScriptedEnvServer::Reset(Session& session, const env::v1::StepRequest& request) {
  std::string* const observations = session.last.add_observations();
  for (size_t i = 0; i < session.copies.size(); ++i) {
    Copy& copy = session.copies[i];
    if (!request.seeds().empty()) {
      copy.rng = std::make_unique<Rng>(At<uint64_t>(request.seeds(), i), "scripted");
    }
    Begin(copy);
    copy.state = Copy::kRuns;
    AppendRow(copy, observations);
  }
}

void ScriptedEnvServer::StepAll(Session& session, const env::v1::StepRequest& request,
                                Sabotage sabotage) {
  const size_t n = session.copies.size();
  env::v1::StepResponse& answer = session.last;
  std::string observations, finals, outcomes(n, 0), terminated(n, 0), truncated(n, 0);
  for (size_t i = 0; i < n; ++i) {
    Copy& copy = session.copies[i];
    const bool victim = static_cast<int>(i) == victim_;
    const bool restart = !request.restart().empty() && request.restart()[i] != 0;
    restarts_ += restart ? 1 : 0;
    if (copy.state == Copy::kRuns && !restart && !(victim && sabotage == Sabotage::kLose)) {
      copy.x = 0.9 * copy.x + At<float>(request.actions(0), i);
      ++copy.t;
      ++steps_;
    } else if (copy.state == Copy::kStarts) {
      Begin(copy);
      outcomes[i] = env::v1::OUTCOME_STARTED;
      copy.state = Copy::kRuns;
    } else {
      outcomes[i] =
          restart || copy.state == Copy::kAbsent ? env::v1::OUTCOME_ABSENT : env::v1::OUTCOME_LOST;
      copy.state = Copy::kStarts;
    }
    if (outcomes[i] == env::v1::OUTCOME_LOST) {
      env::v1::Fault* const fault = answer.add_faults();
      fault->set_env(static_cast<int64_t>(i));
      fault->set_kind(env::v1::FAULT_KIND_EXCEPTION);
      fault->set_message("ValueError: no");
    }
    Append(static_cast<float>(copy.x), answer.mutable_rewards());
    const bool cut = victim && sabotage == Sabotage::kBadFinal;
    if (outcomes[i] == 0 && (copy.t == kHorizon || cut)) {
      (i % 2 == 0 ? terminated : truncated)[i] = 1;
      AppendRow(copy, &finals);
      Begin(copy);
    }
    AppendRow(copy, &observations);
    if (victim && (sabotage == Sabotage::kNotFinite || cut)) {
      const float bad = std::nanf("");
      std::memcpy(observations.data() + observations.size() - sizeof(bad), &bad, sizeof(bad));
    }
  }
  *answer.add_observations() = observations;
  *answer.add_final_observations() = finals;
  answer.set_terminated(terminated);
  answer.set_truncated(truncated);
  if (outcomes != std::string(n, 0)) answer.set_outcomes(outcomes);
}

}  // namespace tandem::clients
