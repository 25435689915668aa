#include "cli/chat_loop.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <charconv>
#include <fstream>
#include <ostream>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/text_format.h"
#include "text/conversation.h"

namespace beryl::cli {
namespace {

constexpr std::string_view kHelp = R"(  /help                  this text
  /system TEXT           set the system message and start anew; without TEXT remove it
  /think on|off          let the model think before it answers
  /set NAME VALUE        temperature, top-k, top-p, min-p, seed, max-tokens; VALUE "default" goes back
  /clear                 forget the conversation
  /save FILE             write the conversation as JSON
  /stats                 show or hide the line of figures after each answer
  /exit                  leave (also Ctrl-D)
Begin and end a text of several lines with """. Ctrl-C stops an answer or drops a line; twice it quits.
)";

constexpr std::string_view kQuotes = "\"\"\"";

// Splits "name rest" at the first run of spaces.
std::pair<std::string, std::string> split_word(std::string_view text) {
  const size_t end = text.find(' ');
  if (end == std::string_view::npos) return {std::string(text), {}};
  const size_t rest = text.find_first_not_of(' ', end);
  return {std::string(text.substr(0, end)),
          rest == std::string_view::npos ? std::string() : std::string(text.substr(rest))};
}

template <typename T>
T parse_value(const std::string& name, const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{} is \"{}\", expected a number", name, text));
  }
  return value;
}

template <typename T>
std::optional<T> parse_setting(const std::string& name, const std::string& text) {
  return text == "default" ? std::optional<T>() : parse_value<T>(name, text);
}

}  // namespace

std::string describe_answer(const engine::ChatAnswer& answer) {
  const engine::SampleResult& run = answer.generation;
  return fmt::format("{} tokens, {:.1f} tokens/s; prompt {} tokens in {:.2f} s, {} cached; {}",
                     run.tokens.size(), run.tokens_per_second(), run.prompt_tokens, run.prompt_seconds,
                     run.cached_tokens, engine::finish_reason_name(answer.finish_reason));
}

ChatLoop::ChatLoop(ChatSession& session, std::ostream& out, AnswerStyle style, ReadLine read_line)
    : session_(session),
      out_(out),
      style_(style),
      read_line_(std::move(read_line)),
      shows_statistics_(style != AnswerStyle::kPlain) {}

int ChatLoop::run() {
  bool was_interrupted = false;
  while (true) {
    reset_interrupt();
    const std::optional<std::string> line = read_line_(">>> ");
    if (!line) return 0;
    if (is_interrupted()) {
      if (was_interrupted) return kExitInterrupted;
      was_interrupted = true;
      out_ << "Ctrl-C again leaves the chat\n";
      continue;
    }
    was_interrupted = false;
    if (line->empty()) continue;
    try {
      if (line->starts_with('/')) {
        if (!run_command(*line)) return 0;
      } else if (const std::optional<std::string> text = read_rest(*line)) {
        ask(*text);
      }
    } catch (const Error& error) {
      out_ << format_error(error);
    }
  }
}

bool ChatLoop::run_command(const std::string& line) {
  const auto [name, rest] = split_word(line);
  if (name == "/exit" || name == "/quit" || name == "/bye") return false;
  if (name == "/help" || name == "/?") {
    out_ << kHelp;
  } else if (name == "/system") {
    session_.set_system(rest);
    out_ << (rest.empty() ? "system message removed\n" : "system message set\n");
  } else if (name == "/think" && (rest == "on" || rest == "off" || rest.empty())) {
    session_.set_thinking(rest.empty() ? !session_.thinks() : rest == "on");
    out_ << (session_.thinks() ? "thinking is on\n" : "thinking is off\n");
  } else if (name == "/set") {
    set_parameter(rest);
  } else if (name == "/clear") {
    session_.clear();
    out_ << "conversation forgotten\n";
  } else if (name == "/save" && !rest.empty()) {
    save(rest);
  } else if (name == "/stats") {
    shows_statistics_ = !shows_statistics_;
    fmt::print(out_, "statistics {}; the conversation has {} of {} tokens\n",
               shows_statistics_ ? "on" : "off", session_.tokens_used(), session_.tokens_max());
  } else {
    throw Error(ErrorCode::kInvalidInput, fmt::format("no command \"{}\"", line), "/help lists the commands");
  }
  return true;
}

void ChatLoop::set_parameter(const std::string& assignment) {
  const auto [name, value] = split_word(assignment);
  SamplingOptions& sampling = session_.sampling();
  const SamplingOptions before = sampling;
  if (name == "temperature") {
    sampling.temperature = parse_setting<float>(name, value);
  } else if (name == "top-k") {
    sampling.top_k = parse_setting<int32_t>(name, value);
  } else if (name == "top-p") {
    sampling.top_p = parse_setting<float>(name, value);
  } else if (name == "min-p") {
    sampling.min_p = parse_setting<float>(name, value);
  } else if (name == "seed") {
    sampling.seed = parse_setting<uint64_t>(name, value);
  } else if (name == "max-tokens") {
    const int64_t tokens = parse_setting<int64_t>(name, value).value_or(SamplingOptions().new_tokens_max);
    if (tokens < 0)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{} is {}, expected 0 or more", name, tokens));
    sampling.new_tokens_max = tokens;
  } else if (!name.empty()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("no parameter \"{}\"", name),
                "/help lists the parameters");
  }
  try {
    fmt::print(out_, "{}, at most {} tokens\n", describe(session_.make_next_sampling()),
               sampling.new_tokens_max);
  } catch (const Error&) {
    sampling = before;
    throw;
  }
}

void ChatLoop::save(const std::string& path) const {
  const text::Conversation& conversation = session_.conversation();
  const nlohmann::ordered_json json = {
      {"messages", text::template_messages(conversation, text::ToolResults::kMessages)},
      {"tools", text::template_tools(conversation)}};
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.close();
  if (!file) throw Error(ErrorCode::kIo, fmt::format("cannot write '{}'", path));
  fmt::print(out_, "saved {} messages to {}\n", conversation.messages.size(), path);
}

void ChatLoop::ask(const std::string& text) {
  show_answer([&](const ChatSession::OnDelta& on_delta) { return session_.ask(text, on_delta); });
  // A model that called tools waits for their results, which here only the user can give.
  while (!session_.open_tool_calls().empty()) {
    std::vector<std::string> results;
    for (const text::ToolCall& call : session_.open_tool_calls()) {
      const std::optional<std::string> line = read_line_("result of " + call.name + "> ");
      if (!line || is_interrupted()) {
        session_.drop_last_exchange();
        out_ << "no result; the question is forgotten\n";
        return;
      }
      results.push_back(*line);
    }
    show_answer(
        [&](const ChatSession::OnDelta& on_delta) { return session_.answer_tools(results, on_delta); });
  }
}

std::optional<std::string> ChatLoop::read_rest(const std::string& first_line) {
  if (!first_line.starts_with(kQuotes)) return first_line;
  std::string text = first_line.substr(kQuotes.size());
  while (!text.ends_with(kQuotes)) {
    const std::optional<std::string> line = read_line_("... ");
    if (!line || is_interrupted()) return std::nullopt;
    text += "\n" + *line;
  }
  text.resize(text.size() - kQuotes.size());
  return text;
}

void ChatLoop::show_answer(const std::function<engine::ChatAnswer(const ChatSession::OnDelta&)>& generate) {
  AnswerPrinter printer(out_, style_);
  try {
    const engine::ChatAnswer answer = generate([&](const text::OutputDelta& delta) { printer.show(delta); });
    printer.finish();
    if (shows_statistics_) printer.show_note(describe_answer(answer));
  } catch (const Error&) {
    printer.finish();
    throw;
  }
}

}  // namespace beryl::cli
