#include "common/clients/environment_output.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tandem::clients {
namespace {

constexpr size_t kMaxTailLines = 40;
constexpr size_t kMaxTailBytes = 4096;

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (!absl::ascii_iscntrl(byte) || c == '\n' || c == '\t') {
      printable.push_back(c);
    } else {
      absl::StrAppend(&printable, "\\x", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return printable;
}

void OutputTail::Add(std::string line) {
  bytes_ += line.size() + 1;
  lines_.push_back(std::move(line));
  while (lines_.size() > kMaxTailLines || bytes_ > kMaxTailBytes) {
    bytes_ -= lines_.front().size() + 1;
    lines_.pop_front();
  }
}

std::string OutputTail::Text() const { return absl::StrJoin(lines_, "\n"); }

std::vector<std::string> RepeatFilter::Add(std::string line) {
  if (absl::StripAsciiWhitespace(line).empty()) return {};
  if (line == last_) {
    ++times_;
    return {};
  }
  std::vector<std::string> lines = Flush();
  last_ = line;
  times_ = 1;
  lines.push_back(std::move(line));
  return lines;
}

std::vector<std::string> RepeatFilter::Flush() {
  std::vector<std::string> lines;
  if (times_ > 1) lines.push_back(absl::StrCat("(", times_, " times)"));
  last_.clear();
  times_ = 0;
  return lines;
}

std::vector<std::string> LineLimit::Add(std::string line, absl::Duration now) {
  room_ = std::min(kBurst, room_ + kRate * absl::ToDoubleSeconds(now - last_));
  last_ = now;
  if (room_ < 1) {
    ++dropped_;
    return {};
  }
  room_ -= 1;
  std::vector<std::string> lines = Flush();
  lines.push_back(std::move(line));
  return lines;
}

std::vector<std::string> LineLimit::Flush() {
  std::vector<std::string> lines;
  if (dropped_ > 0) lines.push_back(absl::StrCat("(", dropped_, " lines dropped)"));
  dropped_ = 0;
  return lines;
}

}  // namespace tandem::clients
