#include "cli/inspect_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>

#include "checkpoint/size_name.h"
#include "cli/inspection.h"
#include "cli/text_format.h"

namespace beryl::cli {
namespace {

using checkpoint::Checkpoint;
using checkpoint::ModelConfig;
using checkpoint::WeightClass;
using nlohmann::ordered_json;

std::string_view cache_type(const InspectOptions& options) {
  return options.model.compute == backend::Compute::kF32 ? "f32" : "bf16";
}

int64_t sliding_layer_count(const ModelConfig& config) {
  return std::count_if(config.layers.begin(), config.layers.end(), [](const checkpoint::LayerConfig& layer) {
    return layer.attention == checkpoint::AttentionKind::kSliding;
  });
}

bool head_is_embedding(const Checkpoint& checkpoint) {
  return checkpoint.weights().find({checkpoint::Part::kHead, -1, -1}) == nullptr;
}

// ---- For programs ----

ordered_json architecture_json(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const checkpoint::PublishedSize* size = checkpoint::find_published_size(config);
  const auto layers = static_cast<int64_t>(config.layers.size());
  ordered_json json = {{"model_type", config.model_type},
                       {"size", nullptr},
                       {"layers", layers},
                       {"sliding_layers", sliding_layer_count(config)},
                       {"full_layers", layers - sliding_layer_count(config)},
                       {"sliding_window", config.sliding_window},
                       {"hidden_size", config.hidden_size},
                       {"vocabulary_size", config.vocabulary_size},
                       {"experts", config.expert_count},
                       {"experts_published", nullptr},
                       {"experts_per_token", config.experts_per_token},
                       {"positions", config.position_count_max},
                       {"head_is_embedding", head_is_embedding(checkpoint)}};
  if (size == nullptr) return json;
  json["size"] = size->name;
  if (size->expert_count > 0) json["experts_published"] = size->expert_count;
  return json;
}

ordered_json class_json(const WeightClass& entry) {
  ordered_json json = {{"class", entry.name},
                       {"loaded", entry.is_loaded},
                       {"dialect", nullptr},
                       {"format", entry.format},
                       {"scales", entry.scales},
                       {"weights", entry.count},
                       {"parameters", entry.parameters},
                       {"bytes", entry.bytes},
                       {"bits_per_weight", entry.bits_per_weight()}};
  if (entry.is_loaded) json["dialect"] = entry.dialect;
  return json;
}

ordered_json speed_json(const Inspection& inspection) {
  if (!inspection.speed) return nullptr;
  const SpeedFigures& speed = *inspection.speed;
  return {{"threads", speed.threads},
          {"read_bytes_per_second", static_cast<uint64_t>(speed.read_bytes_per_second)},
          {"context_tokens", speed.context_tokens},
          {"weight_bytes_per_token", inspection.weights.bytes_per_token},
          {"cache_bytes_per_token", speed.cache_bytes_per_token},
          {"tokens_per_second", speed.tokens_per_second}};
}

template <typename Items, typename ToJson>
ordered_json list_json(const Items& items, const ToJson& to_json) {
  ordered_json list = ordered_json::array();
  for (const auto& item : items) list.push_back(to_json(item));
  return list;
}

ordered_json to_json(const Checkpoint& checkpoint, const Inspection& inspection, std::string_view type) {
  const checkpoint::WeightReport& report = inspection.report;
  const auto skipped = list_json(report.skipped, [](const checkpoint::SkippedClass& entry) {
    return ordered_json{{"reason", entry.reason}, {"tensors", entry.count}, {"bytes", entry.bytes}};
  });
  const auto notes = list_json(checkpoint.weights().notes(), [](const checkpoint::Note& note) {
    return ordered_json{{"text", note.text}, {"modules", note.modules}, {"example", note.example}};
  });
  const auto contexts = list_json(inspection.contexts, [](const ContextFigures& context) {
    return ordered_json{{"tokens", context.tokens}, {"bytes", context.bytes}, {"fits", context.fits}};
  });
  ordered_json method;
  if (checkpoint.quantization().is_present()) method = checkpoint.quantization().method();
  return {{"path", checkpoint.path().string()},
          {"architecture", architecture_json(checkpoint)},
          {"quantisation", method},
          {"parameters", {{"total", report.parameters}, {"active_per_token", report.active_parameters}}},
          {"classes", list_json(report.classes, class_json)},
          {"skipped", skipped},
          {"notes", notes},
          {"files",
           {{"count", checkpoint.shards().shards().size()},
            {"bytes", inspection.file_bytes},
            {"tensors", report.tensors},
            {"tensor_bytes", report.tensor_bytes},
            {"ignored", list_json(checkpoint.shards().ignored_files(), std::identity())}}},
          {"memory",
           {{"weights_bytes", inspection.weights.resident_bytes},
            {"working_bytes", inspection.working_bytes},
            {"available_bytes", inspection.machine.available_bytes},
            {"total_bytes", inspection.machine.total_bytes},
            {"fits", inspection.fits()},
            {"context_that_fits", inspection.context_that_fits}}},
          {"cache",
           {{"type", type},
            {"sliding_bytes_per_token", inspection.cache.sliding_bytes_per_token},
            {"full_bytes_per_token", inspection.cache.full_bytes_per_token},
            {"contexts", contexts}}},
          {"speed", speed_json(inspection)}};
}

// ---- For people ----

// "25.23 billion", "812".
std::string format_count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return fmt::format("{:.2f} billion", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} million", value / 1e6);
  return fmt::format("{}", count);
}

std::string counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string architecture_text(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const checkpoint::PublishedSize* size = checkpoint::find_published_size(config);
  std::string text = config.model_type;
  if (size != nullptr) text += fmt::format(", dimensions of {}", size->name);
  const auto sliding = sliding_layer_count(config);
  text += fmt::format("; {} sliding and {} full layers of width {}", sliding,
                      static_cast<int64_t>(config.layers.size()) - sliding, config.hidden_size);
  if (config.is_moe()) {
    text += fmt::format("; {} of {} experts a token", config.experts_per_token, config.expert_count);
    if (size != nullptr && size->expert_count != config.expert_count) {
      text += fmt::format(" (published: {})", size->expert_count);
    }
  }
  return text;
}

void print_classes(const Checkpoint& checkpoint, const checkpoint::WeightReport& report, std::ostream& out) {
  constexpr std::string_view kRow = "{:<20} {:<18} {:<9} {:<18} {:>7} {:>14} {:>9} {:>6}\n";
  fmt::print(out, kRow, "class", "dialect", "format", "scales", "weights", "parameters", "size", "bits");
  for (const WeightClass& entry : report.classes) {
    const bool is_head = entry.name == "embedding" && head_is_embedding(checkpoint);
    fmt::print(out, kRow, is_head ? "embedding and head" : entry.name,
               entry.is_loaded ? entry.dialect : "not loaded", entry.format, entry.scales, entry.count,
               format_count(entry.parameters), format_bytes(entry.bytes),
               fmt::format("{:.2f}", entry.bits_per_weight()));
  }
}

void print_memory(const Checkpoint& checkpoint, const Inspection& inspection, std::string_view type,
                  std::ostream& out) {
  fmt::print(out, "memory       weights {}, working memory {}; {} available of {}\n",
             format_bytes(inspection.weights.resident_bytes), format_bytes(inspection.working_bytes),
             format_bytes(inspection.machine.available_bytes), format_bytes(inspection.machine.total_bytes));
  fmt::print(out, "cache        {}, {} a token in sliding layers (window {}), {} in full ones\n", type,
             format_bytes(inspection.cache.sliding_bytes_per_token), checkpoint.config().sliding_window,
             format_bytes(inspection.cache.full_bytes_per_token));
  for (const ContextFigures& context : inspection.contexts) {
    fmt::print(out, "             {} for {} tokens{}\n", format_bytes(context.bytes), context.tokens,
               context.fits ? "" : ", which does not fit beside the weights");
  }
  if (!inspection.fits()) {
    fmt::print(out, "fits         no\n");
  } else if (inspection.context_that_fits == checkpoint.config().position_count_max) {
    fmt::print(out, "fits         yes, with all {} tokens that the model can attend to\n",
               inspection.context_that_fits);
  } else {
    fmt::print(out, "fits         yes, with up to {} of {} tokens\n", inspection.context_that_fits,
               checkpoint.config().position_count_max);
  }
}

void print_speed(const Inspection& inspection, std::ostream& out) {
  if (!inspection.speed) return;
  const SpeedFigures& speed = *inspection.speed;
  fmt::print(
      out,
      "speed        {:.1f} tokens/s at most: a token reads {} of weights and {} of a cache of {} tokens;\n",
      speed.tokens_per_second, format_bytes(inspection.weights.bytes_per_token),
      format_bytes(speed.cache_bytes_per_token), speed.context_tokens);
  fmt::print(out, "             {} just read {} a second\n", counted(speed.threads, "thread"),
             format_bytes(static_cast<uint64_t>(speed.read_bytes_per_second)));
}

void print_for_people(const Checkpoint& checkpoint, const Inspection& inspection, std::string_view type,
                      std::ostream& out) {
  const checkpoint::WeightReport& report = inspection.report;
  const auto files = static_cast<int64_t>(checkpoint.shards().shards().size());
  fmt::print(out, "model        {}\n", checkpoint.path().string());
  fmt::print(out, "architecture {}\n", architecture_text(checkpoint));
  fmt::print(out, "parameters   {}, {} of them active for a token\n", format_count(report.parameters),
             format_count(report.active_parameters));
  fmt::print(out, "files        {} in {}, {}\n", format_bytes(inspection.file_bytes), counted(files, "file"),
             counted(report.tensors, "tensor"));
  if (checkpoint.quantization().is_present()) {
    fmt::print(out, "quantisation {}\n", checkpoint.quantization().method());
  }
  fmt::print(out, "\n");
  print_classes(checkpoint, report, out);
  fmt::print(out, "\n");
  print_memory(checkpoint, inspection, type, out);
  print_speed(inspection, out);
  for (const checkpoint::SkippedClass& entry : report.skipped) {
    fmt::print(out, "skipped      {}, {}: {}\n", counted(entry.count, "tensor"), format_bytes(entry.bytes),
               entry.reason);
  }
  for (const checkpoint::Note& note : checkpoint.weights().notes()) {
    fmt::print(out, "note         {}: {} ({})\n", counted(note.modules, "module"), note.text, note.example);
  }
  for (const std::string& name : checkpoint.shards().ignored_files()) {
    fmt::print(out, "ignored      {}: not part of the checkpoint\n", name);
  }
}

}  // namespace

void add_inspect_options(CLI::App& command, InspectOptions& options) {
  add_model_options(command, options.model);
  command.add_flag("--json", options.json, "Print one JSON object");
  command.add_flag("--no-speed", options.no_speed, "Do not measure this machine's memory to tell the speed");
}

int run_inspect(const InspectOptions& options, std::ostream& out) {
  const Checkpoint checkpoint = open_checkpoint(options.model);
  const Inspection inspection = inspect(checkpoint, options.model, !options.no_speed);
  if (options.json) {
    out << to_json(checkpoint, inspection, cache_type(options)).dump(2) << '\n';
  } else {
    print_for_people(checkpoint, inspection, cache_type(options), out);
  }
  return 0;
}

}  // namespace beryl::cli
