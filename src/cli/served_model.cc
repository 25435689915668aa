#include "cli/served_model.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "checkpoint/model_path.h"
#include "cli/progress_bar.h"
#include "engine/model_text.h"
#include "server/http_error.h"

namespace beryl::cli {
namespace {

std::string served_name(const ServeOptions& options) {
  if (!options.served_names.empty()) return options.served_names.front();
  return checkpoint::resolve_model_path(options.model.model, checkpoint::read_cache_environment()).name;
}

text::TemplateSource load_template(const checkpoint::Checkpoint& checkpoint, const ServeOptions& options) {
  text::TemplateSource source = engine::load_model_template(checkpoint, options.template_file);
  if (const auto warning = text::revision_warning(source.text)) fmt::print(stderr, "warning: {}\n", *warning);
  return source;
}

}  // namespace

// Shows a bar on a terminal, too.
class ServedModel::LoadingProgress final : public Progress {
 public:
  explicit LoadingProgress(ServedModel& served) : served_(served) {}

  void update(uint64_t done, uint64_t total) override {
    if (served_.gives_up_) throw Error(ErrorCode::kInterrupted, "loading was given up");
    served_.all_bytes_ = total;
    uint64_t known = served_.loaded_bytes_;  // threads report out of order
    while (known < done && !served_.loaded_bytes_.compare_exchange_weak(known, done)) {
    }
    bar_.update(done, total);
  }

 private:
  ServedModel& served_;
  ProgressBar bar_{"loading"};
};

ServedModel::ServedModel(const ServeOptions& options)
    : options_(options),
      name_(served_name(options)),
      checkpoint_(open_checkpoint(options.model)),
      tokenizer_(engine::load_model_tokenizer(*checkpoint_)),
      template_source_(load_template(*checkpoint_, options)),
      template_(template_source_.text, template_source_.name) {
  server::MetricsOptions metrics = {.model_name = name_, .has_vllm_names = options.has_vllm_metrics};
  metrics.engine_stats = [this] {
    return state_ == State::kReady ? running_->engine.stats() : engine::EngineStats();
  };
  metrics.http_figures = [this] {
    const server::HttpServer* server = server_;
    return server != nullptr ? server->figures() : server::HttpFigures();
  };
  metrics_ = std::make_unique<server::Metrics>(std::move(metrics));
}

ServedModel::~ServedModel() {
  gives_up_ = true;
  if (loader_.joinable()) loader_.join();
}

void ServedModel::start_loading() {
  loader_ = std::thread([this] { load(); });
}

void ServedModel::load() {
  try {
    LoadingProgress progress(*this);
    LoadedModel loaded =
        load_model(options_.model, *std::move(checkpoint_), memory_wishes(options_), &progress);
    engine::EngineOptions& engine = loaded.plan.options;
    engine.step_seconds_max = options_.engine.step_seconds_max;
    engine.chunk_tokens = options_.engine.chunk_tokens;
    engine.queue_requests_max = options_.engine.queue_requests_max;
    engine.queue_tokens_max = options_.engine.queue_tokens_max;
    engine.has_prefix_cache = !options_.has_no_prefix_cache;
    running_ = std::make_unique<RunningModel>(std::move(loaded));
    make_api();
    state_ = State::kReady;
  } catch (...) {
    failure_ = std::current_exception();
    state_ = State::kFailed;
  }
}

void ServedModel::make_api() {
  server::ApiModel model = {.name = name_,
                            .answers_any_name = options_.answers_any_name,
                            .created = static_cast<int64_t>(std::time(nullptr)),
                            .tokenizer = tokenizer_,
                            .chat_template = template_,
                            .template_source = template_source_.text,
                            .generation = running_->model.checkpoint.generation(),
                            .context = running_->engine.options().context_max};
  if (options_.served_names.size() > 1) {
    model.aliases.assign(options_.served_names.begin() + 1, options_.served_names.end());
  }
  server::ApiOptions api = {.salts_by_client = !options_.api_keys.empty() || !options_.api_key_file.empty(),
                            .version = BERYL_VERSION};
  api.hooks = {.metrics_text = [this] { return metrics_->text(); },
               .warn = [](const std::string& line) { fmt::print(stderr, "warning: {}\n", line); },
               .on_first_token = [this](double seconds) { metrics_->on_first_token(seconds); },
               .on_next_token = [this](double seconds) { metrics_->on_next_token(seconds); },
               .on_answer = [this](const engine::SampleResult& result,
                                   double seconds) { metrics_->on_answer(result, seconds); }};
  engine_port_ = std::make_unique<server::LiveEngine>(running_->engine);
  metered_engine_ = std::make_unique<server::MeteredEngine>(*engine_port_, *metrics_);
  api_ = std::make_unique<server::Api>(std::move(model), *metered_engine_, std::move(api));
}

server::HttpHandler ServedModel::handler() {
  return [this](server::HttpRequest request, std::shared_ptr<server::HttpResponder> responder) {
    handle(std::move(request), std::move(responder));
  };
}

void ServedModel::handle(server::HttpRequest request, std::shared_ptr<server::HttpResponder> responder) {
  if (request.path == "/ready") request.path = "/health";
  if (state_ == State::kReady) return api_->handle(std::move(request), std::move(responder));
  answer_while_loading(request, *responder);
}

void ServedModel::answer_while_loading(const server::HttpRequest& request,
                                       server::HttpResponder& responder) const {
  const uint64_t all = all_bytes_;
  const double share = all == 0 ? 0 : static_cast<double>(loaded_bytes_) / static_cast<double>(all);
  if (request.path == "/version")
    return responder.send({.body = nlohmann::json{{"version", BERYL_VERSION}}.dump()});
  if (request.path == "/metrics") {
    return responder.send(
        {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_->text()});
  }
  server::HttpResponse response =
      request.path == "/health"
          ? server::HttpResponse{.status = 503,
                                 .body = nlohmann::json{{"status", "loading"}, {"progress", share}}.dump()}
          : server::http_error(503, fmt::format("the model is being loaded, {:.0f} % are done", share * 100));
  response.headers.emplace_back("Retry-After", "5");
  responder.send(std::move(response));
}

void ServedModel::begin_drain() {
  if (state_ == State::kReady) api_->begin_drain();
}

}  // namespace beryl::cli
