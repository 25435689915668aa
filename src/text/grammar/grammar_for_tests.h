// A vocabulary of ordinary tokens and what tests do with a grammar.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

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
                                                         const GrammarLimits& limits = {}) {
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

// An output of random tokens, each drawn from the mask, except that after `tokens` of them the output ends as
// soon as it may, and what closes something is preferred. Empty if it does not end.
inline std::string random_output(const std::shared_ptr<CompiledGrammar>& grammar, std::mt19937& random,
                                 size_t tokens) {
  Matcher matcher(grammar);
  std::vector<int32_t> ids;
  const OutputVocabulary& vocabulary = test_vocabulary();
  for (size_t i = 0; i < tokens * 50 + 5000; ++i) {
    if (i >= tokens && matcher.may_end()) return test_tokenizer().decode(ids, SpecialOutput::kKeep);
    const std::shared_ptr<const MaskWords> mask = matcher.mask();
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < vocabulary.trie->vocabulary_size(); ++token) {
      if (has_bit(*mask, token)) allowed.push_back(token);
    }
    int32_t token = allowed.at(random() % allowed.size());
    if (i >= tokens && random() % 4 != 0) {
      for (const std::string_view closer : {"<|\"|>", "\"", "}", "]"}) {
        const auto id = test_tokenizer().find_token(closer);
        if (id && has_bit(*mask, *id)) {
          token = *id;
          break;
        }
      }
    }
    if (!matcher.push(token)) throw Error(ErrorCode::kInvalidInput, "the mask allows what push() refuses");
    if (matcher.has_ended()) return test_tokenizer().decode(ids, SpecialOutput::kKeep);
    ids.push_back(token);
  }
  return {};
}

}  // namespace beryl::text::grammar
