#include "server/api.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "server/endpoints.h"
#include "server/json_text.h"

namespace beryl::server {
namespace {

constexpr std::string_view kModelPrefix = "/v1/models/";

enum class Work : uint8_t {
  kNow,     // answered where it comes in
  kReads,   // reads a text, which may be long
  kAnswers  // goes to the engine in the end
};

struct Route {
  std::string_view method;
  std::string_view path;
  Work work;
  void (*run)(const Call&);
};

template <Json (*Answer)(const ApiContext&, const Json&)>
void send_answer(const Call& call) {
  const Json body = parse_body(call.request, call.context->model.limits);
  call.responder->send({.body = json_text(Answer(*call.context, body))});
}

void send_models(const Call& call) {
  call.responder->send({.body = json_text(models_json(call.context->model))});
}

void send_model(const Call& call) {
  const std::string name = call.request.path.substr(kModelPrefix.size());
  call.responder->send({.body = json_text(model_json(call.context->model, name))});
}

void send_tokenizer_info(const Call& call) {
  call.responder->send({.body = json_text(tokenizer_info(*call.context))});
}

void send_status(const Call& call) {
  call.responder->send({.body = json_text(status_json(call.context->engine.stats(), call.context->model))});
}

void send_health(const Call& call) {
  const bool is_draining = call.context->is_draining;
  call.responder->send(
      {.status = is_draining ? 503 : 200, .body = json_text({{"status", is_draining ? "draining" : "ok"}})});
}

void send_metrics(const Call& call) {
  const auto& text = call.context->hooks.metrics_text;
  if (!text) throw Error(ErrorCode::kNotFound, "there are no metrics");
  call.responder->send({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text()});
}

void send_version(const Call& call) {
  call.responder->send({.body = json_text({{"version", call.context->version}})});
}

constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", Work::kAnswers, answer_chat},
    {"POST", "/v1/completions", Work::kAnswers, answer_completion},
    {"POST", "/tokenize", Work::kReads, send_answer<answer_tokenize>},
    {"POST", "/detokenize", Work::kReads, send_answer<answer_detokenize>},
    {"POST", "/apply-template", Work::kReads, send_answer<answer_apply_template>},
    {"GET", "/tokenizer_info", Work::kNow, send_tokenizer_info},
    {"GET", "/v1/models", Work::kNow, send_models},
    {"GET", "/health", Work::kNow, send_health},
    {"GET", "/metrics", Work::kNow, send_metrics},
    {"GET", "/status", Work::kNow, send_status},
    {"GET", "/version", Work::kNow, send_version},
};
constexpr Route kModelRoute = {"GET", kModelPrefix, Work::kNow, send_model};

const Route* find_route(std::string_view path) {
  for (const Route& route : kRoutes) {
    if (route.path == path) return &route;
  }
  return path.starts_with(kModelPrefix) ? &kModelRoute : nullptr;
}

// Whatever goes wrong before there is an answer becomes one.
void run(const Route& route, const Call& call) {
  try {
    route.run(call);
  } catch (const Error& error) {
    call.responder->send(failure_response(failure_of(error)));
  } catch (const std::exception& error) {
    call.context->warn(fmt::format("request {} failed: {}", call.request.id, error.what()));
    call.responder->send(failure_response({.status = 500, .message = "the server failed on this request"}));
  }
}

std::optional<RequestFailure> refuse_early(ApiContext& context) {
  if (context.is_draining) {
    return RequestFailure{.status = 503, .message = "the server is shutting down", .retry_after = 1};
  }
  if (!context.engine.is_full()) return std::nullopt;
  return submit_failure(Error(ErrorCode::kBusy, "the queue is full"), context);
}

}  // namespace

class Api::Impl {
 public:
  Impl(ApiModel model, EnginePort& engine, ApiOptions options)
      : context_(std::make_shared<ApiContext>(std::move(model), engine, options.grammar_limits)) {
    context_->hooks = std::move(options.hooks);
    context_->salts_by_client = options.salts_by_client;
    context_->version = std::move(options.version);
    if (options.threads > 0) pool_.emplace(static_cast<size_t>(options.threads));
  }
  ~Impl() {
    if (pool_) pool_->join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void handle(HttpRequest request, std::shared_ptr<HttpResponder> responder) {
    const Route* const route = find_route(request.path);
    if (route == nullptr) {
      const std::string message = fmt::format("there is no {}; GET /v1/models is", request.path);
      return responder->send(failure_response({.status = 404, .message = message}));
    }
    if (request.method != route->method) {
      HttpResponse response = failure_response(
          {.status = 405, .message = fmt::format("{} answers {} only", request.path, route->method)});
      response.headers.emplace_back("Allow", route->method);
      return responder->send(std::move(response));
    }
    if (route->work == Work::kAnswers) {
      if (const auto failure = refuse_early(*context_)) return responder->send(failure_response(*failure));
    }
    Call call = {context_, std::move(request), std::move(responder), std::chrono::steady_clock::now()};
    if (route->work == Work::kNow || !pool_) return run(*route, call);
    boost::asio::post(*pool_, [route, call = std::move(call)] { run(*route, call); });
  }

  void begin_drain() { context_->is_draining = true; }

 private:
  std::shared_ptr<ApiContext> context_;
  std::optional<boost::asio::thread_pool> pool_;
};

Api::Api(ApiModel model, EnginePort& engine, ApiOptions options)
    : impl_(std::make_unique<Impl>(std::move(model), engine, std::move(options))) {}

Api::~Api() = default;

void Api::handle(HttpRequest request, std::shared_ptr<HttpResponder> responder) {
  impl_->handle(std::move(request), std::move(responder));
}

void Api::begin_drain() {
  impl_->begin_drain();
}

}  // namespace beryl::server
