#include "formats/code_moves.h"

#include "formats/move_codes.h"

namespace beryl::formats {

const CodeMoves& avx512_moves() {
  static constexpr CodeMoves kMoves = make_moves<4>();
  return kMoves;
}

}  // namespace beryl::formats
