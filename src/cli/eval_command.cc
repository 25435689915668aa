#include "cli/eval_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "base/error.h"
#include "cli/eval_progress.h"
#include "cli/eval_report.h"
#include "cli/interrupt.h"
#include "engine/chat_model.h"
#include "engine/model_text.h"
#include "eval/eval_generation.h"
#include "eval/gsm8k_task.h"
#include "text/template_source.h"

namespace beryl::cli {
namespace {

namespace fs = std::filesystem;
using Prompts = std::vector<std::vector<eval::PromptTurn>>;

// What is asked, whoever answers.
struct Questions {
  const eval::Gsm8kTask* task;
  std::vector<eval::Gsm8kDocument> documents;
  Prompts prompts;
  int shot_count;
  bool is_chat;
};

Questions load_questions(const EvalCommandOptions& options) {
  const eval::Gsm8kTask& task = eval::find_gsm8k_task(options.task);
  Questions questions = {.task = &task,
                         .documents = eval::load_gsm8k(options.data),
                         .prompts = {},
                         .shot_count = options.shot_count.value_or(task.shot_count),
                         .is_chat = options.chat.value_or(task.is_chat)};
  const bool reads_training =
      task.shots == eval::ShotSource::kDrawn || task.shots == eval::ShotSource::kFirst;
  std::vector<eval::Gsm8kDocument> training;
  if (reads_training && questions.shot_count > 0) {
    const bool is_named = !options.shots.empty();
    const fs::path file = is_named ? options.shots : fs::path(options.data).replace_filename("train.jsonl");
    if (!is_named && !fs::exists(file)) {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("{} takes its examples from a training set, and there is no '{}'", task.name,
                              file.string()),
                  "name it with --shots, or ask without examples: --num-fewshot 0");
    }
    training = eval::load_gsm8k(file);
  }
  questions.prompts = eval::make_prompts(task, questions.documents, training,
                                         {.count = questions.shot_count, .seed = options.seed},
                                         options.limit.value_or(questions.documents.size()));
  return questions;
}

void print_prompts(const Questions& questions, std::ostream& out) {
  for (const auto& turns : questions.prompts) {
    nlohmann::ordered_json line;
    if (questions.is_chat) {
      for (const eval::PromptTurn& turn : turns) {
        line["messages"].push_back({{"role", text::role_name(turn.role)}, {"content", turn.content}});
      }
    } else {
      line["prompt"] = eval::join_turns(turns);
    }
    out << line.dump() << '\n';
  }
}

eval::EvalSettings settings_of(const EvalCommandOptions& options) {
  return {.model = {},
          .task = options.task,
          .compute = options.model.compute == backend::Compute::kF32 ? "f32" : "bf16",
          .temperature = options.temperature,
          .seed = options.seed,
          .new_tokens_max = options.new_tokens_max};
}

std::vector<eval::EvalQuestion> encode(const Questions& questions, const EvalCommandOptions& options,
                                       const text::Tokenizer& tokenizer,
                                       const checkpoint::Checkpoint& checkpoint) {
  std::unique_ptr<text::ChatTemplate> chat_template;
  if (questions.is_chat) {
    const text::TemplateSource source = engine::load_model_template(checkpoint, options.template_file);
    chat_template = std::make_unique<text::ChatTemplate>(source.text, source.name);
  }
  text::ChatOptions chat;
  chat.enables_thinking = options.thinks;
  std::vector<eval::EvalQuestion> encoded;
  for (size_t i = 0; i < questions.prompts.size(); ++i) {
    const auto& turns = questions.prompts[i];
    encoded.push_back({.index = i,
                       .prompt = questions.is_chat ? eval::encode_chat(turns, tokenizer, *chat_template, chat)
                                                   : eval::encode_raw(turns, tokenizer),
                       .gold = eval::gold_answer(questions.task->mark, questions.documents[i].answer)});
  }
  return encoded;
}

// Room for the longest prompt and its answer.
int64_t context_for(const std::vector<eval::EvalQuestion>& questions, int64_t new_tokens_max,
                    const checkpoint::ModelConfig& config) {
  size_t longest = 0;
  for (const eval::EvalQuestion& question : questions)
    longest = std::max(longest, question.prompt.ids.size());
  return std::min(static_cast<int64_t>(longest) + new_tokens_max, config.position_count_max);
}

eval::EvalResult evaluate(const EvalCommandOptions& options, const Questions& questions,
                          const std::string& model_name, eval::AnswerLog& log) {
  ModelOptions model = options.model;
  model.model = model_name;
  checkpoint::Checkpoint checkpoint = open_checkpoint(model);
  const text::Tokenizer tokenizer = engine::load_model_tokenizer(checkpoint);
  const std::vector<eval::EvalQuestion> encoded = encode(questions, options, tokenizer, checkpoint);
  eval::EvalOptions run = {.settings = settings_of(options),
                           .sampling = engine::default_sampling(checkpoint.generation()),
                           .end_tokens = checkpoint.generation().eos_token_ids};
  run.settings.model = model_name;
  run.sampling.temperature = options.temperature;
  run.sampling.seed = options.seed;
  engine::validate(run.sampling, static_cast<int32_t>(checkpoint.config().vocabulary_size));
  const eval::EvalJob job = {*questions.task, encoded, tokenizer, run};
  if (eval::is_answered(encoded, run.settings, log)) {
    return eval::run_eval(job, [](auto&&...) {}, log, {});
  }
  const int64_t context = context_for(encoded, options.new_tokens_max, checkpoint.config());
  const int64_t concurrency = std::min(options.concurrency, static_cast<int64_t>(encoded.size()));
  RunningModel running(
      load_model(model, std::move(checkpoint), {.context = context, .sequences = concurrency}));
  EvalProgressBar bar(model_name);
  return eval::run_eval(job, eval::generate_on(running.engine), log,
                        {.on_progress = [&](const eval::EvalProgress& progress) { bar.update(progress); },
                         .should_stop = is_interrupted});
}

void check_options(const EvalCommandOptions& options) {
  if (options.models.empty() && !options.only_prompts) {
    throw CLI::ValidationError("MODEL", "there is nobody to ask: name a model, or only show the --prompts");
  }
  for (size_t i = 1; i < options.models.size(); ++i) {
    if (std::find(options.models.begin(), options.models.begin() + static_cast<std::ptrdiff_t>(i),
                  options.models[i]) != options.models.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw CLI::ValidationError("MODEL", fmt::format("'{}' is named twice", options.models[i]));
    }
  }
}

std::string describe_tasks() {
  std::string text = "\nTasks:\n";
  for (const eval::Gsm8kTask& task : eval::gsm8k_tasks()) {
    text += fmt::format("  {:<26} {}\n", task.name, task.about);
  }
  return text;
}

void add_task_options(CLI::App& command, EvalCommandOptions& options) {
  command
      .add_option("--data", options.data,
                  "Questions: JSON lines with \"question\" and \"answer\", as GSM8K's")
      ->required();
  command.add_option("--shots", options.shots,
                     "Where examples come from (default: train.jsonl beside the data)");
  command.add_option("--limit", options.limit, "Only the first so many questions")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 32));
  command
      .add_option("--num-fewshot", options.shot_count, "Examples before each question (default: the task's)")
      ->check(CLI::Range(0, 1000));
  command.add_flag_callback("--chat", [&options] { options.chat = true; }, "Ask through the chat template");
  command.add_flag_callback(
             "--no-chat", [&options] { options.chat = false; }, "Ask as plain text")
      ->excludes(command.get_option("--chat"));
  command.add_flag("--think", options.thinks, "Let the model think before it answers (in a chat)")
      ->excludes(command.get_option("--no-chat"));
  command.add_option("--chat-template", options.template_file,
                     "Use this Jinja file in place of the model's template");
  command
      .add_option("--seed", options.seed,
                  "Decides which examples are drawn and, with --temperature, the answers")
      ->capture_default_str();
}

}  // namespace

void add_eval_options(CLI::App& command, EvalCommandOptions& options) {
  command.add_option("TASK", options.task, "One of the tasks below")->required();
  add_model_options(command, options.model);
  command.remove_option(command.get_option("MODEL"));
  command.add_option("MODEL", options.models,
                     "Models to ask, one after the other; each is held against the first");
  add_task_options(command, options);
  command.add_option("--temperature", options.temperature, "0: always the most likely token")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  command.add_option("--max-tokens", options.new_tokens_max, "Most tokens of an answer")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--concurrency", options.concurrency, "Answers to generate at a time")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 12))
      ->capture_default_str();
  command.add_option(
      "--output", options.output,
      "Add every prompt and answer to this file as JSON lines; answers that it already has are not "
      "asked for again");
  command.add_flag("--prompts", options.only_prompts, "Only print the prompts, as JSON lines");
  command.add_flag("--json", options.json, "Print one JSON object");
  command.footer(describe_tasks());
}

int run_eval_command(const EvalCommandOptions& options, std::ostream& out) {
  check_options(options);
  const Questions questions = load_questions(options);
  if (options.only_prompts) {
    print_prompts(questions, out);
    return 0;
  }
  eval::AnswerLog log = options.output.empty() ? eval::AnswerLog() : eval::AnswerLog(options.output);
  EvalReport report = {.task = options.task,
                       .questions = questions.prompts.size(),
                       .shot_count = questions.shot_count,
                       .is_chat = questions.is_chat,
                       .thinks = options.thinks,
                       .settings = settings_of(options),
                       .results = {}};
  for (const std::string& model : options.models) {
    report.results.push_back(evaluate(options, questions, model, log));
    if (is_interrupted()) break;
  }
  if (options.json) {
    print_eval_json(out, report);
  } else {
    print_eval_table(out, report);
  }
  if (!is_interrupted()) return 0;
  fmt::print(stderr, "interrupted; {}\n",
             options.output.empty() ? "with --output the answers would be kept"
                                    : "the same command goes on from the recorded answers");
  return kExitInterrupted;
}

}  // namespace beryl::cli
