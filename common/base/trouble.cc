#include "common/base/trouble.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "common/base/mutex.h"
#include "common/base/utf8.h"

namespace tandem {
namespace {

constexpr size_t kMaxText = 500;

struct Board {
  Mutex mu;
  std::map<std::string, std::string, std::less<>> texts ABSL_GUARDED_BY(mu);
};

/// Never destroyed: threads may speak of trouble to the very end.
Board& TheBoard() {
  static Board* const board = new Board;
  return *board;
}

std::string OneLine(std::string_view text) {
  std::string line = absl::StrReplaceAll(std::string(text), {{"\r", ""}, {"\n", " | "}});
  for (char& c : line) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return CutText(line, kMaxText);
}

}  // namespace

void SetTrouble(std::string_view topic, std::string_view text) {
  std::string line = OneLine(text);
  Board& board = TheBoard();
  MutexLock lock(board.mu);
  board.texts.insert_or_assign(std::string(topic), std::move(line));
}

void ClearTrouble(std::string_view topic) {
  Board& board = TheBoard();
  MutexLock lock(board.mu);
  const auto found = board.texts.find(topic);
  if (found != board.texts.end()) board.texts.erase(found);
}

std::vector<std::string> Troubles() {
  Board& board = TheBoard();
  MutexLock lock(board.mu);
  std::vector<std::string> texts;
  for (const auto& [topic, text] : board.texts) texts.push_back(text);
  return texts;
}

}  // namespace tandem
