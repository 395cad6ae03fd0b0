#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>

#include "cli/env_checks.h"
#include "common/base/rng.h"
#include "common/clients/env_messages.h"
#include "common/env_server/env_server.h"
#include "common/rpc/channel.h"

namespace tandem::cli {
namespace {

using dm_env_rpc::v1::EnvironmentRequest;
using dm_env_rpc::v1::EnvironmentResponse;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Failed(const std::vector<Finding>& findings) {
  std::vector<std::string> names;
  for (const Finding& finding : findings) {
    if (finding.result == Finding::Result::kFailed) names.push_back(finding.name);
  }
  return names;
}

size_t Skipped(const std::vector<Finding>& findings) {
  return static_cast<size_t>(std::count_if(
      findings.begin(), findings.end(),
      [](const Finding& finding) { return finding.result == Finding::Result::kSkipped; }));
}

/// What is wrong with an environment.
enum class Flaw {
  kNone,
  kOutOfBounds,
  kIgnoresSeed,
  kEndsEarly,  ///< Cuts episodes off before their limit, which is none.
  kEndsLate,
  kKeepsLast,  ///< Shows the last observation of an episode again instead of the next one's first.
  kLooksTheSame,  ///< Always observes the same, as a bandit does, which is none.
  kNotFinite,
  kFailsOnce,
};

/// Counts its steps from a random start; 20 of them are an episode.
class Flawed : public Environment {
 public:
  /// all_steps: of all that are made.
  Flawed(Flaw flaw, std::shared_ptr<std::atomic<int>> all_steps)
      : flaw_(flaw), all_steps_(std::move(all_steps)) {
    spec_ = {"flawed", {{0, 0}, {1, 30}}, {{-1}, {1}}, 20};
  }
  const EnvironmentSpec& spec() const override { return spec_; }
  absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) override {
    if (seed.has_value() && flaw_ != Flaw::kIgnoresSeed) rng_ = Rng(*seed);
    if (flaw_ == Flaw::kKeepsLast && !seed.has_value()) return Observe(observation);
    start_ = static_cast<float>(rng_.Uniform());
    steps_ = 0;
    return Observe(observation);
  }
  absl::StatusOr<StepResult> Step(std::span<const float>, std::span<float> observation) override {
    const int length = flaw_ == Flaw::kEndsEarly ? 15 : flaw_ == Flaw::kEndsLate ? 25 : 20;
    steps_ = steps_ == length ? 1 : steps_ + 1;
    if (flaw_ == Flaw::kFailsOnce && ++*all_steps_ == 50)
      return absl::InternalError("it fell over");
    Observe(observation).IgnoreError();
    return StepResult{.reward = start_, .truncated = steps_ == length};
  }

 private:
  absl::Status Observe(std::span<float> observation) {
    std::fill(observation.begin(), observation.end(), 0.0f);
    if (flaw_ == Flaw::kLooksTheSame) return absl::OkStatus();
    observation[0] = start_ + (flaw_ == Flaw::kOutOfBounds && steps_ == 5 ? 1.5f : 0.0f);
    observation[1] = static_cast<float>(steps_);
    if (flaw_ == Flaw::kNotFinite && steps_ == 5) observation[0] /= 0.0f;
    return absl::OkStatus();
  }

  const Flaw flaw_;
  const std::shared_ptr<std::atomic<int>> all_steps_;
  EnvironmentSpec spec_;
  Rng rng_{1};
  float start_ = 0.5f;
  int steps_ = 0;
};

env_server::EnvironmentHost::Maker FlawedWith(Flaw flaw) {
  const auto all_steps = std::make_shared<std::atomic<int>>(0);
  return [flaw, all_steps](const EnvironmentOptions&) {
    return absl::StatusOr<std::unique_ptr<Environment>>(std::make_unique<Flawed>(flaw, all_steps));
  };
}

std::vector<Finding> Behaviour(const std::string& address) {
  EnvironmentSource source;
  source.server = address;
  const auto provider = EnvironmentProvider::Create(source);
  EXPECT_TRUE(provider.ok()) << provider.status();
  return CheckBehaviour(**provider);
}

std::vector<std::string> FailedBehaviour(Flaw flaw) {
  const auto server = env_server::EnvServer::Start(FlawedWith(flaw), {});
  return Failed(Behaviour((*server)->address()));
}

TEST(EnvCheckTest, BehaviourFindsEachFlaw) {
  EXPECT_THAT(FailedBehaviour(Flaw::kNone), IsEmpty());
  EXPECT_THAT(FailedBehaviour(Flaw::kOutOfBounds), Contains("steps are finite and in bounds"));
  EXPECT_THAT(FailedBehaviour(Flaw::kNotFinite), Contains("steps are finite and in bounds"));
  EXPECT_THAT(FailedBehaviour(Flaw::kIgnoresSeed), Contains("a seed repeats everything"));
  EXPECT_THAT(FailedBehaviour(Flaw::kEndsLate), Contains("episodes keep their limit"));
  EXPECT_THAT(FailedBehaviour(Flaw::kKeepsLast), Contains("episodes end and begin"));
}

TEST(EnvCheckTest, WhatIsOnlyUnusualPasses) {
  EXPECT_THAT(FailedBehaviour(Flaw::kEndsEarly), IsEmpty());
  EXPECT_THAT(FailedBehaviour(Flaw::kLooksTheSame), IsEmpty());
}

TEST(EnvCheckTest, OneFailureIsToldOnce) {
  EXPECT_THAT(FailedBehaviour(Flaw::kFailsOnce), ElementsAre("steps are finite and in bounds"));
}

TEST(EnvCheckTest, OneEnvironmentIsEnough) {
  const auto server =
      env_server::EnvServer::Start(env_server::MakerOf("cartpole_continuous"), {.capacity = 1});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string address = (*server)->address();
  EXPECT_THAT(Failed(CheckVectorProtocol(address, "")), IsEmpty());
  EXPECT_THAT(Failed(Behaviour(address)), IsEmpty());
  EXPECT_THAT(Failed(CheckDmEnvRpc(address, "")), IsEmpty());
  EXPECT_THAT(Failed(Behaviour("dm_env_rpc:" + address)), IsEmpty());
}

/// Stands between the checks and a real server, and changes what passes.
class Between : public dm_env_rpc::v1::Environment::Service,
                public env::v1::VectorEnvService::Service {
 public:
  explicit Between(const std::string& real)
      : worlds_(dm_env_rpc::v1::Environment::NewStub(rpc::Connect(real))),
        vectors_(env::v1::VectorEnvService::NewStub(rpc::Connect(real))) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<dm_env_rpc::v1::Environment::Service*>(this));
    builder.RegisterService(static_cast<env::v1::VectorEnvService::Service*>(this));
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~Between() override { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  std::function<void(EnvironmentRequest&)> edit_request = [](auto&) {};
  std::function<void(EnvironmentResponse&)> edit_response = [](auto&) {};
  std::function<void(env::v1::StepRequest&)> edit_step = [](auto&) {};
  std::function<void(env::v1::StepResponse&)> edit_answer = [](auto&) {};
  std::function<void(env::v1::DescribeResponse&)> edit_description = [](auto&) {};

 private:
  grpc::Status Process(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<EnvironmentResponse, EnvironmentRequest>* stream) override {
    grpc::ClientContext context;
    const auto real = worlds_->Process(&context);
    return Pass(stream, *real, edit_request, edit_response);
  }
  grpc::Status Step(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<env::v1::StepResponse, env::v1::StepRequest>* stream) override {
    grpc::ClientContext context;
    const auto real = vectors_->Step(&context);
    return Pass(stream, *real, edit_step, edit_answer);
  }
  grpc::Status Describe(grpc::ServerContext*, const env::v1::DescribeRequest* request,
                        env::v1::DescribeResponse* response) override {
    grpc::ClientContext context;
    const grpc::Status status = vectors_->Describe(&context, *request, response);
    edit_description(*response);
    return status;
  }
  grpc::Status Open(grpc::ServerContext*, const env::v1::OpenRequest* request,
                    env::v1::OpenResponse* response) override {
    grpc::ClientContext context;
    return vectors_->Open(&context, *request, response);
  }
  grpc::Status Close(grpc::ServerContext*, const env::v1::CloseRequest* request,
                     env::v1::CloseResponse* response) override {
    grpc::ClientContext context;
    return vectors_->Close(&context, *request, response);
  }
  template <typename Request, typename Response, typename EditRequest, typename EditResponse>
  static grpc::Status Pass(grpc::ServerReaderWriter<Response, Request>* stream,
                           grpc::ClientReaderWriter<Request, Response>& real,
                           const EditRequest& edit_request, const EditResponse& edit_response) {
    Request request;
    Response response;
    while (stream->Read(&request)) {
      edit_request(request);
      if (!real.Write(request) || !real.Read(&response)) break;
      edit_response(response);
      stream->Write(response);
    }
    real.WritesDone();
    return real.Finish();
  }

  const std::unique_ptr<dm_env_rpc::v1::Environment::Stub> worlds_;
  const std::unique_ptr<env::v1::VectorEnvService::Stub> vectors_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class ServerCheckTest : public testing::Test {
 protected:
  ServerCheckTest() {
    auto server =
        env_server::EnvServer::Start(env_server::MakerOf("cartpole_continuous"), {.capacity = 8});
    server_ = *std::move(server);
    between_ = std::make_unique<Between>(server_->address());
  }
  std::vector<std::string> FailedWorlds() { return Failed(CheckDmEnvRpc(between_->address(), "")); }
  std::vector<std::string> FailedVectors() {
    return Failed(CheckVectorProtocol(between_->address(), ""));
  }

  std::unique_ptr<env_server::EnvServer> server_;
  std::unique_ptr<Between> between_;
};

TEST_F(ServerCheckTest, OurServerPassesEveryCheck) {
  const auto worlds = CheckDmEnvRpc(server_->address(), "");
  EXPECT_EQ(worlds.size(), 40u);
  EXPECT_THAT(Failed(worlds), IsEmpty());
  EXPECT_EQ(Skipped(worlds), 3u) << "no settings, no text, no action of two dimensions";
  EXPECT_THAT(Failed(CheckVectorProtocol(server_->address(), "")), IsEmpty());
  EXPECT_EQ(server_->host().available(), 8) << "nothing is left behind";
}

TEST_F(ServerCheckTest, FindsWhatIsWrongWithWorlds) {
  between_->edit_response = [](EnvironmentResponse& response) {
    if (response.has_error()) {  // it never refuses anything
      response.Clear();
      response.mutable_destroy_world();
    }
  };
  const auto lenient = FailedWorlds();
  EXPECT_THAT(lenient, Contains("destroy_world: refuses other names"));
  EXPECT_THAT(lenient, Contains("step: refuses actions above their bounds"));

  between_->edit_response = [](EnvironmentResponse& response) {
    if (response.has_reset()) response.mutable_reset()->clear_specs();
  };
  EXPECT_THAT(FailedWorlds(), testing::UnorderedElementsAre("reset: sends the specs again",
                                                            "reset: can follow a reset"));

  between_->edit_response = [](EnvironmentResponse& response) {
    if (!response.has_step()) return;
    for (auto& [id, tensor] : *response.mutable_step()->mutable_observations()) {
      for (float& x : *tensor.mutable_floats()->mutable_array()) x = 1e30f;
    }
  };
  EXPECT_THAT(FailedWorlds(), Contains("step: observations are in range"));
}

TEST_F(ServerCheckTest, FindsWhatIsWrongWithActions) {
  between_->edit_request = [](EnvironmentRequest& request) {
    if (!request.has_step()) return;
    request.mutable_step()->clear_actions();  // it takes any action
  };
  EXPECT_THAT(FailedWorlds(),
              testing::UnorderedElementsAre(
                  "step: refuses numbers of another type", "step: refuses other actions",
                  "step: refuses actions below their bounds",
                  "step: refuses actions above their bounds", "step: refuses another shape"));
}

TEST_F(ServerCheckTest, FindsWhatIsWrongWithVectors) {
  between_->edit_description = [](auto& response) { response.clear_observation(); };
  EXPECT_THAT(FailedVectors(), Contains("Describe: makes sense"));
  between_->edit_description = [](auto& response) { response.set_capacity(2); };
  EXPECT_THAT(FailedVectors(), Contains("Open: refuses more than its capacity"));
  between_->edit_description = [](auto& response) { response.set_capacity(clients::kMaxEnvs); };
  EXPECT_THAT(FailedVectors(), IsEmpty());
  between_->edit_description = [](auto& response) { response.add_capabilities("frames"); };
  EXPECT_THAT(FailedVectors(), testing::ElementsAre("Step: answers in frames"));
  between_->edit_description = [](auto&) {};

  between_->edit_answer = [](auto& response) { response.set_rewards("short"); };
  EXPECT_THAT(FailedVectors(), Contains("Step: answers conform"));
  int answers = 0;
  between_->edit_answer = [&](auto& response) {
    response.mutable_observations(0)->data()[0] = static_cast<char>(++answers);
  };
  const auto forgetful = FailedVectors();
  EXPECT_THAT(forgetful, Contains("Step: a request sent again is answered again"));
  EXPECT_THAT(forgetful, Contains("Step: seeds repeat"));
  between_->edit_answer = [](auto& response) { response.set_step_id(response.step_id() + 1); };
  EXPECT_THAT(FailedVectors(), Contains("Step: resets all"));
  between_->edit_answer = [](auto&) {};

  between_->edit_step = [](env::v1::StepRequest& request) {
    std::string& reset = *request.mutable_reset();
    std::fill(reset.begin(), reset.end(), '\1');  // it resets all or nothing
  };
  EXPECT_THAT(FailedVectors(), testing::ElementsAre("Step: resets some only"));
}

}  // namespace
}  // namespace tandem::cli
