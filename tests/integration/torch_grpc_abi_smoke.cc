// LibTorch, gRPC and protobuf in one process: do they get on? LibTorch's package holds a protobuf
// of its own, hidden; were it ever exported, programs would break in strange ways long before this
// test's message told why.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <google/protobuf/stubs/common.h>
#include <gtest/gtest.h>
#include <link.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/nn/actor_critic.h"
#include "common/nn/device.h"
#include "common/rpc/server_runner.h"
#include "common/snapshot/snapshot_service.h"

namespace tandem {
namespace {

/// Names of the loaded objects that define `symbol` themselves.
std::vector<std::string> Definers(const char* symbol) {
  std::vector<std::string> objects;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* names) {
        static_cast<std::vector<std::string>*>(names)->push_back(info->dlpi_name);
        return 0;
      },
      &objects);
  std::vector<std::string> definers;
  for (const std::string& name : objects) {
    void* object = dlopen(name.empty() ? nullptr : name.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (object == nullptr) continue;        // the kernel's own
    void* address = dlsym(object, symbol);  // looks in what the object needs as well
    Dl_info where{};
    if (address != nullptr && dladdr(address, &where) != 0 && name == where.dli_fname) {
      definers.push_back(name);
    }
    dlclose(object);
  }
  return definers;
}

TEST(TorchGrpcAbiSmoke, OneProtobufIsVisible) {
  GOOGLE_PROTOBUF_VERIFY_VERSION;
  const auto definers = Definers("_ZN6google8protobuf8internal13VerifyVersionEiiPKc");
  EXPECT_THAT(definers, testing::ElementsAre(testing::HasSubstr("libprotobuf.so")));
  // The method itself: a function that only LibTorch has is found in LibTorch alone.
  EXPECT_THAT(Definers("_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_"
                       "traitsIcESaIcEEE"),
              testing::ElementsAre(testing::HasSubstr("libc10.so")));
}

TEST(TorchGrpcAbiSmoke, TrainedWeightsTravelOverGrpc) {
  ASSERT_TRUE(nn::ConfigureThreads(1).ok());
  nn::ActorCriticSpec spec;
  spec.obs_dim = 3;
  spec.action_dim = 2;
  spec.hidden = {16, 16};
  auto learner = nn::ActorCritic::Create(spec, {}, "cpu", /*seed=*/1);
  ASSERT_TRUE(learner.ok()) << learner.status();
  constexpr int64_t kRows = 8;
  std::vector<float> observations(kRows * 3), actions(kRows * 2, 0.1f), rewards(kRows, 1),
      terminated(kRows, 0);
  for (size_t i = 0; i < observations.size(); ++i) observations[i] = 0.1f * static_cast<float>(i);
  const nn::SacBatch batch{kRows, observations, actions, rewards, observations, terminated};
  nn::TensorFile before, trained;
  (*learner)->ExportParameters(&before);
  for (int i = 0; i < 5; ++i) {
    const auto figures = (*learner)->Update(batch);
    ASSERT_TRUE(figures.ok()) << figures.status();
  }
  (*learner)->ExportParameters(&trained);
  EXPECT_NE(before.tensors.at("actor.w0").data, trained.tensors.at("actor.w0").data);

  char name[] = "/tmp/tandem-smoke-XXXXXX";
  const std::string dir = mkdtemp(name);
  metrics::Registry registry;
  snapshot::SnapshotStore store(snapshot::kPolicySeries, /*epoch=*/1);
  const auto server = snapshot::SnapshotServer::Create({&store}, registry);
  rpc::ServerOptions options;
  options.role = "smoke";
  options.address = "unix:" + dir + "/a.sock";
  options.services = {server->service()};
  options.live_calls = {server->live_calls()};
  auto runner = rpc::ServerRunner::Start(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  const auto source =
      snapshot::WatchRemote(options.address, snapshot::kPolicySeries, "smoke", registry);
  ASSERT_TRUE(store.Publish(trained).ok());
  const auto got = source->WaitNewer({}, absl::Seconds(10));
  ASSERT_NE(got, nullptr);
  const auto file = got->Parse();
  ASSERT_TRUE(file.ok()) << file.status();

  auto reader = nn::ActorCritic::Create(spec, {}, "cpu", /*seed=*/2);
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE((*reader)->ImportParameters(*file).ok());
  std::vector<float> here(kRows * 2), there(kRows * 2);
  ASSERT_TRUE((*learner)->Act(observations, {}, here, {}).ok());
  ASSERT_TRUE((*reader)->Act(observations, {}, there, {}).ok());
  EXPECT_EQ(here, there);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace tandem
