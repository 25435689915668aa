#include "cli/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "cli/bench_command.h"
#include "cli/check_command.h"
#include "cli/compare_command.h"
#include "cli/doctor_command.h"
#include "cli/eval_command.h"
#include "cli/inspect_command.h"
#include "cli/ps_command.h"
#include "cli/run_command.h"
#include "cli/serve_command.h"
#include "cli/text_format.h"
#include "cli/tokenize_command.h"
#include "cli/verify_command.h"

namespace beryl::cli {
namespace {

// Wrong usage, said as all other failures are.
std::string usage_message(const CLI::App* app, const CLI::Error& error) {
  std::string command = app->get_name();
  for (const CLI::App* chosen : app->get_subcommands()) command += " " + chosen->get_name();
  std::string message = error.what();
  if (const auto rest = app->remaining(); app->get_subcommands().empty() && !rest.empty()) {
    message = fmt::format("no command '{}'", rest.front());  // CLI11 would only ask for a command
  }
  return format_error(Error(ErrorCode::kInvalidInput, message, command + " --help shows the usage"));
}

}  // namespace

struct CommandLine::Options {
  RunOptions run;
  ServeOptions serve;
  PsOptions ps;
  InspectOptions inspect;
  VerifyCommandOptions verify;
  CheckOptions check;
  BenchCommandOptions bench;
  EvalCommandOptions eval;
  CompareCommandOptions compare;
  TokenizeOptions tokenize;
  std::string tokenize_text;
  bool tokenize_as_text = false;
  std::vector<int32_t> decode_ids;
  DoctorOptions doctor;
  bool version_json = false;
};

CommandLine::CommandLine(CLI::App& app) : app_(app), options_(std::make_unique<Options>()) {
  app_.failure_message(usage_message);
  app_.require_subcommand(1);
  app_.set_version_flag("--version", "beryl " BERYL_VERSION);
  add_run();
  add_serve();
  add_ps();
  add_inspect();
  add_verify();
  add_check();
  add_eval();
  add_compare();
  add_bench();
  add_tokenize();
  add_doctor();
  add_version();
}

CommandLine::~CommandLine() = default;

int CommandLine::run(std::istream& in, std::ostream& out) const {
  return command_(in, out);
}

void CommandLine::add_run() {
  CLI::App* command = app_.add_subcommand("run", "Generate text with a model");
  add_run_options(*command, options_->run);
  command->callback([this] {
    command_ = [this](std::istream& in, std::ostream& out) { return run_run(options_->run, in, out); };
  });
}

void CommandLine::add_serve() {
  CLI::App* command = app_.add_subcommand("serve", "Serve a model over HTTP, as OpenAI's clients expect it");
  add_serve_options(*command, options_->serve);
  command->callback([this, command] {
    command_ = [this, command](std::istream&, std::ostream& out) {
      return run_serve(*command, options_->serve, out);
    };
  });
}

void CommandLine::add_ps() {
  CLI::App* command = app_.add_subcommand("ps", "Show what a running server is doing");
  add_ps_options(*command, options_->ps);
  command->callback(
      [this] { command_ = [this](std::istream&, std::ostream& out) { return run_ps(options_->ps, out); }; });
}

void CommandLine::add_inspect() {
  CLI::App* command =
      app_.add_subcommand("inspect", "Show what a checkpoint is and whether it fits this machine");
  add_inspect_options(*command, options_->inspect);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_inspect(options_->inspect, out); };
  });
}

void CommandLine::add_verify() {
  CLI::App* command = app_.add_subcommand("verify", "Read all of a checkpoint and say what is wrong with it");
  add_verify_options(*command, options_->verify);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_verify(options_->verify, out); };
  });
}

void CommandLine::add_check() {
  CLI::App* command = app_.add_subcommand("check", "Compare a model with a golden file of reference logits");
  add_check_options(*command, options_->check);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_check(options_->check, out); };
  });
}

void CommandLine::add_eval() {
  CLI::App* command = app_.add_subcommand("eval", "Count how many questions of a task models answer rightly");
  add_eval_options(*command, options_->eval);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_eval_command(options_->eval, out); };
  });
}

void CommandLine::add_compare() {
  CLI::App* command =
      app_.add_subcommand("compare", "Show how far a checkpoint's predictions are from another's");
  add_compare_options(*command, options_->compare);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) {
      return run_compare_command(options_->compare, out);
    };
  });
}

void CommandLine::add_bench() {
  CLI::App* command = app_.add_subcommand("bench", "Measure speed next to what this machine can do at most");
  add_bench_options(*command, options_->bench);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_bench_command(options_->bench, out); };
  });
}

void CommandLine::add_tokenize() {
  CLI::App* command = app_.add_subcommand("tokenize", "Show the tokens of a text, or the text of tokens");
  TokenizeOptions& tokenize = options_->tokenize;
  command->add_option("MODEL", tokenize.model, "Directory, GGUF file or id of a model, or a tokenizer.json")
      ->required();
  CLI::Option* text =
      command->add_option("TEXT", options_->tokenize_text, "Text to encode (default: all of standard input)");
  CLI::Option* decode =
      command->add_option("--decode", options_->decode_ids, "Decode these token ids instead")->delimiter(',');
  command->add_flag("--as-text", options_->tokenize_as_text, "Take special tokens in the text as plain text");
  CLI::Option* json = command->add_flag("--json", tokenize.json, "Print one JSON object");
  command
      ->add_flag("--stdin-json", tokenize.stdin_json, "Read requests as JSON lines, answer with JSON lines")
      ->excludes(text, decode, json);
  decode->excludes(text);
  command->callback([this, command] {
    TokenizeOptions& chosen = options_->tokenize;
    if (command->count("TEXT") > 0) chosen.text = options_->tokenize_text;
    if (command->count("--decode") > 0) chosen.decode_ids = options_->decode_ids;
    if (options_->tokenize_as_text) chosen.special_tokens = text::SpecialTokens::kAsText;
    command_ = [this](std::istream& in, std::ostream& out) {
      return run_tokenize(options_->tokenize, in, out);
    };
  });
}

void CommandLine::add_doctor() {
  CLI::App* command = app_.add_subcommand("doctor", "Show what this machine offers");
  add_doctor_options(*command, options_->doctor);
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) { return run_doctor(options_->doctor, out); };
  });
}

void CommandLine::add_version() {
  CLI::App* command = app_.add_subcommand("version", "Show the version");
  command->add_flag("--json", options_->version_json, "Print one JSON object");
  command->callback([this] {
    command_ = [this](std::istream&, std::ostream& out) {
      if (options_->version_json) {
        out << nlohmann::json{{"version", BERYL_VERSION}}.dump() << '\n';
      } else {
        out << "beryl " BERYL_VERSION "\n";
      }
      return 0;
    };
  });
}

}  // namespace beryl::cli
