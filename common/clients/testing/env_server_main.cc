// Serves the scripted environments at TANDEM_ENV_LISTEN until it is told to end: a process for
// tests to kill. With "die" it says why not, and ends; with "deaf" it never listens.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/clients/testing/scripted_env_server.h"

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "die") {
    std::fprintf(stderr, "Traceback: no module named 'robots'\n");
    return 3;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const char* address = std::getenv("TANDEM_ENV_LISTEN");
  tandem::clients::ScriptedEnvServer server(address != nullptr ? address : "");
  if (mode != "deaf" && !server.Start()) return 1;
  std::fprintf(stderr, "ready for the test\n");
  int number = 0;
  sigwait(&signals, &number);
  return 0;
}
