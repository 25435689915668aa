// The keys and values at the front of a GGUF file, read by type and range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::checkpoint {

// The format's own numbers.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// Bytes of one value; 0 for strings and arrays, whose length varies.
uint64_t gguf_type_bytes(GgufType type);
// "uint32", "string", ...
std::string_view gguf_type_name(GgufType type);

// Where a value lies in the header. All of it has been proven to be there.
struct GgufValue {
  GgufType type = GgufType::kU8;  // of the elements, for an array
  bool is_array = false;
  uint64_t count = 1;   // elements
  uint64_t offset = 0;  // of the first element, in the header's bytes
};

// Arrays stay as they are in the file until someone asks: a vocabulary has half a million strings. Types are
// taken as they come where they can hold the value: writers differ in the width of integers.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  // `header` holds the values from its first byte on; `source` names the file in errors.
  GgufMetadata(std::string source, std::string header, std::map<std::string, GgufValue, std::less<>> values);

  const std::string& source() const { return source_; }
  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }
  bool contains(std::string_view key) const { return values_.contains(key); }

  // Nothing when the key is absent. Errors: kInvalidInput for another type or a value outside [min, max].
  std::optional<int64_t> find_integer(std::string_view key, int64_t min, int64_t max) const;
  std::optional<double> find_number(std::string_view key, double min, double max) const;
  std::optional<bool> find_bool(std::string_view key) const;
  // Views live as long as this object stays where it is.
  std::optional<std::string_view> find_string(std::string_view key) const;

  // Arrays, whole; nothing when the key is absent. Errors: as above.
  std::optional<std::vector<int64_t>> find_integers(std::string_view key, int64_t min, int64_t max) const;
  std::optional<std::vector<bool>> find_bools(std::string_view key) const;
  std::optional<std::vector<std::string_view>> find_strings(std::string_view key) const;

  // Errors: as above, and kInvalidInput when the key is absent.
  int64_t integer(std::string_view key, int64_t min, int64_t max) const;

  // Throws kInvalidInput: "SOURCE: KEY is FOUND, expected EXPECTED".
  [[noreturn]] void fail(std::string_view key, std::string_view expected) const;

 private:
  const GgufValue* find(std::string_view key) const;
  const GgufValue* find_scalar(std::string_view key, std::string_view expected) const;
  const GgufValue* find_array(std::string_view key, std::string_view expected) const;
  std::optional<int64_t> read_integer(GgufType type, uint64_t offset) const;
  std::optional<double> read_number(GgufType type, uint64_t offset) const;
  std::string_view read_string(uint64_t offset) const;
  std::string value_text(std::string_view key) const;

  template <typename T>
  T read(uint64_t offset) const;

  std::string source_;
  std::string header_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

}  // namespace beryl::checkpoint
