#include "services/monitor/web/run_end.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/files.h"

namespace tandem::monitor {
namespace {

namespace fs = std::filesystem;

}  // namespace

std::optional<RunEnd> ReadRunEnd(const std::string& state_dir) {
  if (state_dir.empty()) return std::nullopt;
  std::error_code error;
  fs::path state = fs::absolute(state_dir, error).lexically_normal();
  if (!state.has_filename()) state = state.parent_path();  // written with a slash at its end
  const fs::path run = state.parent_path().parent_path();
  if (error || !fs::exists(run / "run.json", error)) return std::nullopt;
  const auto text = ReadFile((run / "result.json").string(), /*max_bytes=*/1 << 20);
  if (!text.ok()) return std::nullopt;
  const auto result = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object()) return std::nullopt;
  const auto field = [&result](const char* name) {
    const auto found = result.find(name);
    return found != result.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  std::string reason = field("reason");
  reason.resize(std::min({reason.size(), reason.find('\n'), reason.find("; its log")}));
  return RunEnd{field("outcome"), std::move(reason), (run / "report.html").string()};
}

}  // namespace tandem::monitor
