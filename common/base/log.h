#pragma once

#include <string_view>

namespace tandem {

enum class LogLevel { kInfo, kWarning, kError };

/// Names this process in every line, such as "actor-0". Call once, before any thread exists.
void InitLog(std::string_view process);

/// Writes one line, "2026-01-31T12:00:00.000Z W actor-0 message", to standard error. Thread-safe.
void Log(LogLevel level, std::string_view message);

inline void LogInfo(std::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarning(std::string_view message) { Log(LogLevel::kWarning, message); }
inline void LogError(std::string_view message) { Log(LogLevel::kError, message); }

/// Logs and aborts. For broken invariants only; bad input is a Status.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace tandem

/// Stops the process when an invariant does not hold.
#define TANDEM_CHECK(condition) \
  ((condition) ? (void)0 : ::tandem::CheckFailed(__FILE__, __LINE__, #condition))
