#include "common/config/service_flags.h"

#include <CLI/CLI.hpp>

#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/config/config.h"

namespace tandem::config {
namespace {

constexpr int kWrongUsage = 2;

}  // namespace

ServiceArgs ParseServiceArgs(int argc, char** argv, const std::string& role,
                             const std::string& what_it_does) {
  ServiceArgs args;
  std::string file;
  std::vector<std::string> overrides;
  CLI::App app(what_it_does, absl::StrCat("tandem_", role));
  app.add_option("--config", file, "Recipe or resolved config, YAML")->type_name("FILE");
  app.add_option("overrides", overrides, "Fields that replace those of the file")
      ->type_name("path.to.field=value");
  app.set_version_flag("--version", absl::StrCat("tandem_", role, " ", TANDEM_VERSION));
  args.exit = true;
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help or --version
    app.exit(wanted, std::cout, std::cerr);
    return args;
  } catch (const CLI::ParseError& error) {
    std::cerr << "tandem_" << role << ": " << error.what() << "; see --help\n";
    args.exit_code = kWrongUsage;
    return args;
  }
  absl::StatusOr<v1::RunConfig> config = Load(file, overrides);
  if (!config.ok()) {
    std::cerr << "tandem_" << role << ": " << config.status().message() << "\n";
    args.exit_code = kWrongUsage;
    return args;
  }
  args.config = *std::move(config);
  v1::Endpoints* endpoints = args.config.mutable_endpoints();
  if (!endpoints->has_member()) endpoints->set_member(role);
  args.exit = false;
  return args;
}

int RefuseOptions(const std::string& role, const absl::Status& why) {
  std::cerr << "tandem_" << role << ": " << absl::StrReplaceAll(why.message(), {{"\n", " | "}})
            << "\n";
  const bool final = absl::IsInvalidArgument(why) || absl::IsFailedPrecondition(why);
  return final ? kWrongUsage : 1;
}

}  // namespace tandem::config
