#include "text/tokenizer_lists.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

constexpr std::string_view kTokensField = "tokenizer.ggml.tokens";
constexpr std::string_view kTypesField = "tokenizer.ggml.token_type";
constexpr std::string_view kMergesField = "tokenizer.ggml.merges";

class TokenizerListsReader {
 public:
  TokenizerListsReader(const TokenizerLists& lists, std::string_view source)
      : lists_(lists), source_(source) {}

  TokenizerTables read() const {
    check_lists();
    Vocabulary vocabulary =
        with_context(fmt::format("{}: {}", source_, kTokensField), [&] { return Vocabulary(lists_.tokens); });
    SpecialTokenSet special_tokens = read_special_tokens(vocabulary);
    const MergesPlace place = {source_, kMergesField};
    std::vector<Merge> merges;
    merges.reserve(lists_.merges.size());
    for (size_t i = 0; i < lists_.merges.size(); ++i) {
      const auto [left, right] = split_merge(lists_.merges[i], place, i);
      merges.push_back(make_merge(left, right, vocabulary, place, i));
    }
    return make_tokenizer_tables(std::move(vocabulary), std::move(special_tokens), merges, place);
  }

 private:
  void check_lists() const {
    if (lists_.types.size() != lists_.tokens.size()) {
      fail(ErrorCode::kInvalidInput, fmt::format("{} has {} elements, {} has {}", kTypesField,
                                                 lists_.types.size(), kTokensField, lists_.tokens.size()));
    }
    for (size_t id = 0; id < lists_.tokens.size(); ++id) {
      if (find_invalid_utf8(lists_.tokens[id])) {
        fail(ErrorCode::kInvalidInput,
             fmt::format("{}[{}] is not valid UTF-8: {}", kTokensField, id, quote(lists_.tokens[id])));
      }
    }
    for (size_t i = 0; i < lists_.merges.size(); ++i) {
      if (find_invalid_utf8(lists_.merges[i])) {
        fail(ErrorCode::kInvalidInput,
             fmt::format("{}[{}] is not valid UTF-8: {}", kMergesField, i, quote(lists_.merges[i])));
      }
    }
  }

  SpecialTokenSet read_special_tokens(const Vocabulary& vocabulary) const {
    std::vector<SpecialToken> tokens;
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
      if (!is_special(id, vocabulary)) continue;
      tokens.push_back({id, std::string(vocabulary.text(id))});
      if (tokens.size() > kSpecialTokensMax) {
        fail(ErrorCode::kInvalidInput,
             fmt::format("{} calls more than {} tokens special", kTypesField, kSpecialTokensMax));
      }
      if (is_reachable_by_plain_text(tokens.back(), vocabulary)) {
        fail(ErrorCode::kUnsupported,
             fmt::format("{}[{}]: {} is one character or byte, so that plain text could become it",
                         kTypesField, id, quote(tokens.back().text)));
      }
    }
    return SpecialTokenSet(std::move(tokens));
  }

  bool is_special(int32_t id, const Vocabulary& vocabulary) const {
    const int64_t type = lists_.types[static_cast<size_t>(id)];
    const bool is_byte = vocabulary.find_byte(id).has_value();
    if ((type == static_cast<int64_t>(ListedTokenType::kByte)) != is_byte) {
      fail(ErrorCode::kInvalidInput,
           fmt::format("{}[{}] is {}, but the token is '{}'", kTypesField, id, type, vocabulary.text(id)));
    }
    switch (type) {
      case static_cast<int64_t>(ListedTokenType::kNormal):
      case static_cast<int64_t>(ListedTokenType::kUnused):
      case static_cast<int64_t>(ListedTokenType::kByte):
        return false;
      case static_cast<int64_t>(ListedTokenType::kUnknown):
      case static_cast<int64_t>(ListedTokenType::kControl):
      case static_cast<int64_t>(ListedTokenType::kUserDefined):
        return true;
      default:
        fail(ErrorCode::kInvalidInput,
             fmt::format("{}[{}] is {}, expected a number from 1 to 6", kTypesField, id, type));
    }
  }

  [[noreturn]] void fail(ErrorCode code, std::string_view message) const {
    throw Error(code, fmt::format("{}: {}", source_, message));
  }

  const TokenizerLists& lists_;
  std::string_view source_;
};

}  // namespace

TokenizerTables make_tokenizer_tables(const TokenizerLists& lists, std::string_view source) {
  return TokenizerListsReader(lists, source).read();
}

}  // namespace beryl::text
