#include "services/monitor/web/run_end.h"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "common/base/files.h"

namespace tandem::monitor {

std::optional<RunEnd> ReadRunEnd(const std::string& state_dir) {
  if (state_dir.empty()) return std::nullopt;
  const std::filesystem::path run = std::filesystem::path(state_dir).parent_path().parent_path();
  const auto text = ReadFile((run / "result.json").string(), /*max_bytes=*/1 << 20);
  if (!text.ok()) return std::nullopt;
  const auto result = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object()) return std::nullopt;
  const auto field = [&result](const char* name) {
    const auto found = result.find(name);
    return found != result.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return RunEnd{field("outcome"), field("reason"), (run / "report.html").string()};
}

}  // namespace tandem::monitor
