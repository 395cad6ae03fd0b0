#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "common/base/rng.h"
#include "common/clients/environments.h"
#include "common/env/local_vector_environment.h"
#include "common/env/random_actions.h"
#include "common/env_server/env_server.h"
#include "common/rpc/channel.h"

namespace tandem::env_server {
namespace {

using ::testing::HasSubstr;

/// Plays `steps` steps of both and expects the same of them; returns how many episodes ended.
int ExpectSame(VectorEnvironment& served, VectorEnvironment& local, int steps) {
  EXPECT_THAT(served.observations(), testing::ElementsAreArray(local.observations()));
  Rng rng(3, "actions");
  int ended = 0;
  for (int t = 0; t < steps && !testing::Test::HasFailure(); ++t) {
    const std::vector<float> actions = RandomActions(local, rng);
    EXPECT_TRUE(served.Step(actions).ok());
    EXPECT_TRUE(local.Step(actions).ok());
    EXPECT_THAT(served.observations(), testing::ElementsAreArray(local.observations())) << t;
    const size_t dim = static_cast<size_t>(local.spec().observation.dim());
    for (size_t i = 0; i < local.results().size(); ++i) {
      EXPECT_EQ(served.outcomes()[i], Outcome::kStepped);
      const StepResult &a = served.results()[i], &b = local.results()[i];
      EXPECT_EQ(a.reward, b.reward) << t;
      EXPECT_EQ(a.terminated, b.terminated) << t;
      EXPECT_EQ(a.truncated, b.truncated) << t;
      if (!b.terminated && !b.truncated) continue;
      ++ended;
      EXPECT_THAT(served.final_observations().subspan(i * dim, dim),
                  testing::ElementsAreArray(local.final_observations().subspan(i * dim, dim)));
    }
  }
  EXPECT_TRUE(served.TakeFaults().empty());
  return ended;
}

/// In which protocol, and which environment.
struct Case {
  const char* protocol;
  const char* name;
};

class BothProtocolsTest : public testing::TestWithParam<Case> {};

TEST_P(BothProtocolsTest, AServedEnvironmentIsTheLocalOneStepForStep) {
  const auto server = EnvServer::Start(MakerOf(GetParam().name), {});
  ASSERT_TRUE(server.ok()) << server.status();
  EnvironmentSource source;
  source.server = GetParam().protocol + (*server)->address();
  source.max_episode_steps = 150;
  if (*GetParam().protocol != 0) source.arguments = R"({"max_episode_steps": 170})";
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto served = (*provider)->Make(3, 5);
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_EQ((*server)->host().available(), 61);
  LocalVectorEnvironment::Options options{.num_envs = 3, .seed = 5};
  options.environment.max_episode_steps = 150;
  const auto local = LocalVectorEnvironment::Create(GetParam().name, options);
  EXPECT_GT(ExpectSame(**served, **local, 1000), 3);

  ASSERT_TRUE((*served)->ResetAll(9).ok());
  ASSERT_TRUE((*local)->ResetAll(9).ok());
  ExpectSame(**served, **local, 200);
  ASSERT_TRUE((*served)->ResetAll().ok());
  ASSERT_TRUE((*local)->ResetAll().ok());
  ExpectSame(**served, **local, 20);
}

TEST_P(BothProtocolsTest, BatchesOfSeveralLimitsComeFromOneServerAndGoBackOnTheirOwn) {
  const auto server = EnvServer::Start(MakerOf("pendulum"), {.capacity = 4});
  ASSERT_TRUE(server.ok()) << server.status();
  EnvironmentSource source;
  source.server = GetParam().protocol + (*server)->address();
  source.max_episode_steps = 9;
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto training = *(*provider)->Make(2, 5);
  auto walks = *(*provider)->Make(2, 5, /*max_episode_steps=*/14);
  const std::vector<float> actions = {0, 0};
  for (const auto& [env, limit] : {std::pair(training.get(), 9), std::pair(walks.get(), 14)}) {
    EXPECT_EQ(env->spec().max_episode_steps, limit);
    for (int t = 1; t <= 3 * limit; ++t) {
      ASSERT_TRUE(env->Step(actions).ok());
      EXPECT_EQ(env->results()[1].truncated, t % limit == 0) << t;
    }
  }
  EXPECT_EQ((*server)->host().available(), 0);
  walks.reset();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while ((*server)->host().available() == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();  // the end of their stream may be on its way
  }
  EXPECT_EQ((*server)->host().available(), 2);
  EXPECT_TRUE(training->Step(actions).ok());
  EXPECT_TRUE((*provider)->Make(2, 6).ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, BothProtocolsTest,
    testing::Values(Case{"", "cartpole_continuous"}, Case{"", "acrobot"}, Case{"", "gridworld"},
                    Case{"dm_env_rpc:", "cartpole_continuous"}, Case{"dm_env_rpc:", "acrobot"}),
    [](const auto& info) {
      return (*info.param.protocol != 0 ? "DmEnvRpc_" : "Vector_") + std::string(info.param.name);
    });

/// Fails on demand: the third step of each episode diverges where `diverges` is set.
class Fragile : public Environment {
 public:
  explicit Fragile(bool diverges) : diverges_(diverges) {
    spec_ = {"fragile", {{-10}, {10}}, {{-1}, {1}}, 5};
  }
  const EnvironmentSpec& spec() const override { return spec_; }
  absl::Status Reset(std::optional<uint64_t>, std::span<float> observation) override {
    observation[0] = 0;
    steps_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<StepResult> Step(std::span<const float>, std::span<float> observation) override {
    if (++steps_ == 3 && diverges_) return absl::InternalError("it diverged");
    observation[0] = static_cast<float>(steps_);
    return StepResult{.reward = 1, .truncated = steps_ == 5};
  }

 private:
  EnvironmentSpec spec_;
  bool diverges_;
  int steps_ = 0;
};

/// Every second environment diverges.
EnvironmentHost::Maker Fragiles() {
  return [made = std::make_shared<int>(0)](const EnvironmentOptions&) {
    return absl::StatusOr<std::unique_ptr<Environment>>(
        std::make_unique<Fragile>((*made)++ % 2 == 0));
  };
}

class FaultTest : public testing::TestWithParam<const char*> {};

TEST_P(FaultTest, OneEnvironmentThatFailsStopsNoOther) {
  const auto server = EnvServer::Start(Fragiles(), {});
  ASSERT_TRUE(server.ok()) << server.status();
  EnvironmentSource source;
  source.server = GetParam() + (*server)->address();
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto env = (*provider)->Make(2, 1);
  ASSERT_TRUE(env.ok()) << env.status();
  const std::vector<float> actions = {0, 0};
  int first_lost = 0, second_started = 0;
  for (int t = 0; t < 3; ++t) {
    ASSERT_TRUE((*env)->Step(actions).ok());
    for (const Outcome outcome : (*env)->outcomes()) first_lost += outcome == Outcome::kLost;
  }
  EXPECT_EQ(first_lost, 1);
  const auto faults = (*env)->TakeFaults();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_THAT(faults[0].message, HasSubstr("it diverged"));
  const size_t lost = static_cast<size_t>(faults[0].env);
  EXPECT_EQ((*env)->outcomes()[1 - lost], Outcome::kStepped);
  for (int t = 0; t < 2000 && second_started == 0; ++t) {
    ASSERT_TRUE((*env)->Step(actions).ok());
    EXPECT_EQ((*env)->outcomes()[1 - lost], Outcome::kStepped);
    second_started += (*env)->outcomes()[lost] == Outcome::kStarted;
  }
  EXPECT_EQ(second_started, 1);
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest, testing::Values("", "dm_env_rpc:"),
                         [](const auto& info) { return *info.param != 0 ? "DmEnvRpc" : "Vector"; });

class ProtocolTest : public testing::Test {
 protected:
  void Start(absl::Duration idle_timeout = absl::Seconds(60)) {
    auto server = EnvServer::Start(MakerOf("cartpole_continuous"),
                                   {.capacity = 4, .idle_timeout = idle_timeout});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = env::v1::VectorEnvService::NewStub(rpc::Connect(server_->address()));
  }
  grpc::Status Open(int64_t count, const std::string& arguments = "") {
    grpc::ClientContext context;
    env::v1::OpenRequest request;
    request.set_protocol_version(1);
    request.set_num_envs(count);
    request.set_step_timeout_ms(1000);
    request.set_reset_timeout_ms(1000);
    request.set_arguments(arguments);
    return stub_->Open(&context, request, &opened_);
  }
  env::v1::StepRequest FirstReset() const {
    env::v1::StepRequest request;
    request.set_session(opened_.session());
    request.set_step_id(1);
    request.set_reset(std::string(2, '\1'));
    return request;
  }
  /// Sends these on one stream; the answers are in answers_.
  grpc::Status Exchange(const std::vector<env::v1::StepRequest>& requests) {
    grpc::ClientContext context;
    const auto stream = stub_->Step(&context);
    answers_.clear();
    for (const auto& request : requests) {
      env::v1::StepResponse response;
      if (!stream->Write(request) || !stream->Read(&response)) break;
      answers_.push_back(response);
    }
    stream->WritesDone();
    return stream->Finish();
  }

  std::unique_ptr<EnvServer> server_;
  std::unique_ptr<env::v1::VectorEnvService::Stub> stub_;
  env::v1::OpenResponse opened_;
  std::vector<env::v1::StepResponse> answers_;
};

TEST_F(ProtocolTest, ARequestThatIsSentAgainStepsOnce) {
  Start();
  ASSERT_TRUE(Open(2).ok());
  env::v1::StepRequest step;
  step.set_session(opened_.session());
  step.set_step_id(2);
  const float action[2] = {0.5f, -0.5f};
  step.add_actions(std::string(reinterpret_cast<const char*>(action), sizeof(action)));
  ASSERT_TRUE(Exchange({FirstReset(), step, step}).ok());
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_EQ(answers_[1].SerializeAsString(), answers_[2].SerializeAsString());
  const std::string before = answers_[1].SerializeAsString();
  ASSERT_TRUE(Exchange({step}).ok()) << "on a new stream";
  EXPECT_EQ(answers_[0].SerializeAsString(), before);
  step.set_step_id(4);
  EXPECT_EQ(Exchange({step}).error_code(), grpc::OUT_OF_RANGE);
  step.set_step_id(3);
  step.set_actions(0, "short");
  EXPECT_EQ(Exchange({step}).error_code(), grpc::INVALID_ARGUMENT);
  step.set_session("another");
  EXPECT_EQ(Exchange({step}).error_code(), grpc::NOT_FOUND);
}

TEST_F(ProtocolTest, NoMoreEnvironmentsThanThereIsRoomFor) {
  Start();
  ASSERT_TRUE(Open(3).ok());
  const grpc::Status refused = Open(2);
  EXPECT_EQ(refused.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("expected 1 to 1"));
  EXPECT_EQ(Open(1, R"({"gravity": 3})").error_code(), grpc::INVALID_ARGUMENT);
  grpc::ClientContext context;
  env::v1::CloseRequest close;
  env::v1::CloseResponse closed;
  close.set_session(opened_.session());
  ASSERT_TRUE(stub_->Close(&context, close, &closed).ok());
  EXPECT_EQ(server_->host().available(), 4);
}

TEST_F(ProtocolTest, ASessionThatNobodyUsesMakesRoom) {
  Start(absl::ZeroDuration());
  ASSERT_TRUE(Open(4).ok());
  const std::string first = opened_.session();
  EXPECT_TRUE(Open(4).ok());
  EXPECT_NE(opened_.session(), first);
}

TEST_F(ProtocolTest, AStreamThatWasTakenOverIsAborted) {
  Start();
  ASSERT_TRUE(Open(2).ok());
  grpc::ClientContext context;
  const auto old = stub_->Step(&context);
  env::v1::StepRequest request = FirstReset();
  env::v1::StepResponse response;
  ASSERT_TRUE(old->Write(request) && old->Read(&response));
  request.set_step_id(2);
  ASSERT_TRUE(Exchange({request}).ok());
  old->Write(request);
  EXPECT_FALSE(old->Read(&response));
  EXPECT_EQ(old->Finish().error_code(), grpc::ABORTED);
}

}  // namespace
}  // namespace tandem::env_server
