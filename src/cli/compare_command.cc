#include "cli/compare_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <optional>
#include <ostream>
#include <utility>

#include "base/error.h"
#include "cli/compare_report.h"
#include "cli/progress_line.h"
#include "engine/model_text.h"
#include "eval/compare_chart.h"
#include "eval/compare_models.h"
#include "eval/compare_texts.h"
#include "eval/golden.h"

namespace beryl::cli {
namespace {

ModelOptions options_of(const CompareCommandOptions& options, const std::string& name) {
  ModelOptions model = options.model;
  model.model = name;
  return model;
}

// The texts, and the tokenizer to show them with, as the first model has them.
struct Subject {
  std::optional<text::Tokenizer> tokenizer;
  std::vector<eval::CompareText> texts;
};

// Golden files are for checkpoints without a tokenizer, too.
std::optional<text::Tokenizer> find_tokenizer(const checkpoint::Checkpoint& checkpoint) {
  try {
    return engine::load_model_tokenizer(checkpoint);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

std::optional<text::ChatTemplate> find_template(const CompareCommandOptions& options,
                                                const checkpoint::Checkpoint& checkpoint) {
  try {
    const text::TemplateSource source = engine::load_model_template(checkpoint, options.template_file);
    return text::ChatTemplate(source.text, source.name);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound || !options.template_file.empty()) throw;
    return std::nullopt;
  }
}

Subject load_subject(const CompareCommandOptions& options, const checkpoint::Checkpoint& checkpoint) {
  const eval::CompareTextOptions limits = {.positions_max = options.positions_max,
                                           .context_max = checkpoint.config().position_count_max};
  Subject subject;
  if (!options.golden.empty()) {
    subject.tokenizer = find_tokenizer(checkpoint);
    subject.texts = eval::make_compare_texts(eval::load_golden(options.golden), limits);
    return subject;
  }
  subject.tokenizer = engine::load_model_tokenizer(checkpoint);
  const std::optional<text::ChatTemplate> chat_template = find_template(options, checkpoint);
  subject.texts = eval::load_compare_texts(options.data, *subject.tokenizer,
                                           chat_template ? &*chat_template : nullptr, limits);
  return subject;
}

int64_t longest(const std::vector<eval::CompareText>& texts) {
  size_t tokens = 1;
  for (const eval::CompareText& text : texts) tokens = std::max(tokens, text.tokens.size());
  return static_cast<int64_t>(tokens);
}

// The first model is gone before the second one is loaded.
eval::ModelTrace trace_first(const CompareCommandOptions& options, checkpoint::Checkpoint checkpoint,
                             const std::vector<eval::CompareText>& texts) {
  const LoadedModel loaded =
      load_model(options_of(options, options.first), std::move(checkpoint), {.context = longest(texts)});
  ProgressLine progress(options.first);
  return eval::ModelTrace(loaded.network, *loaded.backend, texts,
                          options.layers ? eval::CompareLayers::kYes : eval::CompareLayers::kNo, progress);
}

eval::CompareResult compare_second(const CompareCommandOptions& options, const eval::ModelTrace& first,
                                   const std::vector<eval::CompareText>& texts) {
  const ModelOptions model = options_of(options, options.second);
  const LoadedModel loaded = load_model(model, open_checkpoint(model), {.context = longest(texts)});
  ProgressLine progress(options.second);
  return eval::compare_with(first, loaded.network, *loaded.backend, texts, progress);
}

void write_chart(const std::filesystem::path& file, const std::string& svg) {
  std::ofstream out(file, std::ios::binary);
  out << svg;
  out.close();
  if (!out) throw Error(ErrorCode::kIo, fmt::format("cannot write the chart '{}'", file.string()));
}

}  // namespace

void add_compare_options(CLI::App& command, CompareCommandOptions& options) {
  command.add_option("A", options.first, "The model to compare with, as MODEL of other commands")->required();
  command.add_option("B", options.second, "The model that is compared with it")->required();
  add_model_options(command, options.model);
  command.remove_option(command.get_option("MODEL"));
  CLI::Option* data = command.add_option("--data", options.data,
                                         "What to predict: JSON lines with \"question\" and \"answer\", or "
                                         "with \"text\"; or any other file as plain text");
  command.add_option("--golden", options.golden, "Predict the prompts of this golden file")->excludes(data);
  command
      .add_option("--positions", options.positions_max,
                  "Most positions to compare; each takes vocabulary x 4 bytes on the disk")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 32))
      ->capture_default_str();
  command.add_flag("--layers", options.layers,
                   "Compare the streams between layers and the choices of experts, too");
  command.add_option("--worst", options.worst, "How many of the worst positions to show")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command.add_option("--chat-template", options.template_file,
                     "Use this Jinja file in place of the first model's template");
  command.add_option("--plot", options.plot, "Draw a chart into this file, as SVG");
  command.add_flag("--json", options.json, "Print one JSON object");
}

int run_compare_command(const CompareCommandOptions& options, std::ostream& out) {
  if (options.data.empty() && options.golden.empty()) {
    throw CLI::ValidationError(
        "--data", "there is nothing to predict: name texts (--data) or a golden file (--golden)");
  }
  checkpoint::Checkpoint checkpoint = open_checkpoint(options_of(options, options.first));
  const Subject subject = load_subject(options, checkpoint);
  const eval::ModelTrace first = trace_first(options, std::move(checkpoint), subject.texts);
  CompareReport report = {.first = options.first,
                          .second = options.second,
                          .compute = options.model.compute == backend::Compute::kF32 ? "f32" : "bf16",
                          .texts = subject.texts,
                          .result = compare_second(options, first, subject.texts),
                          .worst = options.worst,
                          .tokenizer = subject.tokenizer ? &*subject.tokenizer : nullptr};
  if (!options.plot.empty()) {
    write_chart(options.plot, eval::draw_comparison(report.result, options.first, options.second));
  }
  if (options.json) {
    print_compare_json(out, report);
  } else {
    print_compare_table(out, report);
  }
  return 0;
}

}  // namespace beryl::cli
