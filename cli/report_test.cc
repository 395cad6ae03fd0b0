#include "cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "cli/run_folder.h"
#include "common/config/config.h"

namespace tandem::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    const std::string path = testing::TempDir() + "/report_test/run";
    folder_ = *RunFolder::Create(path, OnExist::kNew);
    config_ = *config::Parse("", "r.yaml", {"env.name=pendulum", "stop.return_at_least=950"});
    std::filesystem::create_directories(folder_->StateOf("monitor"));
    Write("versions.json", R"({"tandem": "1.2.3"})");
    Write("command.txt", "tandem train '<r>.yaml'\n");
  }
  ~ReportTest() override { std::filesystem::remove_all(testing::TempDir() + "/report_test"); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(folder_->Write(name, text).ok());
  }
  void Line(const std::string& name, const json& object) {
    ASSERT_TRUE(folder_->AppendLine(name, object).ok());
  }
  json ProgressAt(int64_t steps, double index) {
    return {{"kind", "progress"},      {"env_steps", steps},
            {"steps_per_second", 17},  {"index", index},
            {"verdict", "exploiting"}, {"verdict_sentence", "The policy exploits </script> it."},
            {"training_return", 100},  {"model_return", 900.5},
            {"evidence_log10", 2.25},  {"evidence_threshold_log10", 2.30103},
            {"signal", "gap_100"},     {"checkpoints", 9}};
  }
  std::string Html() {
    return ReportHtml(folder_->path(), config_, {"done", "goal reached", 75, 3});
  }
  /// The object that the page's script draws.
  static json DataOf(const std::string& html) {
    const std::string open = "<script type=\"application/json\" id=\"data\">";
    const size_t start = html.find(open) + open.size();
    return json::parse(html.substr(start, html.find("</script>", start) - start));
  }

  std::unique_ptr<RunFolder> folder_;
  config::v1::RunConfig config_;
};

TEST_F(ReportTest, TellsWhereThePolicyIsAndHowToSeeIt) {
  EXPECT_THAT(Html(), Not(HasSubstr("checkpoint.safetensors")));
  std::filesystem::create_directories(folder_->StateOf("policy_trainer"));
  Write("state/policy_trainer/checkpoint.safetensors", "");
  const std::string path = folder_->path();
  EXPECT_THAT(Html(), HasSubstr(path + "/state/policy_trainer/checkpoint.safetensors</dd>"));
  EXPECT_THAT(Html(), HasSubstr("tandem env render pendulum --policy " + path + "</dd>"));
  config_.mutable_env()->set_arguments(R"({"mass": 2})");
  EXPECT_THAT(Html(), HasSubstr("tandem env render pendulum --policy " + path +
                                " --arguments &#39;{&quot;mass&quot;: 2}&#39;</dd>"));
  config_.mutable_env()->set_server("robot:1");
  EXPECT_THAT(Html(), Not(HasSubstr("tandem env render"))) << "it can be served elsewhere by now";
}

TEST_F(ReportTest, EventsWithoutEndDoNotFillThePage) {
  for (int i = 0; i < 203; ++i) {
    Line("events.jsonl", {{"event", "in trouble"}, {"member", "actor-0"}, {"reason", "row"}});
  }
  const std::string html = Html();
  size_t rows = 0;
  for (size_t at = 0; (at = html.find("<td>row</td>", at)) != std::string::npos; ++at) ++rows;
  EXPECT_EQ(rows, 200u);
  EXPECT_THAT(html, HasSubstr("3 more are in events.jsonl"));
}

TEST_F(ReportTest, SaysWhatTheJointObjectiveDoesNotKnow) {
  EXPECT_EQ(DataOf(Html())["objective"], "");
  config_.mutable_objective()->set_kind(config::v1::OBJECTIVE_KIND_MNM);
  EXPECT_EQ(DataOf(Html())["objective"], "MNM");
}

TEST_F(ReportTest, HoldsVerdictFactsTablesAndCurves) {
  Line("metrics.jsonl", {{"kind", "progress"}, {"env_steps", 0}, {"steps_per_second", nullptr}});
  Line("metrics.jsonl", ProgressAt(100, 0.1));
  Line("metrics.jsonl", ProgressAt(100, 0.2));  // the newest of a step counts
  Line("metrics.jsonl", ProgressAt(200, 0.4));
  Line("metrics.jsonl", {{"kind", "evaluation"},
                         {"env_steps", 250},
                         {"mean_return", 955.25},
                         {"episodes", 10},
                         {"policy_updates", 77}});
  Line(
      "events.jsonl",
      {{"event", "died"}, {"member", "actor-0"}, {"reason", "signal 9 (Killed)"}, {"time", "now"}});
  Line("state/monitor/history.jsonl", {{"kind", "checkpoint"},
                                       {"env_steps", 250},
                                       {"gap_25", 0.5},
                                       {"index", 0.3},
                                       {"verdict", "warning"},
                                       {"evidence_log10", 2.25}});
  Line("state/monitor/history.jsonl", {{"kind", "state"}, {"m", {1, 2}}});
  Line("state/monitor/history.jsonl", {{"kind", "event"},
                                       {"event", "action"},
                                       {"env_steps", 260},
                                       {"text", "halved <it>"},
                                       {"knob", "rollout_horizon"},
                                       {"before", 4},
                                       {"after", 2}});
  const std::string html = Html();
  EXPECT_THAT(html, HasSubstr("<tr><td>260</td><td>action</td><td>halved &lt;it&gt;</td>"
                              "<td>rollout_horizon 4 \u2192 2</td></tr>"));
  EXPECT_THAT(html,
              HasSubstr("Evidence for an alarm: 178 of 200, carried by gap_100; 9 checkpoints"));
  EXPECT_EQ(DataOf(html)["checkpoints"]["gap_25"], json({0.5}));
  EXPECT_EQ(DataOf(html)["checkpoints"]["index"], json({0.3}));
  EXPECT_EQ(DataOf(html)["checkpoints"]["gap_5"], json({nullptr}));
  EXPECT_NEAR(DataOf(html)["evidence_threshold_log10"].get<double>(), 2.301, 1e-3);
  EXPECT_THAT(html,
              HasSubstr("<strong>exploiting</strong>The policy exploits &lt;/script&gt; it."));
  EXPECT_THAT(html, HasSubstr("done: goal reached"));
  EXPECT_THAT(html, HasSubstr("<dt>tandem</dt><dd>1.2.3</dd>"));
  EXPECT_THAT(html, HasSubstr("tandem train &#39;&lt;r&gt;.yaml&#39;"));
  EXPECT_THAT(html, HasSubstr("<dt>wall time</dt><dd>1m15s</dd>"));
  EXPECT_THAT(html, HasSubstr("<tr><td>250</td><td>955.2</td><td>10</td><td>77</td></tr>"));
  EXPECT_THAT(html, HasSubstr("signal 9 (Killed)"));
  EXPECT_THAT(html, HasSubstr("  return_at_least: 950"));
  const json data = DataOf(html);
  EXPECT_EQ(data["progress"]["env_steps"], json({100, 200}));
  EXPECT_EQ(data["progress"]["training_return"], json({100, 100}));
  EXPECT_EQ(data["progress"]["model_return"], json({900.5, 900.5}));
  EXPECT_EQ(data["progress"]["real_return"], json({nullptr, nullptr}));
  EXPECT_EQ(data["evaluations"]["mean_return"], json({955.25}));
  EXPECT_EQ(data["goal"], 950);
  EXPECT_EQ(data["tolerance"], 0.2);
}

TEST_F(ReportTest, NeedsNothingFromElsewhere) {
  Line("metrics.jsonl", ProgressAt(100, 0.1));
  const std::string html = Html();
  EXPECT_THAT(html, HasSubstr("uPlot"));
  EXPECT_THAT(html, HasSubstr(".uplot"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(html, Not(HasSubstr("{{")));
  EXPECT_THAT(html, Not(HasSubstr(" src=")));
  EXPECT_THAT(html, Not(HasSubstr("<link")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  for (const char* tag : {"html", "head", "body", "section", "table", "dl", "script", "style"}) {
    const auto count = [&](const std::string& pattern) {
      const std::regex regex(pattern);
      return std::distance(std::sregex_iterator(html.begin(), html.end(), regex), {});
    };
    EXPECT_EQ(count(std::string("<") + tag + "[ >]"), count(std::string("</") + tag + ">")) << tag;
  }
}

TEST_F(ReportTest, AnEmptyRunHasAReportToo) {
  const std::string html = Html();
  EXPECT_THAT(html, HasSubstr("The monitor gave no verdict."));
  EXPECT_THAT(html, HasSubstr("none was finished"));
  EXPECT_THAT(html, HasSubstr("no alarm, no action"));
  EXPECT_EQ(DataOf(html)["progress"]["env_steps"], json::array());
}

TEST(Thinned, KeepsTheEnds) {
  std::vector<json> records;
  records.reserve(1001);
  for (int i = 0; i < 1001; ++i) records.push_back(i);
  const std::vector<json> kept = Thinned(records, 11);
  ASSERT_EQ(kept.size(), 11u);
  EXPECT_EQ(kept.front(), 0);
  EXPECT_EQ(kept[1], 100);
  EXPECT_EQ(kept.back(), 1000);
}

}  // namespace
}  // namespace tandem::cli
