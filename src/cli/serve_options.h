// What `beryl serve` can be told: by flags, by the environment, by a file. The first of them that says
// something counts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/loaded_model.h"
#include "engine/engine_options.h"
#include "engine/memory_plan.h"
#include "server/access_log.h"
#include "server/http_server.h"

namespace beryl::cli {

struct ServeOptions {
  ModelOptions model;
  std::filesystem::path config;  // a file in TOML with the flags' long names as keys

  // Where to listen, and who may call.
  std::string host = "127.0.0.1";
  uint16_t port = 8484;
  std::filesystem::path unix_socket;
  std::vector<std::string> api_keys;
  std::filesystem::path api_key_file;
  std::filesystem::path tls_cert, tls_key;
  std::vector<std::string> cors_origins;
  std::vector<std::string> allowed_hosts;
  bool is_insecure = false;
  bool metrics_need_no_key = false;

  // What is served.
  std::vector<std::string> served_names;  // the first is shown, all are answered to
  bool answers_any_name = false;
  std::filesystem::path template_file;

  // How memory and time are divided.
  std::optional<int64_t> context;
  std::optional<uint64_t> kv_bytes, prefix_bytes;
  bool has_no_prefix_cache = false;
  engine::EngineOptions engine = {};

  // The rest.
  server::AccessLogFormat access_log = server::AccessLogFormat::kText;
  bool has_vllm_metrics = false;
  size_t connections_max = server::HttpLimits{}.connections_max;
  int drain_seconds = 30;
};

void add_serve_options(CLI::App& command, ServeOptions& options);

// Takes from the file what neither flags nor the environment said, after they were parsed. Errors:
// kInvalidInput naming the key; as reading a file.
void apply_config_file(CLI::App& command, const std::filesystem::path& file);

// Errors: kInvalidInput when others could reach the server and nothing keeps them out; as ApiKeys and
// is_loopback_host().
server::HttpServerOptions http_options(const ServeOptions& options);
engine::MemoryWishes memory_wishes(const ServeOptions& options);

}  // namespace beryl::cli
