#include "services/monitor/web/dashboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "common/base/files.h"

namespace tandem::monitor {
namespace {

using coadaptation::Knob;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

/// A judgement with two checkpoints: one where hardly anything is known, one with an exact zero.
class DashboardTest : public testing::Test {
 protected:
  DashboardTest() : history_(*History::Open("")) {
    HistoryCheckpoint first, second;
    first.checkpoint.number = 1;
    first.checkpoint.env_steps = 250;
    second.checkpoint.number = 2;
    second.checkpoint.env_steps = 500;
    second.checkpoint.index = 0;
    second.checkpoint.gap_episode = std::numeric_limits<double>::infinity();
    second.judgement.verdict = coadaptation::Verdict::kWarning;
    second.judgement.evidence = 100;
    EXPECT_TRUE(history_->Append(first).ok());
    EXPECT_TRUE(history_->Append(second).ok());
    HistoryEvent event;
    event.kind = "action";
    event.text = "halved <b>the horizon</b>";
    event.knob = Knob::kRolloutHorizon;
    event.before = 4;
    event.after = 2;
    EXPECT_TRUE(history_->Append(event).ok());
    source_.report = [] {
      Report report;
      report.env_steps = 612;
      return report;
    };
    source_.judgement = [] {
      JudgeReport report;
      report.judgement.verdict = coadaptation::Verdict::kWarning;
      report.judgement.sentence = "Look out.";
      report.evidence_log10 = 2;
      return report;
    };
    source_.history = [this](int64_t from_checkpoint, int64_t from_event, size_t most) {
      return history_->Read(from_checkpoint, from_event, most);
    };
    facts_.name = "a run";
    facts_.recipe = {{Knob::kRealShare, 0.05}};
  }

  HttpResponse Get(const std::string& path, const std::string& query = "") {
    return Made().Handle({"GET", path, query, ""});
  }
  Dashboard& Made() {
    if (dashboard_ == nullptr) {
      dashboard_ = std::make_unique<Dashboard>(facts_, source_, &clock_);
    }
    return *dashboard_;
  }
  HttpResponse Post(const std::string& body) {
    return Made().Handle({"POST", "/api/override", "", body});
  }
  /// The run takes overrides with the token "secret".
  void AllowOverrides() {
    source_.set_override = [this](Knob knob, std::optional<double> value, const std::string& token,
                                  const std::string& reason) -> absl::Status {
      if (token != "secret") return absl::UnauthenticatedError("wrong token");
      if (value.has_value() && *value > 10) return absl::InvalidArgumentError("1 to 10");
      set_.push_back({knob, value, reason});
      return absl::OkStatus();
    };
  }

  struct Set {
    Knob knob;
    std::optional<double> value;
    std::string reason;
  };
  FakeClock clock_;
  std::unique_ptr<History> history_;
  RunFacts facts_;
  DashboardSource source_;
  std::unique_ptr<Dashboard> dashboard_;
  std::vector<Set> set_;
};

TEST_F(DashboardTest, TellsOfTheEndOnceItHasCome) {
  EXPECT_FALSE(Made().Watched());
  EXPECT_TRUE(Json::parse(Get("/api/report").body)["over"].is_null());
  EXPECT_TRUE(Made().Watched());
  clock_.Advance(absl::Seconds(4));
  EXPECT_FALSE(Made().Watched()) << "the page was closed";
  Made().End({"done", "goal reached", "/runs/x/report.html"});
  const Json over = Json::parse(Get("/api/report").body)["over"];
  EXPECT_EQ(over["outcome"], "done");
  EXPECT_EQ(over["reason"], "goal reached");
  EXPECT_EQ(over["report"], "/runs/x/report.html");
}

TEST(RunEndTest, IsReadFromTheFolderOfTheRun) {
  const std::string run = testing::TempDir() + "/run_end_test";
  std::filesystem::remove_all(run);
  const std::string state = run + "/state/monitor";
  ASSERT_TRUE(MakeDirs(state).ok());
  EXPECT_FALSE(ReadRunEnd(state).has_value()) << "the run goes on";
  EXPECT_FALSE(ReadRunEnd("").has_value());
  ASSERT_TRUE(WriteFileAtomically(run + "/result.json", "[").ok());
  EXPECT_FALSE(ReadRunEnd(state).has_value());
  ASSERT_TRUE(WriteFileAtomically(run + "/result.json",
                                  R"({"outcome": "failed", "reason": "no step", "restarts": 1})")
                  .ok());
  EXPECT_FALSE(ReadRunEnd(state).has_value()) << "somebody else's folder";
  ASSERT_TRUE(WriteFileAtomically(run + "/run.json", "{}").ok());
  const auto end = ReadRunEnd(state);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->outcome, "failed");
  EXPECT_EQ(end->reason, "no step");
  EXPECT_EQ(end->report, std::filesystem::path(run + "/report.html").lexically_normal());
  for (const std::string& same : {state + "/", std::filesystem::relative(state).string()}) {
    const auto again = ReadRunEnd(same);
    ASSERT_TRUE(again.has_value()) << same;
    EXPECT_EQ(again->report, end->report) << same;
  }
  ASSERT_TRUE(WriteFileAtomically(
                  run + "/result.json",
                  R"({"reason": "actor-0 died: no motor; its log, /x/y.log, ends with\nZ E"})")
                  .ok());
  EXPECT_EQ(ReadRunEnd(state)->reason, "actor-0 died: no motor");
  std::filesystem::remove_all(run);
}

TEST_F(DashboardTest, ServesThePageAndNothingFromElsewhere) {
  const HttpResponse page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.type, HasSubstr("text/html"));
  for (const char* path : {"/style.css", "/uplot.css", "/uplot.js", "/app.js"}) {
    EXPECT_THAT(page.body, HasSubstr(path + 1));
    EXPECT_EQ(Get(path).status, 200) << path;
    EXPECT_THAT(Get(path).body, Not(HasSubstr("//cdn"))) << path;
  }
  EXPECT_THAT(page.body, Not(HasSubstr("http")));
  EXPECT_EQ(Get("/nothing").status, 404);
}

TEST_F(DashboardTest, TellsWhatIsNotKnownFromZero) {
  const Json page = Json::parse(Get("/api/history").body);
  ASSERT_EQ(page["checkpoints"].size(), 2U);
  EXPECT_TRUE(page["checkpoints"][0]["figures"]["index"].is_null());
  EXPECT_TRUE(page["checkpoints"][0]["evidence_log10"].is_null());
  EXPECT_EQ(page["checkpoints"][1]["figures"]["index"], 0);
  EXPECT_TRUE(page["checkpoints"][1]["figures"]["gap_episode"].is_null()) << "infinity is no JSON";
  EXPECT_EQ(page["checkpoints"][1]["evidence_log10"], 2);
  EXPECT_EQ(page["checkpoints"][1]["verdict"], "warning");
}

TEST_F(DashboardTest, ContinuesTheHistoryWhereTheReaderIs) {
  const Json report = Json::parse(Get("/api/report").body);
  EXPECT_EQ(report["history"]["checkpoints"], 2);
  EXPECT_EQ(report["history"]["events"], 1);
  const Json page = Json::parse(Get("/api/history", "from=1&events=1").body);
  ASSERT_EQ(page["checkpoints"].size(), 1U);
  EXPECT_EQ(page["checkpoints"][0]["figures"]["env_steps"], 500);
  EXPECT_TRUE(page["events"].empty());
  EXPECT_EQ(page["next_checkpoint"], 2);
  EXPECT_EQ(Json::parse(Get("/api/history", "from=-3&events=x").body)["checkpoints"].size(), 2U);
}

TEST_F(DashboardTest, ReportsTheVerdictTheRunAndItsKnobs) {
  const Json report = Json::parse(Get("/api/report").body);
  EXPECT_EQ(report["report"]["verdict"], "warning");
  EXPECT_EQ(report["report"]["sentence"], "Look out.");
  EXPECT_EQ(report["report"]["env_steps"], 612);
  EXPECT_EQ(report["run"]["name"], "a run");
  EXPECT_EQ(report["run"]["overrides"], false);
  ASSERT_EQ(report["knobs"].size(), coadaptation::Knobs().size());
  EXPECT_EQ(report["knobs"][1]["name"], "real_share");
  EXPECT_EQ(report["knobs"][1]["recipe"], 0.05);
  EXPECT_TRUE(report["knobs"][4]["recipe"].is_null());
}

TEST_F(DashboardTest, ExportsTheHistoryAsCsvAndJson) {
  const HttpResponse csv = Get("/api/export.csv");
  EXPECT_EQ(csv.download, "tandem.csv");
  const std::vector<std::string> lines = absl::StrSplit(csv.body, "\r\n");
  ASSERT_EQ(lines.size(), 4U) << "names, two checkpoints, the end";
  EXPECT_THAT(lines[0], testing::StartsWith("verdict,signal,evidence_log10,warning_score,number,"));
  const std::vector<std::string> names = absl::StrSplit(lines[0], ',');
  const std::vector<std::string> first = absl::StrSplit(lines[1], ',');
  const std::vector<std::string> second = absl::StrSplit(lines[2], ',');
  ASSERT_EQ(first.size(), names.size());
  const auto index = std::find(names.begin(), names.end(), "index") - names.begin();
  EXPECT_EQ(first[index], "");
  EXPECT_EQ(second[index], "0");
  EXPECT_EQ(Json::parse(Get("/api/export.json").body)["events"][0]["knob"], "rollout_horizon");
}

TEST_F(DashboardTest, TakesNoOverrideWhereTheRunAllowsNone) {
  EXPECT_EQ(Post(R"({"knob": "real_share", "value": 1, "token": "", "reason": "x"})").status, 403);
}

TEST_F(DashboardTest, TakesAnOverrideWithTheTokenOnly) {
  AllowOverrides();
  EXPECT_EQ(Json::parse(Get("/api/report").body)["run"]["overrides"], true);
  EXPECT_EQ(
      Post(R"({"knob": "rollout_horizon", "value": 2, "token": "guess", "reason": "x"})").status,
      401);
  EXPECT_TRUE(set_.empty());
  EXPECT_EQ(
      Post(R"({"knob": "rollout_horizon", "value": 2, "token": "secret", "reason": "x"})").status,
      200);
  EXPECT_EQ(Post(R"({"knob": "rollout_horizon", "value": null, "token": "secret", "reason": "y"})")
                .status,
            200);
  ASSERT_EQ(set_.size(), 2U);
  EXPECT_EQ(set_[0].knob, Knob::kRolloutHorizon);
  EXPECT_EQ(set_[0].value, 2);
  EXPECT_EQ(set_[1].value, std::nullopt);
  EXPECT_EQ(set_[1].reason, "y");
}

TEST_F(DashboardTest, RefusesWhatIsNoOverride) {
  AllowOverrides();
  for (const char* body :
       {"", "[]", "{", R"({"knob": "gravity", "value": 1, "token": "secret", "reason": "x"})",
        R"({"knob": "real_share", "token": "secret", "reason": "x"})",
        R"({"knob": "real_share", "value": "1", "token": "secret", "reason": "x"})",
        R"({"knob": "real_share", "value": 11, "token": "secret", "reason": "x"})"}) {
    EXPECT_EQ(Post(body).status, 400) << body;
  }
  EXPECT_EQ(Get("/api/override").status, 405);
  EXPECT_EQ(Made().Handle({"POST", "/api/report", "", "{}"}).status, 405);
  EXPECT_TRUE(set_.empty());
}

TEST_F(DashboardTest, WaitsAfterManyWrongTokens) {
  AllowOverrides();
  const std::string right =
      R"({"knob": "real_share", "value": 1, "token": "secret", "reason": "x"})";
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Post(R"({"knob": "real_share", "value": 1, "token": "a", "reason": "x"})").status,
              401);
  }
  EXPECT_EQ(Post(right).status, 429);
  clock_.Advance(absl::Seconds(61));
  EXPECT_EQ(Post(right).status, 200);
}

TEST_F(DashboardTest, IsAtTheSameAddressAfterARestart) {
  const std::string folder = testing::TempDir() + "/dashboard_test_state";
  std::filesystem::remove_all(folder);
  const DashboardOptions options = {"127.0.0.1:0", folder, facts_};
  std::string address;
  {
    const auto served = ServeDashboard(options, source_, &clock_);
    ASSERT_TRUE(served.ok()) << served.status();
    address = served->address();
    const auto other = ServeDashboard(options, source_, &clock_);
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_NE(other->address(), address) << "that one is taken";
    ASSERT_TRUE(WriteFileAtomically(folder + "/dashboard_address", address).ok());
  }
  const auto again = ServeDashboard(options, source_, &clock_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->address(), address);
  DashboardOptions taken = options;
  taken.address = address;
  const auto elsewhere = ServeDashboard(taken, source_, &clock_);
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_NE(elsewhere->address(), address);
  taken.address = "192.0.2.1:8080";
  EXPECT_TRUE(absl::IsUnavailable(ServeDashboard(taken, source_, &clock_).status()))
      << "no address of this machine has no free ports either";
  EXPECT_EQ(ServeDashboard({}, source_, &clock_)->address(), "") << "no address, no dashboard";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tandem::monitor
