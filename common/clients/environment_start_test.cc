#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "common/base/stop_signal.h"
#include "common/clients/testing/scripted_server_fixture.h"

namespace tandem::clients {
namespace {

using ::testing::HasSubstr;

/// How environments of a server begin, and why they do not.
using EnvironmentStartTest = ScriptedServerTest;

TEST_F(EnvironmentStartTest, EnvironmentsOfADeadClientAreWaitedFor) {
  server_->capacity = kEnvs;
  Connect();
  auto others = EnvironmentProvider::Create(source_);
  ASSERT_TRUE(others.ok()) << others.status();
  std::thread expiry([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    env_.reset();
  });
  const auto env = (*others)->Make(kEnvs, kSeed);
  expiry.join();
  EXPECT_TRUE(env.ok()) << env.status();
}

TEST_F(EnvironmentStartTest, StepsGoByGrpcWhereFramesAreOutOfReach) {
  server_->offers_frames = true;  // as from another container, in which its folder is mounted
  Connect();
  EXPECT_TRUE(env_->Step(std::vector<float>(kEnvs)).ok());
  EXPECT_TRUE(env_->TakeFaults().empty());
}

TEST_F(EnvironmentStartTest, AStopSignalEndsTheWaitsOfAStart) {
  source_.reset_timeout = absl::Seconds(60);
  StopSignal stop, none;
  source_.stop = &stop;
  std::thread stopper;
  const auto stop_soon = [&](StopSignal& signal) {
    stopper = std::thread([&signal] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      signal.Stop();
    });
  };
  const auto start = std::chrono::steady_clock::now();
  stop_soon(stop);
  EXPECT_TRUE(absl::IsCancelled(EnvironmentProvider::Create(source_).status())) << "absent";
  stopper.join();
  source_.stop = &none;
  ASSERT_TRUE(server_->Start());
  const auto provider = EnvironmentProvider::Create(source_);
  ASSERT_TRUE(provider.ok()) << provider.status();
  server_->SabotageNext(Sabotage::kHang);
  stop_soon(none);
  EXPECT_TRUE(absl::IsCancelled((*provider)->Make(kEnvs, kSeed).status())) << "hanging";
  stopper.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(EnvironmentStartTest, MoreThanFitsIntoMemoryIsRefused) {
  server_->edit_description = [](auto* message) {
    auto* const leaf = message->mutable_observation(0);
    leaf->clear_shape();
    leaf->set_kind(env::v1::SPACE_KIND_DISCRETE);
    leaf->set_element_type(env::v1::ELEMENT_TYPE_INT64);
    leaf->add_choices(1 << 20);
    leaf->clear_low();
    leaf->clear_high();
  };
  ASSERT_TRUE(server_->Start());
  const auto provider = EnvironmentProvider::Create(source_);
  ASSERT_TRUE(provider.ok()) << provider.status();
  const absl::Status status = (*provider)->Make(1000, kSeed).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("1048576 observations"));
}

TEST_F(EnvironmentStartTest, RoomAndArgumentsAreTheServersToRefuse) {
  server_->capacity = kEnvs + 1;
  Connect();
  const auto more = provider_->Make(2, kSeed);
  EXPECT_TRUE(absl::IsResourceExhausted(more.status())) << more.status();
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("1 are free"));
  env_.reset();
  EXPECT_EQ(server_->open_sessions(), 0u) << "given back by the destructor";
  EXPECT_TRUE(provider_->Make(2, kSeed).ok());
  source_.arguments = "bad";
  const auto refused = (*EnvironmentProvider::Create(source_))->Make(1, kSeed);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("TypeError"));
}

TEST_F(EnvironmentStartTest, WhatCannotBeSpokenOrMeantIsRefusedAtOnce) {
  server_->edit_description = [](auto* message) { message->set_protocol_version(2); };
  ASSERT_TRUE(server_->Start());
  EXPECT_TRUE(absl::IsUnimplemented(EnvironmentProvider::Create(source_).status()));
  server_->edit_description = [](auto*) {};
  source_.name = "another";
  const absl::Status other = EnvironmentProvider::Create(source_).status();
  EXPECT_THAT(other.ToString(), HasSubstr("expected another, the server has scripted"));
}

TEST_F(EnvironmentStartTest, AnAbsentServerIsWaitedForWithinTheTimeForAReset) {
  source_.reset_timeout = absl::Milliseconds(300);
  const absl::Status status = EnvironmentProvider::Create(source_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(source_.server));
}

}  // namespace
}  // namespace tandem::clients
