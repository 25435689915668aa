#include "text/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/json_scanner.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

using nlohmann::json;

constexpr size_t kMembersMax = 64;  // of one JSON object, apart from the vocabulary

// A member of an object that is not parsed yet: where its value lies in the file.
struct Member {
  std::string name;
  size_t begin = 0;
  size_t end = 0;
};

// A value that a field must have. Fields that may be absent have the same meaning then.
struct Rule {
  std::string_view name;
  std::string_view json_text;
  bool may_be_absent = false;
};

constexpr Rule kFileRules[] = {
    {"version", R"("1.0")"},
    {"normalizer", R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})"},
    {"pre_tokenizer",
     R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false})"},
    {"post_processor", R"({"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {}})"},
    {"decoder", R"({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}]})"},
};
constexpr std::string_view kOtherFileMembers[] = {"model", "added_tokens", "truncation", "padding"};

constexpr Rule kModelRules[] = {
    {"type", R"("BPE")"},
    {"dropout", "null", true},
    {"unk_token", R"("<unk>")"},
    {"continuing_subword_prefix", "null", true},
    {"end_of_word_suffix", "null", true},
    {"fuse_unk", "true"},
    {"byte_fallback", "true"},
    {"ignore_merges", "false", true},
};
constexpr std::string_view kOtherModelMembers[] = {"vocab", "merges"};

constexpr Rule kAddedTokenRules[] = {
    {"single_word", "false"}, {"lstrip", "false"}, {"rstrip", "false"},
    {"normalized", "false"},  {"special", "true"},
};

class TokenizerJsonParser {
 public:
  TokenizerJsonParser(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  TokenizerTables parse();

 private:
  std::vector<Member> index_object(JsonScanner& scanner) const;
  const Member& find_member(const std::vector<Member>& members, std::string_view prefix,
                            std::string_view name) const;
  void check_members(const std::vector<Member>& members, std::string_view prefix, std::span<const Rule> rules,
                     std::span<const std::string_view> others) const;
  json parse_member(const Member& member, std::string_view field) const;

  Vocabulary read_vocabulary(const Member& member) const;
  SpecialTokenSet read_added_tokens(const Member& member, const Vocabulary& vocabulary) const;
  SpecialToken read_added_token(const json& entry, const std::string& field,
                                const Vocabulary& vocabulary) const;
  std::vector<Merge> read_merges(const Member& member, const Vocabulary& vocabulary) const;
  Merge read_merge(JsonScanner& scanner, const Vocabulary& vocabulary, size_t index) const;
  MergesPlace merges_place() const { return {source_, "model.merges"}; }

  [[noreturn]] void fail(std::string_view message) const { fail(ErrorCode::kInvalidInput, message); }
  [[noreturn]] void fail(ErrorCode code, std::string_view message) const {
    throw Error(code, fmt::format("{}: {}", source_, message));
  }

  std::string_view text_;
  std::string_view source_;
};

TokenizerTables TokenizerJsonParser::parse() {
  if (text_.size() > kTokenizerFileBytesMax) {
    fail(fmt::format("{} bytes, at most {} are supported", text_.size(), kTokenizerFileBytesMax));
  }
  if (const auto offset = find_invalid_utf8(text_)) fail(fmt::format("not valid UTF-8 at byte {}", *offset));
  JsonScanner file(text_, source_);
  const std::vector<Member> members = index_object(file);
  file.expect_end();
  // The model first: someone who gives a wrong file learns best from its type.
  const Member& model = find_member(members, "", "model");
  JsonScanner model_scanner(text_.substr(0, model.end), source_, model.begin);
  const std::vector<Member> model_members = index_object(model_scanner);
  check_members(model_members, "model.", kModelRules, kOtherModelMembers);
  check_members(members, "", kFileRules, kOtherFileMembers);

  Vocabulary vocabulary = read_vocabulary(find_member(model_members, "model.", "vocab"));
  SpecialTokenSet special_tokens = read_added_tokens(find_member(members, "", "added_tokens"), vocabulary);
  const std::vector<Merge> merges = read_merges(find_member(model_members, "model.", "merges"), vocabulary);
  return make_tokenizer_tables(std::move(vocabulary), std::move(special_tokens), merges, merges_place());
}

std::vector<Member> TokenizerJsonParser::index_object(JsonScanner& scanner) const {
  std::vector<Member> members;
  scanner.expect('{');
  for (bool more = !scanner.consume('}'); more; more = scanner.has_more('}')) {
    std::string name(scanner.read_string());
    scanner.expect(':');
    const size_t length = scanner.skip_value().size();
    if (std::ranges::find(members, name, &Member::name) != members.end()) {
      scanner.fail(fmt::format("\"{}\" is there twice", name));
    }
    if (members.size() == kMembersMax) scanner.fail("too many members in one object");
    members.push_back({std::move(name), scanner.position() - length, scanner.position()});
  }
  return members;
}

const Member& TokenizerJsonParser::find_member(const std::vector<Member>& members, std::string_view prefix,
                                               std::string_view name) const {
  const auto place = std::ranges::find(members, name, &Member::name);
  if (place == members.end()) fail(fmt::format("there is no field \"{}{}\"", prefix, name));
  return *place;
}

void TokenizerJsonParser::check_members(const std::vector<Member>& members, std::string_view prefix,
                                        std::span<const Rule> rules,
                                        std::span<const std::string_view> others) const {
  for (const Rule& rule : rules) {
    const bool is_there = std::ranges::find(members, rule.name, &Member::name) != members.end();
    if (!is_there && rule.may_be_absent) continue;
    const std::string field = fmt::format("{}{}", prefix, rule.name);
    const json found = parse_member(find_member(members, prefix, rule.name), field);
    const json expected = json::parse(rule.json_text);
    if (found == expected) continue;
    constexpr size_t kShownMax = 200;
    std::string shown = found.dump(-1, ' ', true);
    if (shown.size() > kShownMax) shown = shown.substr(0, kShownMax) + "...";
    fail(ErrorCode::kUnsupported,
         fmt::format("{} is {}, Gemma's tokenizer has {}", field, shown, expected.dump(-1, ' ', true)));
  }
  for (const Member& member : members) {
    if (std::ranges::find(rules, member.name, &Rule::name) != rules.end()) continue;
    if (std::ranges::find(others, member.name) != others.end()) continue;
    fail(ErrorCode::kUnsupported, fmt::format("unknown field \"{}{}\"", prefix, member.name));
  }
}

json TokenizerJsonParser::parse_member(const Member& member, std::string_view field) const {
  return parse_json(text_.substr(member.begin, member.end - member.begin),
                    fmt::format("{}: {}", source_, field));
}

Vocabulary TokenizerJsonParser::read_vocabulary(const Member& member) const {
  std::vector<std::string_view> texts;  // by id; empty where none was seen yet
  std::deque<std::string> unescaped;    // keeps the texts that do not stand in the file as they are
  size_t count = 0;
  JsonScanner scanner(text_.substr(0, member.end), source_, member.begin);
  scanner.expect('{');
  for (bool more = !scanner.consume('}'); more; more = scanner.has_more('}')) {
    std::string_view token = scanner.read_string();
    if (!scanner.last_string_is_in_text()) token = unescaped.emplace_back(token);
    scanner.expect(':');
    const size_t id = static_cast<size_t>(scanner.read_index());
    if (token.empty()) fail(fmt::format("model.vocab: token {} is empty", id));
    if (id >= kVocabularySizeMax) {
      fail(fmt::format("model.vocab: id {}, at most {} tokens are supported", id, kVocabularySizeMax));
    }
    if (id >= texts.size()) texts.resize(id + 1);
    if (!texts[id].empty()) {
      fail(fmt::format("model.vocab: '{}' and '{}' both have id {}", texts[id], token, id));
    }
    texts[id] = token;
    ++count;
  }
  if (count != texts.size()) {
    const auto gap = std::ranges::find_if(texts, [](std::string_view text) { return text.empty(); });
    fail(fmt::format("model.vocab: no token has id {}, the largest id is {}", gap - texts.begin(),
                     texts.size() - 1));
  }
  return with_context(fmt::format("{}: model.vocab", source_), [&] { return Vocabulary(texts); });
}

SpecialTokenSet TokenizerJsonParser::read_added_tokens(const Member& member,
                                                       const Vocabulary& vocabulary) const {
  const json entries = parse_member(member, "added_tokens");
  if (!entries.is_array()) fail("added_tokens is not an array");
  if (entries.size() > kSpecialTokensMax) {
    fail(fmt::format("added_tokens has {} entries, at most {} are supported", entries.size(),
                     kSpecialTokensMax));
  }
  std::vector<SpecialToken> tokens;
  for (size_t index = 0; index < entries.size(); ++index) {
    tokens.push_back(read_added_token(entries[index], fmt::format("added_tokens[{}]", index), vocabulary));
  }
  return with_context(fmt::format("{}: added_tokens", source_),
                      [&] { return SpecialTokenSet(std::move(tokens)); });
}

SpecialToken TokenizerJsonParser::read_added_token(const json& entry, const std::string& field,
                                                   const Vocabulary& vocabulary) const {
  if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_number_unsigned() ||
      !entry.contains("content") || !entry["content"].is_string()) {
    fail(fmt::format("{} is not an object with \"id\" (a number) and \"content\" (a string)", field));
  }
  for (const Rule& rule : kAddedTokenRules) {
    const std::string name(rule.name);
    if (!entry.contains(name)) fail(fmt::format("{}: there is no field \"{}\"", field, name));
    if (entry[name] != json::parse(rule.json_text)) {
      fail(ErrorCode::kUnsupported,
           fmt::format("{}.{} is not {}, as in Gemma's tokenizer", field, name, rule.json_text));
    }
  }
  if (entry.size() != std::size(kAddedTokenRules) + 2) {
    fail(ErrorCode::kUnsupported, fmt::format("{} has unknown fields", field));
  }
  const uint64_t id = entry["id"].get<uint64_t>();
  std::string content = entry["content"].get<std::string>();
  if (id >= static_cast<uint64_t>(vocabulary.size())) {
    fail(fmt::format("{}: id {} is outside the vocabulary of {}", field, id, vocabulary.size()));
  }
  SpecialToken token = {static_cast<int32_t>(id), std::move(content)};
  if (vocabulary.text(token.id) != token.text) {
    fail(fmt::format("{}: content '{}', but model.vocab calls id {} '{}'", field, token.text, id,
                     vocabulary.text(token.id)));
  }
  if (is_reachable_by_plain_text(token, vocabulary)) {
    fail(ErrorCode::kUnsupported,
         fmt::format("{}: '{}' is one character or byte, so that plain text could become it", field,
                     token.text));
  }
  return token;
}

std::vector<Merge> TokenizerJsonParser::read_merges(const Member& member,
                                                    const Vocabulary& vocabulary) const {
  std::vector<Merge> merges;
  JsonScanner scanner(text_.substr(0, member.end), source_, member.begin);
  scanner.expect('[');
  for (bool more = !scanner.consume(']'); more; more = scanner.has_more(']')) {
    merges.push_back(read_merge(scanner, vocabulary, merges.size()));
  }
  return merges;
}

// Either ["left", "right"] or, as older files have it, "left right".
Merge TokenizerJsonParser::read_merge(JsonScanner& scanner, const Vocabulary& vocabulary,
                                      size_t index) const {
  if (scanner.consume('[')) {
    const std::string left(scanner.read_string());
    scanner.expect(',');
    const std::string right(scanner.read_string());
    scanner.expect(']');
    return make_merge(left, right, vocabulary, merges_place(), index);
  }
  const std::string text(scanner.read_string());
  const auto [left, right] = split_merge(text, merges_place(), index);
  return make_merge(left, right, vocabulary, merges_place(), index);
}

}  // namespace

TokenizerTables parse_tokenizer_json(std::string_view text, std::string_view source) {
  return TokenizerJsonParser(text, source).parse();
}

}  // namespace beryl::text
