#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// What keeps this process from its work now, in words for people, by topic: "environment 0 failed
/// 5 times, last: ...". Of the whole process, as its log is; whoever asks it over MemberService
/// (common/rpc/member_service.h) hears of it. Thread-safe.
///
/// Sets the trouble of a topic, in place of the one before. Line breaks and control characters are
/// taken out, what is not UTF-8 is replaced, and what is over 500 bytes is cut.
void SetTrouble(std::string_view topic, std::string_view text);
/// The topic's trouble is over; nothing where there was none.
void ClearTrouble(std::string_view topic);
/// All of them, by topic in alphabetical order.
std::vector<std::string> Troubles();

/// A trouble that is over at the latest when this goes: that of a wait. Not thread-safe.
class TroubleScope {
 public:
  explicit TroubleScope(std::string_view topic) : topic_(topic) {}
  ~TroubleScope() { ClearTrouble(topic_); }
  TroubleScope(const TroubleScope&) = delete;
  TroubleScope& operator=(const TroubleScope&) = delete;

  void Set(std::string_view text) { SetTrouble(topic_, text); }

 private:
  const std::string topic_;
};

}  // namespace tandem
