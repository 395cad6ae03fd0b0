#include "common/rpc/server_runner.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <thread>

#include "common/base/files.h"
#include "common/base/trouble.h"
#include "common/rpc/channel.h"
#include "tandem/member/v1/member.grpc.pb.h"

namespace tandem::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ServerRunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tandem-rpc-XXXXXX";
    dir_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  ServerOptions Options(const std::string& address) {
    ServerOptions options;
    options.role = "test";
    options.address = address;
    return options;
  }
  std::string dir_;
};

/// Asks the health service: the raw reply holds 1 for SERVING, 2 for NOT_SERVING as its only field.
std::string Health(const std::string& address) {
  grpc::GenericStub stub(Connect(address));
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(5));
  context.set_wait_for_ready(true);
  grpc::Slice empty;
  grpc::ByteBuffer request(&empty, 1), reply;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &reply,
                 [&](grpc::Status status) { done.set_value(status); });
  const grpc::Status status = done.get_future().get();
  if (!status.ok()) return status.error_message();
  grpc::Slice slice;
  EXPECT_TRUE(reply.TrySingleSlice(&slice).ok());
  if (slice.size() != 2 || slice.begin()[0] != 0x08) return "unexpected reply";
  return slice.begin()[1] == 1 ? "SERVING" : slice.begin()[1] == 2 ? "NOT_SERVING" : "else";
}

TEST_F(ServerRunnerTest, TellsWhatKeepsTheProcessFromItsWork) {
  auto runner = ServerRunner::Start(Options("127.0.0.1:0"));
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto stub = member::v1::MemberService::NewStub(Connect((*runner)->address()));
  const auto troubles = [&stub] {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(5));
    context.set_wait_for_ready(true);
    member::v1::GetTroublesResponse response;
    const grpc::Status status = stub->GetTroubles(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return std::vector<std::string>(response.troubles().begin(), response.troubles().end());
  };
  EXPECT_THAT(troubles(), testing::IsEmpty());
  SetTrouble("checkpoint", "the disk is full");
  EXPECT_THAT(troubles(), testing::ElementsAre("the disk is full"));
  SetTrouble("checkpoint", "the disk \xff is full");
  EXPECT_THAT(troubles(), testing::ElementsAre("the disk \uFFFD is full"));
  ClearTrouble("checkpoint");
  EXPECT_THAT(troubles(), testing::IsEmpty());
}

TEST_F(ServerRunnerTest, IsServingOnlyWhenTold) {
  auto runner = ServerRunner::Start(Options("127.0.0.1:0"));
  ASSERT_TRUE(runner.ok()) << runner.status();
  EXPECT_THAT((*runner)->address(), Not(testing::EndsWith(":0")));
  for (const char* wrong : {"127.0.0.1:99999", "127.0.0.1:", "127.0.0.1"}) {
    const absl::Status refused = ServerRunner::Start(Options(wrong)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("port 0 to 65535"));
  }
  EXPECT_EQ(Health((*runner)->address()), "NOT_SERVING");
  (*runner)->SetServing(true);
  EXPECT_EQ(Health((*runner)->address()), "SERVING");
  (*runner)->SetServing(false);
  EXPECT_EQ(Health((*runner)->address()), "NOT_SERVING");
  (*runner)->Drain(absl::Seconds(1));
}

TEST_F(ServerRunnerTest, WritesEndpointsWhileItRuns) {
  metrics::Registry registry;
  ServerOptions options = Options("unix:" + dir_ + "/run/a.sock");
  options.metrics_address = "127.0.0.1:0";
  options.registry = &registry;
  options.state_dir = dir_ + "/state";
  auto runner = ServerRunner::Start(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto text = ReadFile(dir_ + "/state/endpoints.json");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("\"address\":\"unix:" + dir_ + "/run/a.sock\""));
  EXPECT_THAT(*text, HasSubstr("\"metrics\":\"" + (*runner)->metrics_address() + "\""));
  EXPECT_THAT(*text, HasSubstr("\"pid\":" + std::to_string(getpid())));
  (*runner)->SetServing(true);
  EXPECT_EQ(Health((*runner)->address()), "SERVING");
  (*runner)->Drain(absl::Seconds(1));
  EXPECT_FALSE(ReadFile(dir_ + "/state/endpoints.json").ok());
}

TEST_F(ServerRunnerTest, NamesATcpAddressThatIsTaken) {
  auto first = ServerRunner::Start(Options("127.0.0.1:0"));
  ASSERT_TRUE(first.ok());
  testing::internal::CaptureStderr();
  auto second = ServerRunner::Start(Options((*first)->address()));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().ToString(), HasSubstr((*first)->address()));
}

TEST_F(ServerRunnerTest, LeavesALivingServersSocketAlone) {
  auto first = ServerRunner::Start(Options("unix:" + dir_ + "/a.sock"));
  ASSERT_TRUE(first.ok());
  auto second = ServerRunner::Start(Options("unix:" + dir_ + "/a.sock"));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().ToString(), HasSubstr(dir_ + "/a.sock"));
  EXPECT_EQ(Health((*first)->address()), "NOT_SERVING");
}

TEST_F(ServerRunnerTest, ReplacesADeadServersSocket) {
  const std::string path = dir_ + "/a.sock";
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  strcpy(at.sun_path, path.c_str());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
  close(fd);
  ASSERT_TRUE(std::filesystem::exists(path));
  auto runner = ServerRunner::Start(Options("unix:" + path));
  ASSERT_TRUE(runner.ok()) << runner.status();
  EXPECT_EQ(Health("unix:" + path), "NOT_SERVING");
}

TEST_F(ServerRunnerTest, RefusesWhatCannotBeASocket) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/file", "precious").ok());
  EXPECT_EQ(ServerRunner::Start(Options("unix:" + dir_ + "/file")).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(dir_ + "/file"), "precious");
  const auto long_path = ServerRunner::Start(Options("unix:/tmp/" + std::string(120, 'x')));
  EXPECT_EQ(long_path.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(long_path.status().ToString(), HasSubstr("107"));
  EXPECT_EQ(ServerRunner::Start(Options("nonsense")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerRunnerTest, FailsWhereTheStateFolderCannotBeWritten) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/file", "x").ok());
  ServerOptions options = Options("127.0.0.1:0");
  options.state_dir = dir_ + "/file/state";
  const auto runner = ServerRunner::Start(options);
  EXPECT_FALSE(runner.ok());
  EXPECT_THAT(runner.status().ToString(), HasSubstr(dir_ + "/file"));
}

void RunUntilSignal(const std::string& address, int signals) {
  BlockSignals();
  auto runner = ServerRunner::Start([&] {
    ServerOptions options;
    options.role = "test";
    options.address = address;
    return options;
  }());
  if (!runner.ok()) _exit(9);
  for (int i = 0; i < signals; ++i) {
    kill(getpid(), SIGTERM);
    if (i == 0) (*runner)->WaitForSignal();
    RequestShutdown();  // nothing new by now
  }
  if (signals > 1) std::this_thread::sleep_for(std::chrono::seconds(5));
  (*runner)->Drain(absl::Seconds(1));
  _exit(0);
}

TEST(SignalDeathTest, FirstDrainsAndSecondExitsAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(RunUntilSignal("127.0.0.1:0", 1), testing::ExitedWithCode(0), "test stops: SIGTERM");
  EXPECT_EXIT(RunUntilSignal("127.0.0.1:0", 2), testing::ExitedWithCode(130), "test stops");
}

/// Live calls that do not end when they are told to.
class Deaf : public LiveCalls {
 public:
  void CancelAll() override { std::this_thread::sleep_for(std::chrono::seconds(20)); }
};

void DrainDeaf() {
  Deaf deaf;
  ServerOptions options;
  options.role = "test";
  options.address = "127.0.0.1:0";
  options.live_calls = {&deaf};
  auto runner = ServerRunner::Start(options);
  (*runner)->Drain(absl::ZeroDuration());
  _exit(0);
}

TEST(WatchdogDeathTest, EndsADrainThatHangs) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(DrainDeaf(), testing::ExitedWithCode(3), "test does not stop");
}

}  // namespace
}  // namespace tandem::rpc
