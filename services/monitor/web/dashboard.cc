#include "services/monitor/web/dashboard.h"

#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "services/monitor/web/dashboard_json.h"

namespace tandem::monitor {

// The files of page/ and third_party/uplot, see CMakeLists.txt.
extern const std::string_view kPageHtml;
extern const std::string_view kPageStyle;
extern const std::string_view kPageApp;
extern const std::string_view kPageChartList;
extern const std::string_view kPageCharts;
extern const std::string_view kPageFeed;
extern const std::string_view kPageFormat;
extern const std::string_view kPageIcons;
extern const std::string_view kPageOverride;
extern const std::string_view kPageTables;
extern const std::string_view kPageVerdict;
extern const std::string_view kPageUplotScript;
extern const std::string_view kPageUplotStyle;

namespace {

constexpr char kHtml[] = "text/html; charset=utf-8";
constexpr char kCss[] = "text/css; charset=utf-8";
constexpr char kScript[] = "text/javascript; charset=utf-8";
constexpr char kJson[] = "application/json";
constexpr size_t kPageSize = 1000;
constexpr int kWrongTokens = 5;
constexpr absl::Duration kTokenWindow = absl::Minutes(1);
constexpr absl::Duration kWatchedFor = absl::Seconds(3);  // some of a page's questions

struct Asset {
  std::string_view path;
  const std::string_view* text;
  const char* type;
};
constexpr Asset kAssets[] = {{"/", &kPageHtml, kHtml},
                             {"/style.css", &kPageStyle, kCss},
                             {"/uplot.css", &kPageUplotStyle, kCss},
                             {"/uplot.js", &kPageUplotScript, kScript},
                             {"/app.js", &kPageApp, kScript},
                             {"/chart_list.js", &kPageChartList, kScript},
                             {"/charts.js", &kPageCharts, kScript},
                             {"/feed.js", &kPageFeed, kScript},
                             {"/format.js", &kPageFormat, kScript},
                             {"/icons.js", &kPageIcons, kScript},
                             {"/override.js", &kPageOverride, kScript},
                             {"/tables.js", &kPageTables, kScript},
                             {"/verdict.js", &kPageVerdict, kScript}};

HttpResponse Body(const char* type, std::string body, std::string download = "") {
  HttpResponse response;
  response.type = type;
  response.body = std::move(body);
  response.download = std::move(download);
  return response;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// All of the history that is in memory.
HistoryPage Whole(const DashboardSource& source) {
  HistoryPage whole;
  while (true) {
    HistoryPage page = source.history(whole.next_checkpoint, whole.next_event, kPageSize);
    if (page.checkpoints.empty() && page.events.empty()) return whole;
    for (auto& one : page.checkpoints) whole.checkpoints.push_back(std::move(one));
    for (auto& one : page.events) whole.events.push_back(std::move(one));
    whole.next_checkpoint = page.next_checkpoint;
    whole.next_event = page.next_event;
  }
}

HttpResponse FromStatus(const absl::Status& status) {
  int code = 500;
  if (status.ok()) code = 200;
  if (absl::IsInvalidArgument(status) || absl::IsNotFound(status)) code = 400;
  if (absl::IsUnauthenticated(status)) code = 401;
  if (absl::IsPermissionDenied(status)) code = 403;
  return TextResponse(
      code,
      status.ok() ? "done" : std::string_view(status.message().data(), status.message().size()));
}

/// A request of the override form, checked.
struct Wish {
  coadaptation::Knob knob = coadaptation::Knob::kRolloutHorizon;
  std::optional<double> value;
  std::string reason;
  std::string token;
};

absl::StatusOr<Wish> ParseWish(const std::string& body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("expected a JSON object");
  const auto text = [&json](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::optional<coadaptation::Knob> knob = coadaptation::KnobFromName(text("knob"));
  if (!knob.has_value()) return absl::InvalidArgumentError("\"knob\" names no knob");
  Wish wish = {*knob, std::nullopt, text("reason"), text("token")};
  const auto value = json.find("value");
  if (value == json.end() || !(value->is_number() || value->is_null())) {
    return absl::InvalidArgumentError("\"value\" must be a number, or null to give the knob back");
  }
  if (value->is_number()) wish.value = value->get<double>();
  return wish;
}

}  // namespace

DashboardSource SourceOf(Judge* judge) {
  DashboardSource source;
  source.judgement = [judge] { return judge->Report(); };
  source.history = [judge](int64_t from_checkpoint, int64_t from_event, size_t most) {
    return judge->ReadHistory(from_checkpoint, from_event, most);
  };
  if (judge->allows_overrides()) {
    source.set_override = [judge](coadaptation::Knob knob, std::optional<double> value,
                                  const std::string& token, const std::string& reason) {
      return judge->SetOverride(knob, value, token, reason).status();
    };
  }
  return source;
}

Dashboard::Dashboard(RunFacts facts, DashboardSource source, Clock* clock)
    : facts_(std::move(facts)),
      source_(std::move(source)),
      clock_(clock),
      id_(absl::ToUnixMillis(clock->Now())) {}

HttpResponse Dashboard::Handle(const HttpRequest& request) {
  const bool get = request.method == "GET";
  if (request.path == "/api/override")
    return get ? TextResponse(405, "POST it") : Override(request);
  if (!get) return TextResponse(405, "only GET here");
  for (const Asset& asset : kAssets) {
    if (request.path == asset.path) return Body(asset.type, std::string(*asset.text));
  }
  if (request.path == "/api/report") {
    const HistoryPage all = source_.history(std::numeric_limits<int64_t>::max(),
                                            std::numeric_limits<int64_t>::max(), 0);
    Json report = ReportJson(facts_, source_.report(), source_.judgement(), all,
                             source_.set_override != nullptr);
    report["history"]["id"] = id_;
    report["over"] = HearAndTell();
    report["time"] = absl::ToDoubleSeconds(clock_->Now() - absl::UnixEpoch());
    return Body(kJson, Dump(report));
  }
  if (request.path == "/api/history") {
    return Body(kJson, Dump(HistoryJson(source_.history(QueryNumber(request.query, "from", 0),
                                                        QueryNumber(request.query, "events", 0),
                                                        kPageSize))));
  }
  if (request.path == "/api/export.csv") {
    return Body("text/csv; charset=utf-8", HistoryCsv(Whole(source_).checkpoints), "tandem.csv");
  }
  if (request.path == "/api/export.json") {
    return Body(kJson, Dump(HistoryJson(Whole(source_))), "tandem.json");
  }
  return TextResponse(404, "there is no such page");
}

HttpResponse Dashboard::Override(const HttpRequest& request) {
  if (source_.set_override == nullptr) return TextResponse(403, "this run allows no overrides");
  const absl::StatusOr<Wish> wish = ParseWish(request.body);
  if (!wish.ok()) return FromStatus(wish.status());
  if (!MayTry()) return TextResponse(429, "too many wrong tokens: wait a minute");
  const absl::Status status =
      source_.set_override(wish->knob, wish->value, wish->token, wish->reason);
  if (absl::IsUnauthenticated(status)) CountWrongToken();
  return FromStatus(status);
}

void Dashboard::End(RunEnd end) {
  MutexLock lock(mu_);
  end_ = std::move(end);
}

bool Dashboard::Watched() {
  MutexLock lock(mu_);
  return clock_->Monotonic() - asked_at_ < kWatchedFor;
}

Json Dashboard::HearAndTell() {
  MutexLock lock(mu_);
  asked_at_ = clock_->Monotonic();
  if (!end_.has_value()) return Json();
  return {{"outcome", end_->outcome}, {"reason", end_->reason}, {"report", end_->report}};
}

bool Dashboard::MayTry() {
  MutexLock lock(mu_);
  return wrong_tokens_ < kWrongTokens || clock_->Monotonic() - window_start_ > kTokenWindow;
}

void Dashboard::CountWrongToken() {
  MutexLock lock(mu_);
  if (clock_->Monotonic() - window_start_ > kTokenWindow) wrong_tokens_ = 0;
  if (wrong_tokens_++ == 0) window_start_ = clock_->Monotonic();
}

absl::StatusOr<ServedDashboard> ServeDashboard(const DashboardOptions& options,
                                               DashboardSource source, Clock* clock) {
  ServedDashboard served;
  if (options.address.empty()) return served;
  served.dashboard = std::make_unique<Dashboard>(options.facts, std::move(source), clock);
  const HttpHandler handler = [dashboard = served.dashboard.get()](const HttpRequest& request) {
    return dashboard->Handle(request);
  };
  HttpOptions http;
  const bool free_port = absl::EndsWith(options.address, ":0");
  const std::string memory =
      free_port && !options.state_dir.empty() ? options.state_dir + "/dashboard_address" : "";
  const absl::StatusOr<std::string> last =
      memory.empty() ? absl::NotFoundError("") : ReadFile(memory, /*max_bytes=*/256);
  const std::string host = options.address.substr(0, options.address.rfind(':') + 1);
  if (last.ok() && absl::StartsWith(*last, host)) {
    http.address = *last;
    auto again = HttpServer::Start(http, handler);
    if (again.ok()) served.server = *std::move(again);
  }
  if (served.server == nullptr) {
    http.address = options.address;
    auto started = HttpServer::Start(http, handler);
    if (absl::IsAlreadyExists(started.status()) && !free_port) {
      // A page elsewhere is better than a run without its monitor.
      http.address = host + "0";
      auto elsewhere = HttpServer::Start(http, handler);
      if (elsewhere.ok()) {
        LogWarning(absl::StrCat(started.status().message(), "; serving them at ",
                                (*elsewhere)->address(), " instead"));
        started = std::move(elsewhere);
      }
    }
    TANDEM_ASSIGN_OR_RETURN(served.server, std::move(started));
  }
  if (!memory.empty()) {
    TANDEM_RETURN_IF_ERROR(MakeDirs(options.state_dir));
    TANDEM_RETURN_IF_ERROR(WriteFileAtomically(memory, served.address()));
  }
  return served;
}

}  // namespace tandem::monitor
