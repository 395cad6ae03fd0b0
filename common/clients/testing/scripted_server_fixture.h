#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "common/clients/environments.h"
#include "common/clients/testing/scripted_env_server.h"

namespace tandem::clients {

/// A scripted server on a socket of its own, and a client of its environments.
class ScriptedServerTest : public testing::Test {
 protected:
  static constexpr int kEnvs = 3;
  static constexpr uint64_t kSeed = 11;

  ScriptedServerTest() {
    char name[] = "/tmp/tandem-scripted-XXXXXX";
    dir_ = mkdtemp(name);
    source_.server = "unix:" + dir_ + "/env.sock";
    source_.reset_timeout = absl::Seconds(1);
    server_ = std::make_unique<ScriptedEnvServer>(source_.server);
  }
  ~ScriptedServerTest() override {
    env_.reset();
    provider_.reset();
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Connect() {
    ASSERT_TRUE(server_->Start());
    auto provider = EnvironmentProvider::Create(source_);
    ASSERT_TRUE(provider.ok()) << provider.status();
    provider_ = *std::move(provider);
    auto env = provider_->Make(kEnvs, kSeed);
    ASSERT_TRUE(env.ok()) << env.status();
    env_ = *std::move(env);
  }

  std::string dir_;
  EnvironmentSource source_;
  std::unique_ptr<ScriptedEnvServer> server_;
  std::unique_ptr<EnvironmentProvider> provider_;
  std::unique_ptr<VectorEnvironment> env_;
};

}  // namespace tandem::clients
