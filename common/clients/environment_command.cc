#include "common/clients/environment_command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"

namespace tandem::clients {
namespace {

/// No environment of this client is refused for want of room: it takes as many as its config says.
constexpr int64_t kGymCapacity = kMaxEnvs;

/// "NameNotFound: Environment `Hoper` doesn't exist. Did you mean: `Hopper`?", where a traceback
/// ends with such an error; else "".
std::string UnknownGym(absl::string_view traceback) {
  for (absl::string_view line : absl::StrSplit(traceback, '\n')) {
    if (!absl::ConsumePrefix(&line, "gymnasium.error.")) continue;
    for (const char* kind : {"NameNotFound", "NamespaceNotFound", "VersionNotFound"}) {
      if (absl::StartsWith(line, kind)) return std::string(line);
    }
  }
  return "";
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string Interpreter() {
  if (std::string chosen = Variable("TANDEM_PYTHON"); !chosen.empty()) return chosen;
  const std::string own = TANDEM_SOURCE_DIR "/.venv/bin/python";
  return access(own.c_str(), X_OK) == 0 ? own : "python3";
}

absl::StatusOr<std::string> FolderOf(const std::string& file) {
  std::vector<std::string> folders;
  if (std::string chosen = Variable("TANDEM_PYTHON_DIR"); !chosen.empty()) {
    folders.push_back(chosen);
  }
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share/python");
  folders.push_back(TANDEM_SOURCE_DIR "/python");
  for (const std::string& folder : folders) {
    if (access(absl::StrCat(folder, "/", file).c_str(), R_OK) == 0) return folder;
  }
  return absl::NotFoundError(absl::StrCat(file, " of Tandem is in none of ",
                                          absl::StrJoin(folders, ", "),
                                          ": set TANDEM_PYTHON_DIR to its folder"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  std::optional<std::string> word;  // set once the word has begun, be it empty
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool more = i + 1 < line.size();
    const bool escapes =
        quote == 0 || (quote == '"' && more && (line[i + 1] == '"' || line[i + 1] == '\\'));
    if (quote == 0 && absl::ascii_isspace(static_cast<unsigned char>(c))) {
      if (word) words.push_back(*std::move(word));
      word.reset();
      continue;
    }
    if (!word) word.emplace();
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && escapes && more) {
      word->push_back(line[++i]);
    } else {
      word->push_back(c);
    }
  }
  if (quote != 0) {
    return absl::InvalidArgumentError(absl::StrCat("expected a closing ", std::string(1, quote),
                                                   " in the command: ", std::string(line)));
  }
  if (word) words.push_back(*std::move(word));
  if (words.empty()) return absl::InvalidArgumentError("expected a command, got only white space");
  return words;
}

absl::StatusOr<EnvironmentProcess::Options> PythonCommand(const std::string& module) {
  TANDEM_ASSIGN_OR_RETURN(const std::string folder, FolderOf(module + ".py"));
  EnvironmentProcess::Options options;
  options.argv = {Interpreter(), "-m", module};
  const std::string others = Variable("PYTHONPATH");
  options.environment = {
      {"PYTHONPATH", others.empty() ? folder : absl::StrCat(folder, ":", others)},
      {"PYTHONUNBUFFERED", "1"}};
  return options;
}

absl::StatusOr<EnvironmentProcess::Options> GymCommand(const EnvironmentSource& source) {
  absl::string_view id = source.name;
  if (!absl::ConsumePrefix(&id, "gym:") || id.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected \"gym:\" and a Gymnasium id, such as gym:Hopper-v5, got ", source.name));
  }
  TANDEM_ASSIGN_OR_RETURN(EnvironmentProcess::Options options, PythonCommand("tandem_env"));
  std::vector<std::string>& argv = options.argv;
  argv.insert(argv.end(), {"--gym", std::string(id), "--num-envs", absl::StrCat(kGymCapacity)});
  if (source.threads > 1) {
    argv.insert(argv.end(), {"--workers", absl::StrCat(source.threads)});
  }
  if (!source.arguments.empty()) argv.insert(argv.end(), {"--arguments", source.arguments});
  return options;
}

absl::Status ExplainGym(const EnvironmentProcess::Options& command, const absl::Status& why) {
  const std::string was = absl::StrCat("the command was: ", absl::StrJoin(command.argv, " "));
  if (const std::string unknown = UnknownGym(why.message()); !unknown.empty()) {
    return absl::NotFoundError(absl::StrCat(unknown, " (", was, ")"));
  }
  const auto says = [&why](const char* words) { return absl::StrContains(why.message(), words); };
  const bool missing = absl::IsNotFound(why) || says("DependencyNotInstalled") ||
                       says("No module named 'gymnasium") || says("No module named 'grpc") ||
                       says("No module named 'numpy") || says("No module named 'mujoco");
  if (!missing) return absl::Status(why.code(), absl::StrCat(was, "\n", why.message()));
  return absl::Status(
      why.code(),
      absl::StrCat(
          why.message(), "\n", was,
          "\nGymnasium's environments need its package and those of the server: ", command.argv[0],
          " -m pip install gymnasium grpcio numpy (for MuJoCo's tasks "
          "'gymnasium[mujoco]'); TANDEM_PYTHON chooses another interpreter"));
}

std::vector<std::pair<std::string, std::string>> PythonPath() {
  const absl::StatusOr<std::string> folder = FolderOf("tandem_env.py");
  if (!folder.ok()) return {};
  const std::string others = Variable("PYTHONPATH");
  return {{"PYTHONPATH", others.empty() ? *folder : absl::StrCat(others, ":", *folder)}};
}

}  // namespace tandem::clients
