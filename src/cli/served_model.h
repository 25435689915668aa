// The model behind a server: answers from the first moment on, first that it is loading and then for itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "checkpoint/checkpoint.h"
#include "cli/loaded_model.h"
#include "cli/serve_options.h"
#include "engine/engine.h"
#include "server/api.h"
#include "server/engine_port.h"
#include "server/http.h"
#include "server/http_server.h"
#include "server/metered_engine.h"
#include "server/metrics.h"
#include "text/chat_template.h"
#include "text/template_source.h"
#include "text/tokenizer.h"

namespace beryl::cli {

class ServedModel {
 public:
  // Reads what is small: the checkpoint's headers, tokenizer and template. Errors: those of reading them.
  explicit ServedModel(const ServeOptions& options);
  // Gives up loading. The server must have gone before.
  ~ServedModel();
  ServedModel(const ServedModel&) = delete;
  ServedModel& operator=(const ServedModel&) = delete;

  server::HttpHandler handler();
  server::Metrics& metrics() { return *metrics_; }
  // The server that metrics tell of, while it lives.
  void set_server(const server::HttpServer* server) { server_ = server; }

  // Loads the weights on a thread of its own.
  void start_loading();
  enum class State : uint8_t { kLoading, kReady, kFailed };
  State state() const { return state_; }
  // kFailed: throws what went wrong.
  void rethrow_failure() const { std::rethrow_exception(failure_); }
  // kReady.
  const LoadedModel& model() const { return running_->model; }
  const std::string& name() const { return name_; }

  // From now on requests are refused.
  void begin_drain();

 private:
  class LoadingProgress;

  void load();
  void make_api();
  void handle(server::HttpRequest request, std::shared_ptr<server::HttpResponder> responder);
  void answer_while_loading(const server::HttpRequest& request, server::HttpResponder& responder) const;

  const ServeOptions options_;
  std::string name_;
  std::optional<checkpoint::Checkpoint> checkpoint_;  // until it is loaded
  text::Tokenizer tokenizer_;
  text::TemplateSource template_source_;
  text::ChatTemplate template_;
  std::atomic<const server::HttpServer*> server_ = nullptr;
  std::unique_ptr<server::Metrics> metrics_;

  std::unique_ptr<RunningModel> running_;
  std::unique_ptr<server::LiveEngine> engine_port_;
  std::unique_ptr<server::MeteredEngine> metered_engine_;
  std::unique_ptr<server::Api> api_;

  std::atomic<State> state_ = State::kLoading;
  std::atomic<uint64_t> loaded_bytes_ = 0, all_bytes_ = 0;
  std::atomic<bool> gives_up_ = false;
  std::exception_ptr failure_;  // set before state_
  std::thread loader_;
};

}  // namespace beryl::cli
