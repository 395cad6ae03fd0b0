#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace tandem::clients {

/// Text from elsewhere, fit for a terminal: control characters but newline and tab become "\x1b"
/// and the like; the rest stays as it is.
std::string Printable(std::string_view text);

/// The last lines that a program wrote: at most 40, together at most 4 KiB. Not thread-safe.
class OutputTail {
 public:
  void Add(std::string line);
  /// The lines, without a newline at the end.
  std::string Text() const;

 private:
  std::deque<std::string> lines_;
  size_t bytes_ = 0;
};

/// Thins out what a program writes: drops empty lines, and counts repeats of the last line instead
/// of passing them on. Not thread-safe.
class RepeatFilter {
 public:
  /// The lines to pass on now: none, `line`, or "(N times)" about the one before and `line`.
  std::vector<std::string> Add(std::string line);
  /// "(N times)" where the last line came more than once; it then counts as new.
  std::vector<std::string> Flush();

 private:
  std::string last_;
  int64_t times_ = 0;
};

/// Lets through 20 lines a second, and 200 at once where it was quiet before: a traceback in full,
/// but no endless stream. Not thread-safe.
class LineLimit {
 public:
  /// The lines to pass on at the monotonic time `now`: none, `line`, or "(N lines dropped)" and
  /// `line`.
  std::vector<std::string> Add(std::string line, absl::Duration now);
  /// "(N lines dropped)" where some were since the last that passed.
  std::vector<std::string> Flush();

 private:
  double room_ = kBurst;  // [lines]
  absl::Duration last_;
  int64_t dropped_ = 0;

  static constexpr double kBurst = 200;
  static constexpr double kRate = 20;  // [1/s]
};

}  // namespace tandem::clients
