#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "common/clients/environments.h"
#include "common/env_server/env_server.h"
#include "common/rpc/channel.h"

namespace tandem::env_server {
namespace {

using dm_env_rpc::v1::DataType;
using dm_env_rpc::v1::EnvironmentRequest;
using dm_env_rpc::v1::EnvironmentResponse;
using dm_env_rpc::v1::Tensor;
using dm_env_rpc::v1::TensorSpec;
using ::testing::HasSubstr;

TensorSpec Scalar(const char* name, DataType type) {
  TensorSpec spec;
  spec.set_name(name);
  spec.set_dtype(type);
  return spec;
}

/// A server of dm_env_rpc with one fault, of an environment that counts its steps to 4.
class OddServer : public dm_env_rpc::v1::Environment::Service {
 public:
  enum class End { kTerminated, kInterrupted, kTerminatedWithDiscount };

  explicit OddServer(End end) : end_(end) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "dm_env_rpc:127.0.0.1:" + std::to_string(port);
  }
  ~OddServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  std::atomic<bool> hangs{false};           ///< The next step of one connection is never answered.
  std::atomic<bool> refuses{false};         ///< The next step of one connection is refused.
  std::atomic<bool> not_finite{false};      ///< The next step of one connection gives NaN.
  std::atomic<bool> other_specs{false};     ///< Who joins from now on finds another observation.
  std::atomic<bool> always_refuses{false};  ///< Every step with actions is refused.
  std::atomic<int> bad_starts{0};           ///< So many first steps after joining give NaN.
  std::atomic<int> connections{0};

 private:
  static Tensor Float(float value) {
    Tensor tensor;
    tensor.mutable_floats()->add_array(value);
    return tensor;
  }
  void Join(dm_env_rpc::v1::ActionObservationSpecs* specs) const {
    auto& observations = *specs->mutable_observations();
    observations[other_specs ? 6 : 7] = Scalar("count", dm_env_rpc::v1::FLOAT);
    observations[8] = Scalar("reward", dm_env_rpc::v1::FLOAT);
    if (end_ == End::kTerminatedWithDiscount) {
      observations[9] = Scalar("discount", dm_env_rpc::v1::FLOAT);
    }
    observations[10] = Scalar("words", dm_env_rpc::v1::STRING);
    observations[11] = Scalar("touches", dm_env_rpc::v1::BOOL);
    TensorSpec choice = Scalar("choice", dm_env_rpc::v1::INT64);
    choice.mutable_min()->mutable_int64s()->add_array(0);
    choice.mutable_max()->mutable_int64s()->add_array(1);
    (*specs->mutable_actions())[3] = choice;
  }
  void Step(int* steps, bool joined, dm_env_rpc::v1::StepResponse* response) {
    if (*steps == 5) *steps = 0;
    const bool bad_start = joined && bad_starts > 0 && bad_starts-- > 0;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    (*response->mutable_observations())[7] =
        Float(bad_start || not_finite.exchange(false) ? nan : static_cast<float>(*steps));
    (*response->mutable_observations())[8] = Float(1);
    (*response->mutable_observations())[11].mutable_bools()->add_array(*steps == 2);
    if (end_ == End::kTerminatedWithDiscount) (*response->mutable_observations())[9] = Float(0.9f);
    const bool over = (*steps)++ == 4;
    response->set_state(!over                       ? dm_env_rpc::v1::RUNNING
                        : end_ == End::kInterrupted ? dm_env_rpc::v1::INTERRUPTED
                                                    : dm_env_rpc::v1::TERMINATED);
  }
  grpc::Status Process(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<EnvironmentResponse, EnvironmentRequest>* stream) override {
    ++connections;
    int steps = 0;
    bool joined = false;  // just now
    EnvironmentRequest request;
    while (stream->Read(&request)) {
      EnvironmentResponse response;
      if (request.has_join_world()) {
        steps = 0;
        joined = true;
        Join(response.mutable_join_world()->mutable_specs());
      } else if (request.has_leave_world()) {
        response.mutable_leave_world();
      } else if (request.has_step() && request.step().actions_size() > 0 && hangs.exchange(false)) {
        while (!context->IsCancelled()) usleep(1000);
        break;
      } else if (request.has_step() && !refuses.exchange(false) &&
                 !(always_refuses && request.step().actions_size() > 0)) {
        Step(&steps, std::exchange(joined, false), response.mutable_step());
      } else {  // it creates no worlds, and resets nothing
        response.mutable_error()->set_code(3);
        response.mutable_error()->set_message("this server cannot");
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  const End end_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class DmEnvRpcClientTest : public testing::Test {
 protected:
  void Connect(OddServer::End end, int64_t max_episode_steps = 0) {
    server_ = std::make_unique<OddServer>(end);
    EnvironmentSource source;
    source.server = server_->address();
    source.step_timeout = absl::Milliseconds(500);
    source.max_episode_steps = max_episode_steps;
    auto provider = EnvironmentProvider::Create(source);
    ASSERT_TRUE(provider.ok()) << provider.status();
    provider_ = *std::move(provider);
    auto env = provider_->Make(2, 1);
    ASSERT_TRUE(env.ok()) << env.status();
    env_ = *std::move(env);
  }
  void Step() {
    const absl::Status status = env_->Step(std::vector<float>(4));
    ASSERT_TRUE(status.ok()) << status;
  }
  void ExpectEnd(bool terminated, int at) {
    for (int t = 1; t <= 2 * at; ++t) {
      Step();
      const StepResult& result = env_->results()[0];
      const bool ended = t % at == 0;
      EXPECT_EQ(result.terminated, ended && terminated) << t;
      EXPECT_EQ(result.truncated, ended && !terminated) << t;
      EXPECT_EQ(env_->observations()[0], static_cast<float>(ended ? 0 : t % at)) << t;
      EXPECT_EQ(env_->observations()[1], t % at == 2 ? 1 : 0) << t;
      if (ended) {
        EXPECT_EQ(env_->final_observations()[0], static_cast<float>(at));
      }
    }
    EXPECT_TRUE(env_->TakeFaults().empty());
  }
  /// One environment was lost, the other not; it comes back.
  void ExpectOneLost(FaultKind kind) {
    const auto faults = env_->TakeFaults();
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].kind, kind) << faults[0].message;
    const size_t lost = static_cast<size_t>(faults[0].env);
    EXPECT_EQ(env_->outcomes()[lost], Outcome::kLost);
    EXPECT_EQ(env_->outcomes()[1 - lost], Outcome::kStepped);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      Step();
      EXPECT_EQ(env_->outcomes()[1 - lost], Outcome::kStepped);
    } while (env_->outcomes()[lost] == Outcome::kAbsent &&
             std::chrono::steady_clock::now() < deadline);
    EXPECT_EQ(env_->outcomes()[lost], Outcome::kStarted);
    Step();
    EXPECT_EQ(env_->outcomes()[lost], Outcome::kStepped);
    EXPECT_EQ(server_->connections, 3);
  }

  std::unique_ptr<OddServer> server_;
  std::unique_ptr<EnvironmentProvider> provider_;
  std::unique_ptr<VectorEnvironment> env_;
};

TEST_F(DmEnvRpcClientTest, TerminatedIsTerminal) {
  Connect(OddServer::End::kTerminated);
  EXPECT_EQ(env_->spec().observation.dim(), 2) << "the text is left out";
  EXPECT_EQ(env_->spec().action.dim(), 2) << "a choice of two";
  ExpectEnd(/*terminated=*/true, 4);
}

TEST_F(DmEnvRpcClientTest, InterruptedIsCutOff) {
  Connect(OddServer::End::kInterrupted);
  ExpectEnd(/*terminated=*/false, 4);
}

TEST_F(DmEnvRpcClientTest, TerminatedWithADiscountIsCutOff) {
  Connect(OddServer::End::kTerminatedWithDiscount);
  ExpectEnd(/*terminated=*/false, 4);
}

TEST_F(DmEnvRpcClientTest, ALimitIsKeptByTheClientAlsoWhereTheServerResetsNothing) {
  Connect(OddServer::End::kTerminated, /*max_episode_steps=*/3);
  EXPECT_EQ(env_->spec().max_episode_steps, 3);
  ExpectEnd(/*terminated=*/false, 3);
}

TEST_F(DmEnvRpcClientTest, OtherSpecsAfterALossAreForGood) {
  Connect(OddServer::End::kTerminated);
  server_->other_specs = true;
  server_->refuses = true;
  absl::Status status;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (status.ok() && std::chrono::steady_clock::now() < deadline) {
    status = env_->Step(std::vector<float>(4));
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST_F(DmEnvRpcClientTest, OneRefusalLosesOneEnvironment) {
  Connect(OddServer::End::kTerminated);
  Step();
  server_->refuses = true;
  Step();
  ExpectOneLost(FaultKind::kException);
}

TEST_F(DmEnvRpcClientTest, OneHangingStepLosesOneEnvironment) {
  Connect(OddServer::End::kTerminated);
  Step();
  server_->hangs = true;
  Step();
  ExpectOneLost(FaultKind::kHung);
}

TEST_F(DmEnvRpcClientTest, OneNumberThatIsNotFiniteLosesOneEnvironment) {
  Connect(OddServer::End::kTerminated);
  Step();
  server_->not_finite = true;
  Step();
  ExpectOneLost(FaultKind::kNotFinite);
}

TEST_F(DmEnvRpcClientTest, ANewWorldThatBeginsWithNoNumberIsOpenedAgain) {
  Connect(OddServer::End::kTerminated);
  Step();
  server_->bad_starts = 2;
  server_->refuses = true;
  int faults = 0;
  bool back = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (; !back && std::chrono::steady_clock::now() < deadline; Step()) {
    faults += static_cast<int>(env_->TakeFaults().size());
    for (const float x : env_->observations()) ASSERT_TRUE(std::isfinite(x));
    for (const Outcome outcome : env_->outcomes()) back |= outcome == Outcome::kStarted;
  }
  EXPECT_TRUE(back);
  EXPECT_EQ(faults, 3) << "the refusal and two bad starts";
  EXPECT_EQ(server_->connections, 5);
}

TEST_F(DmEnvRpcClientTest, ServersThatErrAgainAndAgainAreTriedEverMoreSeldom) {
  Connect(OddServer::End::kTerminated);
  server_->always_refuses = true;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  size_t faults = 0;
  while (std::chrono::steady_clock::now() < end) {
    Step();
    faults += env_->TakeFaults().size();
  }
  EXPECT_GE(faults, 4u);
  EXPECT_LE(faults, 14u) << "of two, each at once, then after 0.05 to 0.1 s, twice that, and so on";
  EXPECT_LE(server_->connections, 2 + 14);
  server_->always_refuses = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto run = [&] {
    return env_->outcomes()[0] == Outcome::kStepped && env_->outcomes()[1] == Outcome::kStepped;
  };
  while (!run() && std::chrono::steady_clock::now() < deadline) Step();
  env_->TakeFaults();
  for (int t = 0; t < 101; ++t) Step();  // what failed is forgotten
  server_->connections = 2;
  server_->refuses = true;
  const auto begin = std::chrono::steady_clock::now();
  Step();
  ExpectOneLost(FaultKind::kException);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST_F(DmEnvRpcClientTest, StopEndsEverything) {
  Connect(OddServer::End::kTerminated);
  env_->Stop();
  EXPECT_TRUE(absl::IsCancelled(env_->Step(std::vector<float>(4))));
  EXPECT_TRUE(absl::IsCancelled(env_->ResetAll()));
}

TEST(DmEnvRpcWorldsTest, WorldsAreGivenBackAndRunOut) {
  const auto server = EnvServer::Start(MakerOf("pendulum"), {.capacity = 3});
  ASSERT_TRUE(server.ok()) << server.status();
  EnvironmentSource source;
  source.server = "dm_env_rpc:" + (*server)->address();
  const auto provider = EnvironmentProvider::Create(source);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const auto refused = (*provider)->Make(4, 1);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("gave 3"));
  EXPECT_EQ((*server)->host().available(), 3);
  {
    const auto env = (*provider)->Make(3, 1);
    ASSERT_TRUE(env.ok()) << env.status();
    EXPECT_EQ((*server)->host().available(), 0);
    (*env)->Stop();
  }
  EXPECT_EQ((*server)->host().available(), 3) << "also after Stop";
  source.arguments = R"({"wind": 1})";
  const auto windy = EnvironmentProvider::Create(source);
  const auto none = (*windy)->Make(1, 1);
  EXPECT_TRUE(absl::IsInvalidArgument(none.status())) << none.status();
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("wind"));
}

}  // namespace
}  // namespace tandem::env_server
