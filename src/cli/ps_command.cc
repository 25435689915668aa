#include "cli/ps_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"
#include "cli/interrupt.h"
#include "cli/server_client.h"

namespace beryl::cli {
namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr size_t kRequestsShown = 40;

ServerLook look_at(const ServerAddress& address, const PsOptions& options) {
  ServerLook look = {.status =
                         parse_ordered_json(get_from_server(address, "/status", options.api_key), "/status")};
  look.metrics = get_from_server(address, "/metrics", options.api_key);
  return look;
}

// A number of the status; 0 when a server of another version does not tell it.
double number(const ordered_json& json, std::initializer_list<const char*> path) {
  const ordered_json* at = &json;
  for (const char* key : path) {
    if (!at->is_object() || !at->contains(key)) return 0;
    at = &at->at(key);
  }
  return at->is_number() ? at->get<double>() : 0;
}

std::string text(const ordered_json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_string()
             ? printable(json[key].get<std::string>())
             : "?";
}

double percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

double mean_of(const std::string& metrics, const std::string& histogram) {
  const double count = metric_value(metrics, histogram + "_count");
  return count > 0 ? metric_value(metrics, histogram + "_sum") / count : 0;
}

struct Rates {
  double prompt = 0;
  double answer = 0;
};

Rates rates_of(const ServerLook& now, const ServerLook* before, double seconds) {
  if (before != nullptr && seconds > 0) {
    const auto grown = [&](const char* key) {
      return number(now.status, {key}) - number(before->status, {key});
    };
    return {.prompt = grown("prompt_tokens_computed") / seconds, .answer = grown("new_tokens") / seconds};
  }
  const double step = number(now.status, {"last_step", "seconds"});
  if (step <= 0 || number(now.status, {"running"}) == 0) return {};
  return {.prompt = number(now.status, {"last_step", "prompt_tokens"}) / step,
          .answer = number(now.status, {"last_step", "new_tokens"}) / step};
}

void add_requests(std::string& lines, const ordered_json& status) {
  if (!status.contains("requests") || !status["requests"].is_array() || status["requests"].empty()) return;
  const ordered_json& requests = status["requests"];
  lines += fmt::format("\n{:>8}  {:<8}{:>10}{:>10}{:>10}\n", "request", "state", "prompt", "computed", "new");
  for (size_t i = 0; i < std::min(requests.size(), kRequestsShown); ++i) {
    const ordered_json& one = requests[i];
    const double sample = number(one, {"sample"});
    lines +=
        fmt::format("{:>8}  {:<8}{:>10}{:>10}{:>10}\n",
                    fmt::format("{}{}", number(one, {"id"}), sample > 0 ? fmt::format(".{}", sample) : ""),
                    text(one, "state"), number(one, {"prompt_tokens"}), number(one, {"computed_tokens"}),
                    number(one, {"new_tokens"}));
  }
  if (requests.size() > kRequestsShown)
    lines += fmt::format("     ... {} more\n", requests.size() - kRequestsShown);
}

void watch(const ServerAddress& address, const PsOptions& options, std::ostream& out) {
  std::optional<ServerLook> before;
  Clock::time_point before_at;
  while (!is_interrupted()) {
    ServerLook now = look_at(address, options);
    const Clock::time_point now_at = Clock::now();
    const double seconds = std::chrono::duration<double>(now_at - before_at).count();
    out << "\033[H\033[J" << describe(now, before ? &*before : nullptr, seconds) << std::flush;
    before = std::move(now);
    before_at = now_at;
    std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_seconds));
  }
}

}  // namespace

void add_ps_options(CLI::App& command, PsOptions& options) {
  command.add_option("--url", options.url, "Where the server is")
      ->capture_default_str()
      ->envname("BERYL_URL");
  command.add_option("--api-key", options.api_key, "Key to present")->envname("BERYL_API_KEY");
  command.add_option("--interval", options.interval_seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command.add_flag("--once", options.once, "Look once, as when the output is no terminal");
  command.add_flag("--json", options.json, "Print the server's status as JSON, once");
}

std::string describe(const ServerLook& now, const ServerLook* before, double seconds) {
  const ordered_json& status = now.status;
  const Rates rates = rates_of(now, before, seconds);
  const auto pages = [&](const char* kind) {
    return percent(number(status, {"pages", kind, "used"}), number(status, {"pages", kind, "total"}));
  };
  const double computed = number(status, {"prompt_tokens_computed"});
  const double cached = number(status, {"prompt_tokens_cached"});
  std::string lines =
      fmt::format("{}, texts of up to {} tokens\n", text(status, "model"), number(status, {"context"}));
  lines += fmt::format("answers   {} in progress, {} waiting ({} tokens)\n", number(status, {"running"}),
                       number(status, {"waiting"}), number(status, {"waiting_tokens"}));
  lines += fmt::format("speed     {:.1f} tokens/s of answers, {:.1f} tokens/s of prompts\n", rates.answer,
                       rates.prompt);
  lines += fmt::format("latency   first token after {:.3f} s, then {:.3f} s each, on average\n",
                       mean_of(now.metrics, "beryl_time_to_first_token_seconds"),
                       mean_of(now.metrics, "beryl_inter_token_latency_seconds"));
  lines += fmt::format("memory    {:.0f} % of full pages, {:.0f} % of sliding pages in use\n", pages("full"),
                       pages("sliding"));
  lines += fmt::format("prefixes  {:.0f} % of {} prompt tokens were there already\n",
                       percent(cached, computed + cached), computed + cached);
  lines += fmt::format("clients   {} connections\n", metric_value(now.metrics, "beryl_http_connections"));
  add_requests(lines, status);
  return lines;
}

int run_ps(const PsOptions& options, std::ostream& out) {
  const ServerAddress address = parse_server_url(options.url);
  if (options.json) {
    out << parse_ordered_json(get_from_server(address, "/status", options.api_key), "/status").dump(2)
        << '\n';
  } else if (options.once || ::isatty(STDOUT_FILENO) != 1) {
    out << describe(look_at(address, options), nullptr, 0);
  } else {
    watch(address, options, out);
  }
  return 0;
}

}  // namespace beryl::cli
