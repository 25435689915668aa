// beryl tokenize: what a text becomes before the model sees it, and the way back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace beryl::cli {

struct TokenizeOptions {
  std::filesystem::path model;                     // as for every command, or a tokenizer.json itself
  std::optional<std::string> text;                 // absent: all of the standard input
  std::optional<std::vector<int32_t>> decode_ids;  // decode these instead of encoding
  bool json = false;                               // one JSON object instead of lines for people
  bool stdin_json = false;                         // JSON lines in, JSON lines out; see below
  text::SpecialTokens special_tokens = text::SpecialTokens::kRecognise;
  text::SpecialOutput special_output = text::SpecialOutput::kKeep;
};

// Encoding prints one token a line, its id and its text as a JSON string, or {"ids": [...], "tokens": [...]}.
// Decoding prints the text, or {"text": "..."}.
//
// With `stdin_json` every line of `in` is a request and gets one line on `out`, flushed at once:
//   {"text": "...", "special": true}          -> {"ids": [...]}       special: recognise special tokens
//   {"ids": [...], "skip_special": false}     -> {"text": "..."}
//   {"ids": [...], "stream": true}            -> {"pieces": [...]}    what each id lets out, and the rest
//   last
// where the flags may be left out and default to those of the options. A line that is at fault gets
// {"error": "..."}, and the next one is read.
//
// Returns the exit code: 1 if some line was at fault, else 0. Errors: those of resolve_model_path,
// load_tokenizer, encode and decode.
int run_tokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out);

}  // namespace beryl::cli
