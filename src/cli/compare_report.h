// What `beryl compare` prints.
#pragma once

#include <iosfwd>
#include <optional>
#include <span>
#include <string>

#include "eval/compare_models.h"
#include "text/tokenizer.h"

namespace beryl::cli {

struct CompareReport {
  std::string first, second;
  std::string compute;
  std::span<const eval::CompareText> texts;
  eval::CompareResult result;
  size_t worst = 0;                            // positions to show
  const text::Tokenizer* tokenizer = nullptr;  // null: tokens are shown by their ids
};

void print_compare_json(std::ostream& out, const CompareReport& report);
void print_compare_table(std::ostream& out, const CompareReport& report);

}  // namespace beryl::cli
