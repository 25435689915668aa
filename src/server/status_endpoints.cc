// /v1/models and /status.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "server/endpoints.h"

namespace beryl::server {
namespace {

Json entry_json(const ApiModel& model, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "beryl"},
          {"root", model.name},
          {"parent", nullptr},
          {"max_model_len", model.context},
          {"permission", Json::array()}};
}

Json requests_json(const std::vector<engine::RequestStatus>& requests) {
  Json list = Json::array();
  for (const engine::RequestStatus& request : requests) {
    list.push_back({{"id", request.id},
                    {"sample", request.sample},
                    {"state", request.is_running ? "running" : "waiting"},
                    {"prompt_tokens", request.prompt_tokens},
                    {"computed_tokens", request.computed_tokens},
                    {"new_tokens", request.new_tokens}});
  }
  return list;
}

Json finished_json(const engine::EngineStats& stats) {
  Json finished = Json::object();
  for (size_t i = 0; i < std::size(stats.finished); ++i) {
    finished[std::string(engine::finish_reason_name(static_cast<engine::FinishReason>(i)))] =
        stats.finished[i];
  }
  return finished;
}

}  // namespace

Json models_json(const ApiModel& model) {
  Json data = Json::array({entry_json(model, model.name)});
  for (const std::string& alias : model.aliases) data.push_back(entry_json(model, alias));
  return {{"object", "list"}, {"data", std::move(data)}};
}

Json model_json(const ApiModel& model, const std::string& name) {
  const bool is_served = name == model.name || std::ranges::find(model.aliases, name) != model.aliases.end();
  if (!is_served) throw Error(ErrorCode::kNotFound, "there is no model " + quote(name));
  return entry_json(model, name);
}

Json status_json(const engine::EngineStats& stats, const ApiModel& model) {
  return {{"model", model.name},
          {"context", model.context},
          {"running", stats.running},
          {"waiting", stats.waiting},
          {"waiting_tokens", stats.waiting_tokens},
          {"pages",
           {{"sliding", {{"total", stats.sliding_pages}, {"used", stats.sliding_pages_used}}},
            {"full", {{"total", stats.full_pages}, {"used", stats.full_pages_used}}}}},
          {"prefix_cache",
           {{"snapshots", stats.prefix_snapshots},
            {"sliding_pages", stats.prefix_sliding_pages},
            {"full_pages", stats.prefix_full_pages},
            {"queries", stats.prefix_queries},
            {"hits", stats.prefix_hits},
            {"evictions", stats.prefix_evictions}}},
          {"steps", stats.steps},
          {"abandoned_steps", stats.abandoned_steps},
          {"prompt_tokens_computed", stats.prompt_tokens_computed},
          {"prompt_tokens_cached", stats.prompt_tokens_cached},
          {"new_tokens", stats.new_tokens},
          {"preemptions", stats.preemptions},
          {"numeric_errors", stats.numeric_errors},
          {"finished", finished_json(stats)},
          {"last_step",
           {{"seconds", stats.last_step_seconds},
            {"prompt_tokens", stats.last_step_prompt_tokens},
            {"new_tokens", stats.last_step_new_tokens}}},
          {"requests", requests_json(stats.requests)}};
}

}  // namespace beryl::server
