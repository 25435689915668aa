#include "cli/serve_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <ostream>
#include <thread>

#include "backend/cpu/isa.h"
#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/served_model.h"
#include "cli/text_format.h"
#include "server/access_log.h"
#include "server/http_server.h"

namespace beryl::cli {
namespace {

using std::chrono::milliseconds;

// Keeps the signals that end the server from interrupting anything: they are waited for. Threads that start
// later inherit that.
class EndSignals {
 public:
  EndSignals() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGINT);
    ::sigaddset(&set_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~EndSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Whether one comes within the time.
  bool wait_for(milliseconds time) const {
    const timespec limit = {.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
    return ::sigtimedwait(&set_, nullptr, &limit) > 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

// A connection takes a descriptor, and the usual limit is below what the server accepts.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void print_banner(std::ostream& out, const ServeOptions& options, const ServedModel& served,
                  const server::HttpServer& server) {
  const engine::MemoryPlan& plan = served.model().plan;
  const bool is_unix = !options.unix_socket.empty();
  const std::string target =
      is_unix ? "--unix-socket '" + options.unix_socket.string() + "' http://localhost" : server.url();
  const bool has_keys = !options.api_keys.empty() || !options.api_key_file.empty();
  const std::string& method = served.model().checkpoint.quantization().method();
  fmt::print(out, "model    {}{}, {} threads, {}\n", served.name(),
             method.empty() ? "" : fmt::format(" ({})", method), thread_count(options.model),
             backend::isa_name(backend::chosen_isa()));
  fmt::print(out, "memory   weights {}, keys and values {}\n", format_bytes(plan.weight_bytes),
             format_bytes(plan.kv_bytes));
  fmt::print(out, "answers  {} at a time, texts of up to {} tokens\n", plan.options.sequences_max,
             plan.options.context_max);
  fmt::print(out, "ready    {}{}\n\n", server.url(), has_keys ? ", with a key" : "");
  fmt::print(out, "curl {}/v1/chat/completions -H 'Content-Type: application/json' {}\\\n", target,
             has_keys ? "-H \"Authorization: Bearer $BERYL_API_KEY\" " : "");
  fmt::print(out, "  -d '{{\"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n");
  out.flush();
}

// Answers in progress finish, or are cut at the deadline or at a second signal: true in the last case.
bool drain(server::HttpServer& server, ServedModel& served, const EndSignals& signals, int seconds) {
  served.begin_drain();
  std::atomic<bool> is_done = false;
  std::thread draining([&] {
    server.drain(std::chrono::steady_clock::now() + std::chrono::seconds(seconds));
    is_done = true;
  });
  bool was_hurried = false;
  while (!is_done) {
    if (!signals.wait_for(milliseconds(20))) continue;
    was_hurried = true;
    server.cut();
  }
  draining.join();
  return was_hurried;
}

}  // namespace

int run_serve(CLI::App& command, ServeOptions& options, std::ostream& out) {
  const EndSignals signals;  // before any thread
  if (!options.config.empty()) apply_config_file(command, options.config);
  if (options.model.model.empty()) throw CLI::RequiredError("MODEL");
  server::HttpServerOptions http = http_options(options);
  raise_descriptor_limit();
  ServedModel served(options);
  server::AccessLog log(stderr, options.access_log);
  http.on_record = [&](const server::HttpRecord& record) {
    log.write(record);
    served.metrics().on_http_request(record);
  };
  server::HttpServer server(std::move(http), served.handler());
  served.set_server(&server);
  fmt::print(stderr, "listening on {}, loading {}\n", server.url(), served.name());
  served.start_loading();
  bool was_announced = false;
  while (!signals.wait_for(milliseconds(50))) {
    if (served.state() == ServedModel::State::kFailed) served.rethrow_failure();
    if (was_announced || served.state() != ServedModel::State::kReady) continue;
    was_announced = true;
    print_banner(out, options, served, server);
  }
  fmt::print(stderr, "ending: answers in progress have {} s\n", options.drain_seconds);
  return drain(server, served, signals, options.drain_seconds) ? kExitInterrupted : 0;
}

}  // namespace beryl::cli
