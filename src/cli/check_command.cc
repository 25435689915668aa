#include "cli/check_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "eval/golden.h"
#include "eval/golden_check.h"

namespace beryl::cli {
namespace {

namespace fs = std::filesystem;

// Largest difference of a stream between layers that counts as none.
constexpr double kHiddenTolerance = 5e-4;

std::string_view compute_name(backend::Compute compute) {
  return compute == backend::Compute::kF32 ? "f32" : "bf16";
}

int64_t tokens_max(const eval::GoldenFile& golden) {
  size_t tokens = 0;
  for (const eval::GoldenPrompt& prompt : golden.prompts) {
    tokens = std::max(tokens, prompt.input_ids.size() + prompt.greedy.size());
  }
  return static_cast<int64_t>(tokens);
}

// NAME.dequant.json beside NAME.safetensors.
std::optional<fs::path> find_module_list(const fs::path& golden) {
  fs::path list = golden;
  list.replace_extension(".dequant.json");
  return fs::exists(list) ? std::optional(list) : std::nullopt;
}

struct ModuleCheck {
  size_t count = 0;
  std::vector<eval::ModuleMismatch> mismatches;
};

// As /v1/completions echoes them: the first token has none.
void add_logprobs(nlohmann::json& json, const eval::GoldenFile& golden, const eval::GoldenResult& result) {
  for (size_t i = 0; i < golden.prompts.size(); ++i) {
    std::vector<int32_t> tokens = golden.prompts[i].input_ids;
    tokens.insert(tokens.end(), golden.prompts[i].greedy.begin(), golden.prompts[i].greedy.end());
    nlohmann::json logprobs = nlohmann::json::array({nullptr});
    for (const double logprob : result.prompts[i].logprobs) logprobs.push_back(logprob);
    json["prompts"][i]["tokens"] = tokens;
    json["prompts"][i]["token_logprobs"] = std::move(logprobs);
  }
}

nlohmann::json to_json(const eval::GoldenResult& result, const ModuleCheck& modules,
                       backend::Compute compute) {
  nlohmann::json prompts = nlohmann::json::array();
  for (const eval::PromptResult& prompt : result.prompts) {
    prompts.push_back({{"positions", prompt.positions},
                       {"logit_difference_max", prompt.logit_difference_max},
                       {"kl_mean", prompt.kl_mean},
                       {"kl_max", prompt.kl_max},
                       {"greedy_tokens", prompt.greedy_tokens},
                       {"greedy_equal", prompt.greedy_equal},
                       {"greedy_wrong", prompt.greedy_wrong},
                       {"margin_difference_max", prompt.margin_difference_max}});
  }
  nlohmann::json json = {{"passed", result.passed && modules.mismatches.empty()},
                         {"compute", compute_name(compute)},
                         {"logit_difference_max", result.logit_difference_max},
                         {"kl_mean", result.kl_mean},
                         {"greedy_tokens", result.greedy_tokens},
                         {"greedy_equal", result.greedy_equal},
                         {"greedy_wrong", result.greedy_wrong},
                         {"modules", modules.count},
                         {"prompts", std::move(prompts)}};
  for (const eval::ModuleMismatch& mismatch : modules.mismatches) {
    json["module_mismatches"].push_back({{"name", mismatch.name}, {"found", mismatch.found}});
  }
  if (result.hidden_difference) {
    json["first_hidden_difference"] = {{"prompt", result.hidden_difference->prompt},
                                       {"hidden", result.hidden_difference->hidden},
                                       {"difference_max", result.hidden_difference->difference_max}};
  }
  return json;
}

void print_for_people(std::ostream& out, const eval::GoldenResult& result, const ModuleCheck& modules) {
  fmt::print(out, "{:>6} {:>9} {:>14} {:>10} {:>10} {:>12} {:>6}\n", "prompt", "positions", "logit diff max",
             "KL mean", "KL max", "greedy equal", "wrong");
  for (size_t i = 0; i < result.prompts.size(); ++i) {
    const eval::PromptResult& prompt = result.prompts[i];
    fmt::print(out, "{:>6} {:>9} {:>14.2e} {:>10.2e} {:>10.2e} {:>12} {:>6}\n", i, prompt.positions,
               prompt.logit_difference_max, prompt.kl_mean, prompt.kl_max,
               fmt::format("{}/{}", prompt.greedy_equal, prompt.greedy_tokens), prompt.greedy_wrong);
  }
  if (modules.count > 0) {
    fmt::print(out, "dequantised modules: {} of {} have the recorded SHA-256\n",
               modules.count - modules.mismatches.size(), modules.count);
  }
  for (const eval::ModuleMismatch& mismatch : modules.mismatches) {
    fmt::print(out, "  {}: {}\n", mismatch.name, mismatch.found);
  }
  if (result.hidden_difference) {
    const eval::HiddenDifference& difference = *result.hidden_difference;
    fmt::print(out, "first stream that differs: hidden{} ({}) of prompt {}, by {:.2e}\n", difference.hidden,
               difference.hidden == 0 ? std::string("the embedding")
                                      : fmt::format("after layer {}", difference.hidden - 1),
               difference.prompt, difference.difference_max);
  }
  const bool passed = result.passed && modules.mismatches.empty();
  fmt::print(out,
             "{}: logit difference at most {:.2e}, mean KL {:.2e}, greedy {}/{} equal, {} wrong beyond the "
             "margin\n",
             passed ? "PASS" : "FAIL", result.logit_difference_max, result.kl_mean, result.greedy_equal,
             result.greedy_tokens, result.greedy_wrong);
}

}  // namespace

void add_check_options(CLI::App& command, CheckOptions& options) {
  add_model_options(command, options.model);
  command.add_option("GOLDEN", options.golden, "Golden file (safetensors): prompts with reference logits")
      ->required();
  command.add_flag("--hidden", options.hidden,
                   "Compare the streams between layers as well and name the first that differs");
  command
      .add_option("--kl-max", options.kl_max,
                  "Bound of the mean KL divergence (default in bf16 mode: 5e-3, with experts 0.15)")
      ->check(CLI::NonNegativeNumber);
  CLI::Option* json = command.add_flag("--json", options.json, "Print one JSON object");
  command
      .add_flag("--logprobs", options.logprobs,
                "Add the tokens and their log-probabilities, which are those of /v1/completions with echo")
      ->needs(json);
}

int run_check(const CheckOptions& options, std::ostream& out) {
  const eval::GoldenFile golden = eval::load_golden(options.golden);
  const LoadedModel loaded =
      load_model(options.model, open_checkpoint(options.model), {.context = tokens_max(golden)});

  eval::GoldenOptions check = {.bounds =
                                   eval::default_bounds(options.model.compute, loaded.checkpoint.config())};
  if (options.kl_max) check.bounds.kl_mean_max = options.kl_max;
  if (options.hidden) check.hidden_tolerance = kHiddenTolerance;
  const eval::GoldenResult result = eval::check_golden(loaded.network, *loaded.backend, golden, check);

  ModuleCheck modules;
  if (const auto list = find_module_list(options.golden)) {
    const std::vector<eval::GoldenModule> expected = eval::load_golden_modules(*list);
    modules = {.count = expected.size(),
               .mismatches = eval::check_modules(loaded.checkpoint.weights(), expected)};
  }
  if (options.json) {
    nlohmann::json json = to_json(result, modules, options.model.compute);
    if (options.logprobs) add_logprobs(json, golden, result);
    out << json.dump(2) << '\n';
  } else {
    print_for_people(out, result, modules);
  }
  return result.passed && modules.mismatches.empty() ? 0 : 1;
}

}  // namespace beryl::cli
