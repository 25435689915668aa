// Texts on which two models are compared.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "eval/compare_models.h"
#include "eval/golden.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace beryl::eval {

struct CompareTextOptions {
  int64_t positions_max = 0;  // texts are taken until so many are measured; the last one is cut
  int64_t context_max = 0;    // longer texts are cut, plain text is divided
};

// From a file of JSON lines, {"question": TEXT, "answer": TEXT} or {"text": TEXT}, or from any other file as
// one plain text. Of a question with its answer, put through the chat template, the answer's tokens and the
// end of its turn are what is predicted; of a text, which gets a <bos>, all tokens. Errors: as File;
// kInvalidInput naming the line, and when a file gives nothing to predict; as ChatTemplate::render().
// `chat_template` may be null when no line needs it.
std::vector<CompareText> load_compare_texts(const std::filesystem::path& file,
                                            const text::Tokenizer& tokenizer,
                                            const text::ChatTemplate* chat_template,
                                            const CompareTextOptions& options);

// The prompts of a golden file, all of their positions.
std::vector<CompareText> make_compare_texts(const GoldenFile& golden, const CompareTextOptions& options);

}  // namespace beryl::eval
