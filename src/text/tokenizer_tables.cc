#include "text/tokenizer_tables.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace beryl::text {
namespace {

[[noreturn]] void fail(ErrorCode code, const MergesPlace& place, size_t index, std::string_view message) {
  throw Error(code, fmt::format("{}: {}[{}]{}", place.source, place.field, index, message));
}

void check_merges(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                  const SpecialTokenSet& special_tokens, const MergesPlace& place) {
  std::vector<bool> is_reserved(static_cast<size_t>(vocabulary.size()));
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    is_reserved[static_cast<size_t>(id)] =
        special_tokens.contains(id) || vocabulary.find_byte(id).has_value();
  }
  for (size_t index = 0; index < merges.size(); ++index) {
    for (const int32_t id : {merges[index].left, merges[index].right, merges[index].product}) {
      if (!is_reserved[static_cast<size_t>(id)]) continue;
      fail(ErrorCode::kUnsupported, place, index,
           fmt::format(" involves '{}', a special token or byte", vocabulary.text(id)));
    }
  }
}

}  // namespace

Merge make_merge(std::string_view left, std::string_view right, const Vocabulary& vocabulary,
                 const MergesPlace& place, size_t index) {
  const auto find = [&](std::string_view token) {
    const std::optional<int32_t> id = vocabulary.find(token);
    if (!id) {
      fail(ErrorCode::kInvalidInput, place, index, fmt::format(": '{}' is not in the vocabulary", token));
    }
    return *id;
  };
  return {find(left), find(right), find(std::string(left).append(right))};
}

std::pair<std::string_view, std::string_view> split_merge(std::string_view text, const MergesPlace& place,
                                                          size_t index) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    fail(ErrorCode::kInvalidInput, place, index,
         fmt::format(": '{}' is not two tokens with a space between", text));
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

bool is_reachable_by_plain_text(const SpecialToken& token, const Vocabulary& vocabulary) {
  return read_utf8(token.text, 0).byte_count == token.text.size() ||
         vocabulary.find_byte(token.id).has_value();
}

TokenizerTables make_tokenizer_tables(Vocabulary vocabulary, SpecialTokenSet special_tokens,
                                      const std::vector<Merge>& merges, const MergesPlace& place) {
  check_merges(merges, vocabulary, special_tokens, place);
  CutPoints cut_points(merges, vocabulary);
  MergeTable merge_table =
      with_context(fmt::format("{}: {}", place.source, place.field), [&] { return MergeTable(merges); });
  return {std::move(vocabulary), std::move(merge_table), std::move(cut_points), std::move(special_tokens)};
}

}  // namespace beryl::text
