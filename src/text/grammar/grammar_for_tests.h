// A vocabulary of ordinary tokens and what tests do with a grammar.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar/compiled_grammar.h"
#include "text/grammar/matcher.h"
#include "text/tokenizer.h"

namespace beryl::text::grammar {

// The demo model's vocabulary: 2,048 tokens with all of Gemma's special ones.
inline const Tokenizer& test_tokenizer() {
  static const Tokenizer kTokenizer = load_tokenizer(BERYL_SOURCE_DIR "/models/demo/tokenizer.json");
  return kTokenizer;
}

inline int32_t test_token(std::string_view text) {
  return test_tokenizer().find_token(text).value();
}

inline const OutputVocabulary& test_vocabulary() {
  static const OutputVocabulary kVocabulary{
      std::make_shared<const TokenTrie>(test_tokenizer()),
      {test_token("<eos>"), test_token("<turn|>"), test_token("<|tool_response>")}};
  return kVocabulary;
}

using GrammarSource = std::function<void(Grammar&)>;

inline std::shared_ptr<CompiledGrammar> compile_for_test(const GrammarSource& source,
                                                         GrammarLimits limits = {}) {
  limits.compile_time_max = std::chrono::minutes(1);  // machines that run tests are busy
  Budget budget(limits);
  Grammar grammar(budget);
  source(grammar);
  return std::make_shared<CompiledGrammar>(grammar, test_vocabulary());
}

// Whether the output may be `text`, where special tokens are recognised.
inline bool matches(const std::shared_ptr<CompiledGrammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  for (const int32_t token : test_tokenizer().encode(text, SpecialTokens::kRecognise)) {
    if (!matcher.push(token)) return false;
  }
  return matcher.may_end();
}

// An output as random logits give it: a token is drawn from all, and from the mask when that one is refused.
// After `tokens` of them it ends as soon as it may, and what closes something is preferred. Throws when it
// has not ended long after that, and when mask and push() do not agree.
inline std::string random_output(const std::shared_ptr<CompiledGrammar>& grammar, std::mt19937& random,
                                 size_t tokens) {
  const OutputVocabulary& vocabulary = test_vocabulary();
  const auto size = static_cast<uint32_t>(vocabulary.trie->vocabulary_size());
  const auto is_allowed = [](const MaskWords& mask, std::optional<int32_t> token) {
    return token && has_bit(mask, *token);
  };
  Matcher matcher(grammar);
  std::vector<int32_t> ids;
  for (size_t i = 0; i < tokens + 3000; ++i) {
    if (matcher.has_ended() || (i >= tokens && matcher.may_end())) {
      return test_tokenizer().decode(ids, SpecialOutput::kKeep);
    }
    const auto first = static_cast<int32_t>(random() % size);
    if (i < tokens && matcher.accepts(first) && matcher.push(first)) {
      if (!matcher.has_ended()) ids.push_back(first);
      continue;
    }
    const std::shared_ptr<const MaskWords> mask = matcher.mask();
    if (i < tokens && has_bit(*mask, first)) throw std::logic_error("the mask allows what was refused");
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < static_cast<int32_t>(size); ++token) {
      if (has_bit(*mask, token)) allowed.push_back(token);
    }
    int32_t token = allowed.at(random() % allowed.size());
    if (i >= tokens && random() % 2 == 0) {
      for (const std::string_view closer : {"<|\"|>", "\"", "}", "]", ")"}) {
        const auto id = test_tokenizer().find_token(closer);
        if (is_allowed(*mask, id)) token = *id;
        if (is_allowed(*mask, id)) break;
      }
    }
    if (!matcher.push(token)) throw std::logic_error("the mask allows what push() refuses");
    if (!matcher.has_ended()) ids.push_back(token);
  }
  const std::string text = test_tokenizer().decode(ids, SpecialOutput::kKeep);
  throw std::logic_error("an output does not end: ..." +
                         text.substr(text.size() - std::min<size_t>(text.size(), 500)));
}

}  // namespace beryl::text::grammar
