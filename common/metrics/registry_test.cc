#include "common/metrics/registry.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

namespace tandem::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

/// What an HTTP client gets from http://127.0.0.1:port/metrics.
std::string Get(const std::string& address) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const std::string request = "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string reply(1 << 20, '\0');
  size_t size = 0;
  for (ssize_t n; (n = read(fd, reply.data() + size, reply.size() - size)) > 0;) size += n;
  close(fd);
  reply.resize(size);
  return reply;
}

TEST(RegistryTest, GaugeIsNanUntilSetAndTakesNanForNoData) {
  Registry registry;
  Gauge& gauge = registry.AddGauge("tandem_lag_seconds", "Lag.");
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_lag_seconds Nan\n"));
  gauge.Set(2.5);
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_lag_seconds 2.5\n"));
  gauge.Set(kNan);
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_lag_seconds Nan\n"));
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_nonfinite_observations_total 0\n"));
}

TEST(RegistryTest, DropsAndCountsWhatIsNotFinite) {
  Registry registry;
  Counter& counter = registry.AddCounter("tandem_steps_total", "Steps.");
  Histogram& histogram = registry.AddHistogram("tandem_call_seconds", "Calls.", LatencyBuckets());
  Gauge& gauge = registry.AddGauge("tandem_lag_seconds", "Lag.");
  counter.Increment(3);
  counter.Increment(kNan);
  counter.Increment(kInf);
  counter.Increment(-1);
  histogram.Observe(0.5);
  histogram.Observe(kNan);
  histogram.Observe(-0.5);
  gauge.Set(kInf);
  const std::string page = registry.Page();
  EXPECT_THAT(page, HasSubstr("\ntandem_steps_total 3\n"));
  EXPECT_THAT(page, HasSubstr("\ntandem_call_seconds_sum 0.5\n"));
  EXPECT_THAT(page, HasSubstr("\ntandem_call_seconds_count 1\n"));
  EXPECT_THAT(page, HasSubstr("\ntandem_lag_seconds Nan\n"));
  EXPECT_THAT(page, HasSubstr("\ntandem_nonfinite_observations_total 6\n"));
}

TEST(RegistryTest, BucketsIncludeTheirUpperBound) {
  Registry registry;
  registry.AddHistogram("tandem_h_seconds", "H.", {1, 2}).Observe(1);
  EXPECT_THAT(registry.Page(), HasSubstr("tandem_h_seconds_bucket{le=\"1\"} 1\n"));
}

TEST(RegistryTest, SameNameAndLabelsGiveTheSameObject) {
  Registry registry;
  Counter& a = registry.AddCounter("tandem_x_total", "X.", {{"split", "train"}});
  EXPECT_EQ(&a, &registry.AddCounter("tandem_x_total", "X.", {{"split", "train"}}));
  EXPECT_NE(&a, &registry.AddCounter("tandem_x_total", "X.", {{"split", "holdout"}}));
  EXPECT_EQ(registry.Families().at("tandem_x_total"), "X.");
}

TEST(RegistryTest, AskingForAGaugeAgainKeepsItsValue) {
  Registry registry;
  registry.AddGauge("tandem_g", "G.").Set(7);
  registry.AddGauge("tandem_g", "G.");
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_g 7\n"));
}

TEST(RegistryDeathTest, OneNameHasOneKind) {
  Registry registry;
  registry.AddCounter("tandem_x_total", "X.");
  EXPECT_DEATH(registry.AddGauge("tandem_x_total", "X."), "tandem_x_total");
  EXPECT_DEATH(registry.AddGauge("tandem_y", "Y.", {{"le", "1"}}), "le");
}

TEST(RegistryTest, DescribesTheProcessAndTheBuild) {
  Registry registry;
  const auto families = registry.Families();
  EXPECT_EQ(families.count("process_cpu_seconds_total"), 1u);
  EXPECT_EQ(families.count("process_resident_memory_bytes"), 1u);
  EXPECT_EQ(families.count("process_start_time_seconds"), 1u);
  const std::string page = registry.Page();
  EXPECT_THAT(page, HasSubstr("tandem_build_info{"));
  EXPECT_THAT(page, HasSubstr("version=\""));
  const std::string key = "\nprocess_start_time_seconds ";
  const double start = std::stod(page.substr(page.find(key) + key.size()));
  EXPECT_NEAR(start, static_cast<double>(time(nullptr)), 120);
}

TEST(RegistryTest, ManyThreadsLoseNothing) {
  Registry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) registry.AddCounter("tandem_x_total", "X.").Increment();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(registry.Page(), HasSubstr("\ntandem_x_total 4000\n"));
}

TEST(RegistryTest, PagePassesPromtool) {
  // ./dev unpacks it there where the system has none.
  const char* source = std::getenv("TANDEM_SOURCE_DIR");
  const std::string path =
      std::string("PATH=$PATH:") + (source == nullptr ? "." : source) + "/.cache/tools/bin; ";
  ASSERT_EQ(std::system((path + "command -v promtool > /dev/null").c_str()), 0)
      << "promtool is not installed; ./dev installs it";
  Registry registry;
  registry.AddCounter("tandem_steps_total", "Steps.", {{"split", "train"}}).Increment();
  registry.AddGauge("tandem_index_ratio", "Never set.");
  registry.AddHistogram("tandem_call_seconds", "Calls.", LatencyBuckets()).Observe(0.1);
  FILE* promtool = popen((path + "promtool check metrics").c_str(), "w");
  ASSERT_NE(promtool, nullptr);
  const std::string page = registry.Page();
  fwrite(page.data(), 1, page.size(), promtool);
  EXPECT_EQ(pclose(promtool), 0) << page;
}

TEST(MetricsServerTest, ServesThePageAtTheBoundPort) {
  Registry registry;
  registry.AddCounter("tandem_steps_total", "Steps.").Increment(5);
  auto server = MetricsServer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), Not(HasSubstr(":0")));
  const std::string reply = Get((*server)->address());
  EXPECT_THAT(reply, HasSubstr("200 OK"));
  EXPECT_THAT(reply, HasSubstr("\ntandem_steps_total 5\n"));
}

TEST(MetricsServerTest, StopsQuickly) {
  Registry registry;
  auto server = MetricsServer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(server.ok()) << server.status();
  Get((*server)->address());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto start = std::chrono::steady_clock::now();
  server->reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST(MetricsServerTest, NamesAnAddressThatIsTaken) {
  Registry registry;
  auto first = MetricsServer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(first.ok());
  auto second = MetricsServer::Start((*first)->address(), registry);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().ToString(), HasSubstr((*first)->address()));
}

TEST(MetricsServerTest, RefusesWhatIsNoAddress) {
  Registry registry;
  EXPECT_EQ(MetricsServer::Start("nonsense", registry).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MetricsServer::Start("127.0.0.1:99999", registry).status().message(),
            "metrics address \"127.0.0.1:99999\": expected \"host:port\", port 0 to 65535");
}

}  // namespace
}  // namespace tandem::metrics
