#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/base/rng.h"
#include "common/policy/policy.h"
#include "common/policy/sac_learner.h"

namespace tandem::policy {
namespace {

constexpr int kRows = 64;
constexpr int kObservation = 3;
constexpr int kAction = 2;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Put(const std::string& path, std::span<const float> values) {
  const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  ASSERT_TRUE(WriteFileAtomically(path, bytes).ok());
}

std::vector<float> Get(const std::string& path) {
  const auto bytes = ReadFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  std::vector<float> values(bytes.ok() ? bytes->size() / sizeof(float) : 0);
  if (!values.empty()) std::memcpy(values.data(), bytes->data(), bytes->size());
  return values;
}

void ExpectNear(const std::vector<float>& got, const std::vector<float>& expected,
                float tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << i;
}

TEST(PolicyParity, NumpyActsAsThisDoesOnTheSameSnapshot) {
  const EnvironmentSpec spec = {.name = "box",
                                .observation = {{-10, -10, -10}, {10, 10, 10}},
                                .action = {{-1, 0}, {3, 0.5}},
                                .max_episode_steps = 50};
  SacLearnerOptions options;
  options.hidden = {48, 32};
  options.seed = 7;
  auto learner = *SacLearner::Create(spec, options);
  const nn::TensorFile snapshot = learner->ExportPolicy();
  const std::string folder = ::testing::TempDir() + "/policy_parity";
  ASSERT_TRUE(MakeDirs(folder).ok());
  ASSERT_TRUE(
      WriteFileAtomically(folder + "/policy.safetensors", *nn::WriteSafetensors(snapshot)).ok());

  std::vector<float> observations(kRows * kObservation);
  Rng rng(5);
  rng.FillNormal(observations);
  Put(folder + "/observations", observations);
  const auto loaded = LoadPolicy(snapshot, spec, "cpu");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  std::vector<float> actions(kRows * kAction), sampled(kRows * kAction), log_probs(kRows);
  std::vector<float> means(kRows * kAction), log_stds(kRows * kAction);
  ASSERT_TRUE(loaded->policy->Act(observations, nullptr, actions, {}).ok());
  ASSERT_TRUE(loaded->policy->Act(observations, &rng, sampled, log_probs).ok());
  ASSERT_TRUE(loaded->policy->Distribution(observations, means, log_stds).ok());
  Put(folder + "/sampled", sampled);

  const std::string command = FromEnvironment("TANDEM_PYTHON") + " " +
                              FromEnvironment("TANDEM_SOURCE_DIR") + "/python/testing/act.py " +
                              folder + " " + std::to_string(kRows);
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  ExpectNear(Get(folder + "/means"), means, 1e-5);
  ExpectNear(Get(folder + "/log_stds"), log_stds, 1e-5);
  ExpectNear(Get(folder + "/actions"), actions, 1e-5);
  ExpectNear(Get(folder + "/log_probs"), log_probs, 2e-3);  // through atanh of a rounded action
}

}  // namespace
}  // namespace tandem::policy
