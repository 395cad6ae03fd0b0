#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clients/environment_process.h"
#include "common/clients/environments.h"

namespace tandem::clients {

/// Splits a command line into words as a shell does: at white space; '...' and "..." keep it, a
/// backslash keeps the next character (inside "..." only " and \). Nothing else of a shell is
/// known: no variables, no patterns. INVALID_ARGUMENT for an open quote or no word.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view line);

/// The command that runs one of Tandem's own Python modules, such as "tandem_env"; arguments are
/// to be added.
///
/// The interpreter is $TANDEM_PYTHON; else that of the source tree's virtual environment, where
/// there is one; else python3 of PATH. The module's file is looked for in $TANDEM_PYTHON_DIR, in
/// ../share/python beside the folder of this program, and in the source tree. NOT_FOUND, naming
/// the places, where it is in none.
absl::StatusOr<EnvironmentProcess::Options> PythonCommand(const std::string& module);

/// The program that serves the Gymnasium environments of a source whose name is "gym:" and an id.
/// INVALID_ARGUMENT for another name; else as PythonCommand.
absl::StatusOr<EnvironmentProcess::Options> GymCommand(const EnvironmentSource& source);

/// What to tell people whose Gymnasium environment does not start, where `why` says what its
/// program wrote: NOT_FOUND in one line for an id that Gymnasium does not know; else `why` with the
/// command, and with how to install what is missing where that is a package. Pure.
absl::Status ExplainGym(const EnvironmentProcess::Options& command, const absl::Status& why);

/// Where tandem_env.py is, for programs that are to be able to import it: PYTHONPATH with its
/// folder at the end. None where the file is nowhere.
std::vector<std::pair<std::string, std::string>> PythonPath();

}  // namespace tandem::clients
