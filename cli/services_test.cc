#include "cli/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/config/config.h"
#include "common/config/service_flags.h"

namespace tandem::cli {
namespace {

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() : path_(testing::TempDir() + "/services_test/run") {
    config_ = *config::Parse("", "r.yaml",
                             {"env.name=pendulum", "actor.processes=2", "runtime.threads=3"});
    folder_ = *RunFolder::Create(path_, OnExist::kNew);
  }
  ~ServicesTest() override { std::filesystem::remove_all(testing::TempDir() + "/services_test"); }

  const std::string path_;
  config::v1::RunConfig config_;
  std::unique_ptr<RunFolder> folder_;
};

TEST_F(ServicesTest, ARunHasFourServicesAndItsActors) {
  std::vector<std::string> names;
  for (const Member& member : MembersOf(config_)) names.push_back(member.name);
  EXPECT_THAT(names, testing::ElementsAre("replay_buffer", "model_trainer", "policy_trainer",
                                          "monitor", "actor-0", "actor-1"));
}

TEST_F(ServicesTest, AServiceReadsItsAddressesFromItsCommandLine) {
  ASSERT_TRUE(DescribeRun(*folder_, config_, "tandem train r.yaml").ok());
  ChildSpec spec = SpecFor({"actor-1", "actor"}, *folder_, config_, "/opt/bin");
  EXPECT_EQ(spec.argv[0], "/opt/bin/tandem_actor");
  EXPECT_THAT(spec.environment, testing::Contains(testing::Pair("OMP_NUM_THREADS", "3")));
  EXPECT_EQ(spec.log_path, folder_->path() + "/logs/actor-1.log");
  std::vector<char*> argv;
  for (std::string& word : spec.argv) argv.push_back(word.data());
  const config::ServiceArgs args = config::ParseServiceArgs(
      static_cast<int>(argv.size()), argv.data(), "actor", "Collects steps.");
  ASSERT_FALSE(args.exit);
  EXPECT_EQ(args.config.env().name(), "pendulum");
  const config::v1::Endpoints& endpoints = args.config.endpoints();
  EXPECT_EQ(endpoints.member(), "actor-1");
  EXPECT_EQ(endpoints.listen(), folder_->AddressOf("actor-1"));
  EXPECT_EQ(endpoints.replay_buffer(), folder_->AddressOf("replay_buffer"));
  EXPECT_EQ(endpoints.state_dir(), folder_->path() + "/state/actor-1");
  EXPECT_TRUE(std::filesystem::is_directory(endpoints.state_dir()));
}

TEST_F(ServicesTest, OnlyTheReplayBuffersDeathIsFinal) {
  for (const Member& member : MembersOf(config_)) {
    EXPECT_EQ(SpecFor(member, *folder_, config_, "/bin").why_death_is_final.empty(),
              member.role != "replay_buffer");
  }
}

TEST_F(ServicesTest, TheFolderSaysWhatWasRun) {
  ASSERT_TRUE(DescribeRun(*folder_, config_, "tandem train r.yaml").ok());
  const nlohmann::json versions = ReadJsonFile(folder_->File("versions.json"));
  for (const char* name :
       {"tandem", "grpc", "protobuf", "libtorch", "mujoco", "compiler", "system"}) {
    EXPECT_FALSE(versions.value(name, "").empty()) << name;
  }
  EXPECT_EQ(ReadJsonFile(folder_->File("run.json"))["members"].size(), 6u);
  EXPECT_EQ(config::ToYaml(*config::Load(folder_->File("config.yaml"), {})),
            config::ToYaml(config_));
}

TEST_F(ServicesTest, MoreCoresThanThereAreIsAnError) {
  const absl::Status status = UseCores(UsableCores() + 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServicesTest, ATrainerTakesItsShareOfTheCoresAndAtMostTwo) {
  EXPECT_EQ(ThreadsFor(1, config::v1::PACE_MODE_LOCKSTEP), 1);
  EXPECT_EQ(ThreadsFor(2, config::v1::PACE_MODE_LOCKSTEP), 2);
  EXPECT_EQ(ThreadsFor(16, config::v1::PACE_MODE_LOCKSTEP), 2);
  EXPECT_EQ(ThreadsFor(1, config::v1::PACE_MODE_ASYNC), 1);
  EXPECT_EQ(ThreadsFor(3, config::v1::PACE_MODE_ASYNC), 1);
  EXPECT_EQ(ThreadsFor(4, config::v1::PACE_MODE_ASYNC), 2);
}

TEST_F(ServicesTest, ARecipesThreadsReachTheServices) {
  const auto threads = [this] {
    return SpecFor({"model_trainer", "model_trainer"}, *folder_, config_, "/bin").environment;
  };
  EXPECT_THAT(threads(), testing::Contains(testing::Pair("OMP_NUM_THREADS", "3")));
  config_.mutable_runtime()->clear_threads();
  EXPECT_THAT(threads(), testing::Contains(testing::Pair("OMP_NUM_THREADS", "1")));
}

TEST_F(ServicesTest, ThreadsOfTheServicesSleepWhileTheyWaitUnlessToldOtherwise) {
  const auto policy = [this] {
    for (const auto& [name, value] :
         SpecFor({"model_trainer", "model_trainer"}, *folder_, config_, "/bin").environment) {
      if (name == "OMP_WAIT_POLICY") return value;
    }
    return std::string("none");
  };
  const char* set = std::getenv("OMP_WAIT_POLICY");
  const std::string before = set == nullptr ? "" : set;
  unsetenv("OMP_WAIT_POLICY");
  EXPECT_EQ(policy(), "passive");
  setenv("OMP_WAIT_POLICY", "active", /*replace=*/1);
  EXPECT_EQ(policy(), "active");
  if (set == nullptr) {
    unsetenv("OMP_WAIT_POLICY");
  } else {
    setenv("OMP_WAIT_POLICY", before.c_str(), /*replace=*/1);
  }
}

}  // namespace
}  // namespace tandem::cli
