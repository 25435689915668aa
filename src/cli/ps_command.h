// beryl ps: what a running server is doing.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>

namespace CLI {
class App;
}

namespace beryl::cli {

struct PsOptions {
  std::string url = "http://127.0.0.1:8484";
  std::string api_key;
  double interval_seconds = 1;
  bool once = false;
  bool json = false;
};

void add_ps_options(CLI::App& command, PsOptions& options);

// Shows it again and again on a terminal until Ctrl-C, else once. Errors: as get_from_server().
int run_ps(const PsOptions& options, std::ostream& out);

// One look at a server: the JSON of /status, and the text of /metrics.
struct ServerLook {
  nlohmann::ordered_json status;
  std::string metrics;
};

// Lines for people. Rates are those since `before`, `seconds` ago; without it, of the last step.
std::string describe(const ServerLook& now, const ServerLook* before, double seconds);

}  // namespace beryl::cli
