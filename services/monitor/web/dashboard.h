#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/coadaptation/knob.h"
#include "services/monitor/core/judge.h"
#include "services/monitor/core/report.h"
#include "services/monitor/web/http_server.h"

namespace tandem::monitor {

/// What the page says of the run beside its figures: from its config, the same all the time.
struct RunFacts {
  std::string name;
  std::string environment;
  uint64_t seed = 0;
  int64_t max_env_steps = 0;
  double tolerance = 0;                         ///< Share of the return scale.
  double warning = 0;                           ///< Likewise.
  double false_alarm_interval = 0;              ///< [checkpoints]
  std::string control;                          ///< "off", "advise" or "act".
  std::map<coadaptation::Knob, double> recipe;  ///< Where the recipe sets a knob: its value.
};

/// Where the dashboard gets what it shows. Each is called from several threads at once and returns
/// at once.
struct DashboardSource {
  std::function<Report()> report;
  std::function<JudgeReport()> judgement;
  /// See History::Read.
  std::function<HistoryPage(int64_t from_checkpoint, int64_t from_event, size_t most)> history;
  /// See Judge::SetOverride. Empty: the run allows no overrides.
  std::function<absl::Status(coadaptation::Knob knob, std::optional<double> value,
                             const std::string& token, const std::string& reason)>
      set_override;
};

/// Everything but `report`, of this judge, which outlives the source.
DashboardSource SourceOf(Judge* judge);

/// Answers the requests of the dashboard's page:
///   GET  /                    the page, and its scripts and styles, all built in
///   GET  /api/report          the newest figures and the verdict
///   GET  /api/history?from=N&events=M   checkpoints from N and events from M on, at most 1000
///   GET  /api/export.csv, /api/export.json   every checkpoint in memory (JSON: events too)
///   POST /api/override        {"knob", "value" or null, "reason", "token"}; 401 for a wrong token,
///                             429 after five of them within a minute
/// JSON has null for what is not known. Thread-safe.
class Dashboard {
 public:
  /// `clock` outlives it.
  Dashboard(RunFacts facts, DashboardSource source, Clock* clock);

  HttpResponse Handle(const HttpRequest& request);

 private:
  HttpResponse Override(const HttpRequest& request);
  /// Whether a token may be tried now.
  bool MayTry();
  void CountWrongToken();

  const RunFacts facts_;
  const DashboardSource source_;
  Clock* const clock_;
  const int64_t id_;  // of this start of the monitor
  Mutex mu_;
  absl::Duration window_start_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  int wrong_tokens_ ABSL_GUARDED_BY(mu_) = 0;
};

/// A dashboard behind a web server. Destroy it before what its source refers to.
struct ServedDashboard {
  std::unique_ptr<Dashboard> dashboard;
  std::unique_ptr<HttpServer> server;
  std::string address() const { return server == nullptr ? "" : server->address(); }
};

struct DashboardOptions {
  std::string address;    ///< "host:port"; port 0 for a free one; empty: no dashboard. Where the
                          ///< port is taken, another one is.
  std::string state_dir;  ///< With port 0: remembers the port, so that a page that is open goes on
                          ///< when the monitor is started again. Empty: does not.
  RunFacts facts;
};

/// Serves a dashboard; none where the address is empty. Errors: see HttpServer::Start.
absl::StatusOr<ServedDashboard> ServeDashboard(const DashboardOptions& options,
                                               DashboardSource source, Clock* clock);

}  // namespace tandem::monitor
