#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/config/config.h"

namespace tandem::config {
namespace {

using google::protobuf::util::MessageDifferencer;

void ExpectRoundTrip(const v1::RunConfig& config) {
  const auto again = Parse(ToYaml(config), "again.yaml", {});
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << ToYaml(config);
  EXPECT_TRUE(MessageDifferencer::Equals(config, *again)) << ToYaml(config);
}

TEST(ToYaml, DefaultsRoundTrip) {
  const auto config = Parse("", "x.yaml", {});
  ASSERT_TRUE(config.ok());
  ExpectRoundTrip(*config);
}

TEST(ToYaml, EveryKindOfValueRoundTrips) {
  const auto config = Parse(
      "run: {name: 0.5, seed: 18446744073709551615}\nenv: {name: pendulum}\n"
      "policy: {hidden: [7], lr: 0.1000000000000000055, tau: 3.3e-17}\npace: {mode: Async}\n"
      "model: {termination: never}\nstop: {return_at_least: -1e300}\n",
      "x.yaml",
      {"endpoints.listen=unix:/a b/\"c\"\\d: #e\n\x01", "endpoints.monitor=null:",
       "endpoints.member=", "endpoints.metrics=127.0.0.1:0", "endpoints.state_dir=~"});
  ASSERT_TRUE(config.ok()) << config.status();
  ExpectRoundTrip(*config);
}

TEST(ToYaml, IsReadable) {
  v1::RunConfig config;
  config.mutable_policy()->set_lr(5e-5);
  config.mutable_policy()->add_hidden(64);
  config.mutable_policy()->add_hidden(32);
  config.mutable_pace()->set_mode(v1::PACE_MODE_ASYNC);
  EXPECT_EQ(ToYaml(config), "pace:\n  mode: ASYNC\npolicy:\n  hidden: [64, 32]\n  lr: 5e-05\n");
}

}  // namespace
}  // namespace tandem::config
