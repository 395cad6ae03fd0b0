#include <unistd.h>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/commands.h"
#include "cli/env_commands.h"
#include "common/base/files.h"
#include "common/base/nearest.h"

namespace tandem::cli {
namespace {

/// "tandem actor ..." runs tandem_actor in this process's place: the one entry point of a
/// container.
int ExecService(const std::string& role, char** argv) {
  const std::string binary = absl::StrCat(BinaryFolder(), "/tandem_", role);
  argv[1] = const_cast<char*>(binary.c_str());
  execv(binary.c_str(), argv + 1);
  return Fail(ErrnoStatus(errno, absl::StrCat("start ", binary)));
}

/// The first argument is a recipe unless it is an override.
int PrintConfigOf(std::vector<std::string> arguments) {
  std::string recipe;
  if (!arguments.empty() && arguments[0].find('=') == std::string::npos) {
    recipe = arguments[0];
    arguments.erase(arguments.begin());
  }
  return PrintConfig(recipe, arguments);
}

void AddTrain(CLI::App& app, TrainOptions& options, int& code) {
  CLI::App* train = app.add_subcommand("train", "Train as a recipe says, on this machine");
  train->add_option("recipe", options.recipe, "YAML file, such as recipes/mbpo/pendulum.yaml")
      ->required();
  train->add_option("overrides", options.overrides, "Fields that replace those of the recipe")
      ->type_name("path.to.field=value");
  train->add_flag("--json", options.json,
                  "One JSON object a second on standard output, nothing else");
  train->add_option("--run-dir", options.run_dir,
                    "The run's folder, new or empty [runs/<run.name>]");
  train
      ->add_option("--cores", options.cores,
                   "Keep the run on so many cores, and plan its threads for them [all]")
      ->check(CLI::Range(1, 1024));
  train
      ->add_option(
          "--on-exist", options.on_exist,
          "If the folder exists: new (a free name after it), fail [new; fail with --run-dir]")
      ->check(CLI::IsMember({"new", "fail"}));
  train->footer("Exit code: 0 done, 1 failed, 2 wrong command line or recipe, 130 interrupted.");
  train->callback([&] { code = Train(options); });
}

void AddRun(CLI::App* command, std::string& run, std::string& parent) {
  command->add_option("run", run, "Its folder, or its name in the parent folder [the newest]");
  command->add_option("--parent", parent, "Folder of the runs [runs]");
}

/// options outlives the parsing.
void AddKnob(CLI::App& app, KnobOptions& options, int& code) {
  CLI::App* knob = app.add_subcommand("knob", "List or turn the knobs of a run that trains");
  knob->require_subcommand(1);
  CLI::App* list = knob->add_subcommand("list", "Every knob: its value, meaning and range");
  CLI::App* set = knob->add_subcommand("set", "Hold a knob at a value by hand");
  CLI::App* clear = knob->add_subcommand("clear", "Give a knob back to the controller");
  for (CLI::App* command : {set, clear}) {
    command->add_option("knob", options.knob, "Such as rollout_horizon")->required();
  }
  set->add_option("value", options.value, "A number in the knob's range")->required();
  for (CLI::App* command : {set, clear}) {
    command->add_option("--reason", options.reason, "Who and why, for the log")->required();
    command->add_option("--token-file", options.token_file,
                        "File with the run's token [the recipe's control.token_file]");
  }
  for (CLI::App* command : {list, set, clear}) {
    AddRun(command, options.run, options.parent);
    command->callback([&] { code = TurnKnob(options); });
  }
}

/// INVALID_ARGUMENT where a word stands in a command's place and is none: the parser would only
/// miss the command, or show the help of another.
absl::Status CheckCommands(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = &app;
  std::string so_far;
  for (int i = 1; i < argc && command->get_require_subcommand_min() > 0; ++i) {
    if (argv[i][0] == '-') break;  // an option, such as --help
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* one : command->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(one->get_name());
      if (one->get_name() == argv[i]) next = one;
    }
    if (next == nullptr) {
      const std::string nearest(NearestName(argv[i], names));
      return absl::InvalidArgumentError(
          absl::StrCat("there is no command \"", so_far, argv[i], "\"; ",
                       nearest.empty() ? absl::StrCat("there are ", absl::StrJoin(names, ", "))
                                       : absl::StrCat("did you mean \"", so_far, nearest, "\"?")));
    }
    absl::StrAppend(&so_far, argv[i], " ");
    command = next;
  }
  return absl::OkStatus();
}

/// arguments outlives the parsing.
void AddConfig(CLI::App& app, std::vector<std::string>& arguments, int& code) {
  CLI::App* config = app.add_subcommand("config", "Print, check or explain configurations");
  config->require_subcommand(1);
  CLI::App* print = config->add_subcommand("print", "Print a recipe with all defaults filled in");
  print->add_option("arguments", arguments, "[RECIPE] [path.to.field=value ...]");
  print->callback([&] { code = PrintConfigOf(arguments); });
  CLI::App* validate = config->add_subcommand("validate", "Check recipes");
  validate->add_option("recipes", arguments, "YAML files")->required();
  validate->callback([&] { code = ValidateConfigs(arguments); });
  config->add_subcommand("docs", "Print the reference of every field, as Markdown")->callback([&] {
    code = PrintConfigDocs();
  });
}

/// Parses the command line, which runs the command; the exit code.
int Parse(CLI::App& app, int argc, char** argv, const int& code) {
  if (const absl::Status known = CheckCommands(app, argc, argv); !known.ok()) {
    return Fail(known, kUsage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help or --version
    return app.exit(wanted, std::cout, std::cerr);
  } catch (const CLI::ConversionError& error) {  // every option that is converted is a number
    std::cerr << "tandem: "
              << absl::StrReplaceAll(error.what(),
                                     {{"Could not convert: ", "expected a number, got "}})
              << "; see --help\n";
    return kUsage;
  } catch (const CLI::ParseError& error) {
    std::cerr << "tandem: " << error.what() << "; see --help\n";
    return kUsage;
  }
  return code;
}

}  // namespace

int Main(int argc, char** argv) {
  static const std::set<std::string> roles = {"actor", "replay_buffer", "model_trainer",
                                              "policy_trainer", "monitor"};
  if (argc > 1 && roles.contains(argv[1])) return ExecService(argv[1], argv);

  CLI::App app("Trains model-based agents and watches how far the policy exploits its model.",
               "tandem");
  app.set_version_flag("--version", absl::StrCat("tandem ", TANDEM_VERSION));
  app.require_subcommand(1);
  app.footer(absl::StrCat(
      "`tandem ROLE ...` runs one service, tandem_ROLE: ", absl::StrJoin(roles, ", "), "."));
  int code = kDone;
  TrainOptions train_options;
  train_options.command = absl::StrJoin(argv, argv + argc, " ");
  AddTrain(app, train_options, code);

  std::string run, parent = "runs", address;
  std::vector<std::string> arguments;
  CLI::App* status = app.add_subcommand("status", "Show a run: what runs, what waits, the verdict");
  AddRun(status, run, parent);
  bool json = false;
  status->add_flag("--json", json, "One JSON object on standard output, nothing else");
  status->callback([&] { code = ShowStatus(parent, run, json); });
  CLI::App* report = app.add_subcommand("report", "Write a run's report.html from its files");
  AddRun(report, run, parent);
  report->callback([&] { code = WriteReport(parent, run); });
  KnobOptions knob_options;
  AddKnob(app, knob_options, code);
  AddEnv(app, code);

  AddConfig(app, arguments, code);
  app.add_subcommand("doctor", "Check what a run needs on this machine")->callback([&] {
    code = Doctor();
  });
  CLI::App* health = app.add_subcommand("health", "Ask a service whether it is serving");
  health->add_option("address", address, "\"host:port\" or \"unix:/path\"")->required();
  health->callback([&] { code = CheckHealth(address); });

  return Parse(app, argc, argv, code);
}

}  // namespace tandem::cli
