#include "cli/serve_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/quote.h"

namespace beryl::cli {
namespace {

constexpr uint64_t kConfigBytesMax = 1 << 20;
const std::map<std::string, server::AccessLogFormat> kAccessLogFormats = {
    {"off", server::AccessLogFormat::kOff},
    {"text", server::AccessLogFormat::kText},
    {"json", server::AccessLogFormat::kJson}};

void add_address_options(CLI::App& command, ServeOptions& options) {
  command
      .add_option("--host", options.host, "Address to listen on; another than this machine's own needs a key")
      ->capture_default_str();
  command.add_option("--port", options.port, "Port to listen on; 0: a free one")->capture_default_str();
  command.add_option("--unix-socket", options.unix_socket, "Listen on this Unix-domain socket instead");
  command.add_option("--tls-cert", options.tls_cert, "Certificate chain, PEM: serve https");
  command.add_option("--tls-key", options.tls_key, "Its private key, PEM");
}

void add_access_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--api-key", options.api_keys,
                     "Key that callers must present; may be repeated. Others on this machine can see it: "
                     "BERYL_API_KEY or --api-key-file keep it to yourself");
  command.add_option("--api-key-file", options.api_key_file,
                     "File with one key a line, each with a label if wanted");
  command.add_option("--cors-origin", options.cors_origins,
                     "Origin of web pages that may call, such as https://chat.example; '*': all");
  command.add_option("--allowed-host", options.allowed_hosts,
                     "Name, besides localhost, that requests without a key may be addressed to");
  command.add_flag("--insecure", options.is_insecure, "Listen on any address without a key");
  command.add_flag("--metrics-without-key", options.metrics_need_no_key, "Let anyone read /metrics");
}

void add_serving_options(CLI::App& command, ServeOptions& options) {
  command.add_option(
      "--served-model-name", options.served_names,
      "Name of the model in the API (default: that of its directory); more are other names for it");
  command.add_flag("--any-model-name", options.answers_any_name, "Answer whatever a request calls the model");
  command.add_option("--chat-template", options.template_file,
                     "Use this Jinja file in place of the model's template");
  command
      .add_option("--access-log", options.access_log, "A line for each request: text (default), json or off")
      ->transform(CLI::CheckedTransformer(kAccessLogFormats, CLI::ignore_case));
  command.add_flag("--vllm-metrics", options.has_vllm_metrics, "Give metrics vLLM's names, too");
  command.add_option("--max-connections", options.connections_max, "Connections at a time")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command
      .add_option("--drain-seconds", options.drain_seconds,
                  "Time for answers to finish when the server is told to end")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
}

void add_engine_options(CLI::App& command, ServeOptions& options) {
  engine::EngineOptions& engine = options.engine;
  command
      .add_option("--ctx", options.context,
                  "Tokens of one text, prompt and answer (default: what fits, at most 8192)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  command.add_option("--max-seqs", engine.sequences_max, "Answers in progress at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--kv-memory", options.kv_bytes,
                  "Memory for keys and values, such as 4g (default: what is needed)")
      ->transform(CLI::AsSizeValue(false));
  command
      .add_option("--prefix-memory", options.prefix_bytes, "Of that, for beginnings of later prompts at most")
      ->transform(CLI::AsSizeValue(false));
  command.add_flag("--no-prefix-cache", options.has_no_prefix_cache,
                   "Compute every prompt from its beginning");
  command
      .add_option_function<double>(
          "--step-ms", [&engine](double ms) { engine.step_seconds_max = ms / 1000; },
          "Prompts hold up answers in progress for so long at most (default: 1000)")
      ->check(CLI::Range(1.0, 600'000.0));
  command
      .add_option("--chunk-tokens", engine.chunk_tokens, "Tokens of prompts in a step when nothing else runs")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_option("--queue", engine.queue_requests_max, "Requests that may wait for a place")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_option("--queue-tokens", engine.queue_tokens_max, "Tokens of the prompts that may wait")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
}

// "--max-seqs" -> "BERYL_MAX_SEQS".
std::string environment_name(const std::string& option) {
  std::string name = "BERYL_" + option;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

bool is_reachable_by_others(const ServeOptions& options) {
  return options.unix_socket.empty() && !server::is_loopback_host(options.host);
}

}  // namespace

void add_serve_options(CLI::App& command, ServeOptions& options) {
  add_model_options(command, options.model);
  command.get_option("MODEL")->required(false)->envname("BERYL_MODEL");
  add_address_options(command, options);
  add_access_options(command, options);
  add_serving_options(command, options);
  add_engine_options(command, options);
  command.add_option("--config", options.config,
                     "TOML file with these options by their long names; flags and environment come first");
  for (CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option == command.get_help_ptr()) continue;
    if (option->get_envname().empty()) option->envname(environment_name(option->get_lnames().front()));
  }
  command.footer(
      "Each option can also be set in the environment: --max-seqs as BERYL_MAX_SEQS, MODEL as BERYL_MODEL.");
}

void apply_config_file(CLI::App& command, const std::filesystem::path& file) {
  std::istringstream text(read_text_file(file, kConfigBytesMax));
  with_context("'" + file.string() + "'", [&] {
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(text)) {
      const bool is_model = item.parents.empty() && item.name == "model";
      CLI::Option* option =
          item.parents.empty() ? command.get_option_no_throw(is_model ? "MODEL" : "--" + item.name) : nullptr;
      if (option == nullptr || item.name == "config" || item.name == "help") {
        throw Error(ErrorCode::kInvalidInput, "no option " + quote(item.fullname()),
                    "beryl serve --help lists them; keys are their long names without dashes in front");
      }
      if (option->count() > 0) continue;
      try {
        option->add_result(item.inputs);
        option->run_callback();
      } catch (const CLI::Error& error) {
        throw Error(ErrorCode::kInvalidInput, error.what());
      }
    }
  });
}

server::HttpServerOptions http_options(const ServeOptions& options) {
  server::HttpServerOptions http = {
      .host = options.host, .port = options.port, .unix_socket = options.unix_socket};
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    throw Error(ErrorCode::kInvalidInput, "--tls-cert and --tls-key go together");
  }
  if (!options.tls_cert.empty()) http.tls = {.certificate = options.tls_cert, .key = options.tls_key};
  for (const std::string& key : options.api_keys) http.gate.keys.add(key);
  if (!options.api_key_file.empty()) http.gate.keys.add_file(options.api_key_file);
  const bool is_open = http.gate.keys.empty() && is_reachable_by_others(options);
  if (is_open && !options.is_insecure) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("'{}' can be reached by others, and no key keeps them out", options.host),
                "set BERYL_API_KEY or --api-key-file, or say --insecure if the network does that");
  }
  http.gate.cors_origins = options.cors_origins;
  http.gate.hosts = options.allowed_hosts;
  http.gate.accepts_any_host = is_reachable_by_others(options) || !options.unix_socket.empty();
  http.gate.metrics_need_no_key = options.metrics_need_no_key;
  http.limits.connections_max = options.connections_max;
  return http;
}

engine::MemoryWishes memory_wishes(const ServeOptions& options) {
  return {.context = options.context,
          .kv_bytes = options.kv_bytes,
          .prefix_bytes = options.prefix_bytes,
          .sequences = options.engine.sequences_max};
}

}  // namespace beryl::cli
