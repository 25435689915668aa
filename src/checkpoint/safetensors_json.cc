#include "checkpoint/safetensors_json.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/quote.h"

namespace beryl::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadataName = "__metadata__";
constexpr std::string_view kDamagedHelp = "the file is damaged: download it again";

std::optional<formats::DType> find_dtype(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(formats::DType::kC64); ++code) {
    const auto dtype = static_cast<formats::DType>(code);
    if (formats::dtype_name(dtype) == name) return dtype;
  }
  return std::nullopt;
}

// `text` is valid UTF-8. True when it holds a control character: C0, DEL, or C1 (U+0080 to U+009F, which
// UTF-8 writes as C2 80 to C2 9F).
bool has_control_character(std::string_view text) {
  char previous = '\0';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return true;
    if (previous == '\xc2' && byte < 0xa0) return true;
    previous = c;
  }
  return false;
}

// Receives the header's JSON piece by piece and builds the records. Nothing nests deeper than the three
// levels that the format has: whatever opens another one is refused where it opens.
class HeaderBuilder final : public nlohmann::json_sax<json> {
 public:
  explicit HeaderBuilder(const SafetensorsLimits& limits) : limits_(limits) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { refuse_value("null"); }
  bool boolean(bool value) override { refuse_value(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { refuse_value(fmt::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { refuse_value(printable(text, 40)); }
  bool binary(binary_t&) override { refuse_value("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kDimension) {
      add_dimension(value);
    } else if (place_ == Place::kOffset) {
      add_offset(value);
    } else {
      refuse_value(fmt::to_string(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kDtype) {
      set_dtype(value);
      place_ = Place::kField;
    } else if (place_ == Place::kMetadataValue) {
      count_metadata(value.size());
      metadata_value_->assign(value);
      place_ = Place::kMetadataKey;
    } else {
      refuse_value(fmt::format("the string {}", quote(value, 40)));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kName;
    } else if (place_ == Place::kEntry) {
      place_ = Place::kField;
    } else if (place_ == Place::kMetadata) {
      place_ = Place::kMetadataKey;
    } else {
      refuse_value("an object");
    }
    return true;
  }

  bool key(string_t& name) override {
    if (place_ == Place::kName) {
      start_entry(name);
    } else if (place_ == Place::kField) {
      start_field(name);
    } else {
      start_metadata_value(name);
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kField) finish_entry();
    place_ = Place::kName;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kShape) {
      place_ = Place::kDimension;
    } else if (place_ == Place::kOffsets) {
      place_ = Place::kOffset;
    } else {
      refuse_value("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffset && offset_count_ != offsets_.size()) {
      refuse(fmt::format("data_offsets has {} numbers, expected 2", offset_count_));
    }
    place_ = Place::kField;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    refuse(fmt::format("the header is not valid JSON at byte {}: {}", position, parse_error_reason(error)));
  }

 private:
  // What the next piece of JSON belongs to.
  enum class Place {
    kStart,          // the header's '{'
    kName,           // a tensor's name or "__metadata__"
    kEntry,          // a tensor's '{'
    kField,          // the name of a field of a tensor
    kDtype,          // the value of "dtype"
    kShape,          // the '[' of "shape"
    kDimension,      // the numbers of "shape"
    kOffsets,        // the '[' of "data_offsets"
    kOffset,         // the numbers of "data_offsets"
    kMetadata,       // the '{' of "__metadata__"
    kMetadataKey,    // a key in it
    kMetadataValue,  // its value
  };
  enum Field : unsigned { kNoField = 0, kDtypeField = 1, kShapeField = 2, kOffsetsField = 4 };

  [[noreturn]] void refuse(std::string message, ErrorCode code = ErrorCode::kInvalidInput,
                           std::string_view help = kDamagedHelp) const {
    if (!tensor_.name.empty()) message = fmt::format("tensor {}: {}", quote(tensor_.name), message);
    throw Error(code, std::move(message), std::string(help));
  }

  [[noreturn]] void refuse_value(std::string_view found) const {
    refuse(fmt::format("expected {}, found {}", expected(), found));
  }

  std::string_view expected() const {
    switch (place_) {
      case Place::kDtype:
        return "a string as dtype";
      case Place::kShape:
        return "a list of whole numbers as shape";
      case Place::kDimension:
        return "a whole number from 0 to 9223372036854775807 as dimension";
      case Place::kOffsets:
        return "a list of two whole numbers as data_offsets";
      case Place::kOffset:
        return "a whole number from 0 as data offset";
      case Place::kMetadata:
        return "an object as __metadata__";
      case Place::kMetadataValue:
        return "a string as metadata value";
      case Place::kEntry:
        return "an object with dtype, shape and data_offsets";
      case Place::kStart:
      case Place::kName:
      case Place::kField:
      case Place::kMetadataKey:
        break;
    }
    return "an object";
  }

  void start_entry(const std::string& name) {
    tensor_ = {};
    if (name == kMetadataName) {
      if (has_metadata_) refuse("__metadata__ appears twice");
      has_metadata_ = true;
      place_ = Place::kMetadata;
      return;
    }
    if (header_.tensors.size() >= limits_.tensors_max) {
      refuse(fmt::format("the header names more than {} tensors", limits_.tensors_max));
    }
    if (name.empty()) refuse("a tensor has an empty name");
    if (name.size() > kTensorNameBytesMax) {
      refuse(fmt::format("the tensor name {} has {} bytes, at most {} are allowed", quote(name, 40),
                         name.size(), kTensorNameBytesMax));
    }
    if (has_control_character(name)) {
      refuse(fmt::format("the tensor name {} holds a control character", quote(name)));
    }
    tensor_.name = name;
    fields_ = kNoField;
    offset_count_ = 0;
    place_ = Place::kEntry;
  }

  void start_field(std::string_view name) {
    unsigned field = kNoField;
    if (name == "dtype") {
      field = kDtypeField;
      place_ = Place::kDtype;
    } else if (name == "shape") {
      field = kShapeField;
      place_ = Place::kShape;
    } else if (name == "data_offsets") {
      field = kOffsetsField;
      place_ = Place::kOffsets;
    } else {
      refuse(fmt::format("unknown field {}", quote(name, 40)));
    }
    if ((fields_ & field) != 0) refuse(fmt::format("field '{}' appears twice", name));
    fields_ |= field;
  }

  void start_metadata_value(const std::string& name) {
    count_metadata(name.size());
    const auto [entry, is_new] = header_.metadata.try_emplace(name);
    if (!is_new) refuse(fmt::format("metadata key {} appears twice", quote(name, 40)));
    metadata_value_ = &entry->second;
    place_ = Place::kMetadataValue;
  }

  void count_metadata(uint64_t bytes) {
    metadata_bytes_ += bytes;
    if (metadata_bytes_ > kMetadataBytesMax) {
      refuse(fmt::format("__metadata__ holds more than {} bytes", kMetadataBytesMax));
    }
  }

  void set_dtype(std::string_view name) {
    const auto dtype = find_dtype(name);
    if (!dtype) {
      refuse(fmt::format("unknown dtype {}", quote(name, 40)), ErrorCode::kUnsupported,
             "this version knows BOOL, the U, I, F and BF16 types of safetensors, F8_E4M3, F8_E5M2, F8_E8M0, "
             "F6_E2M3, F6_E3M2, F4 and C64");
    }
    tensor_.dtype = *dtype;
  }

  void add_dimension(uint64_t value) {
    if (value > INT64_MAX) refuse_value(fmt::to_string(value));
    if (tensor_.shape.size() >= kTensorRankMax) {
      refuse(fmt::format("shape has more than {} dimensions", kTensorRankMax));
    }
    tensor_.shape.push_back(static_cast<int64_t>(value));
  }

  void add_offset(uint64_t value) {
    if (offset_count_ >= offsets_.size()) refuse("data_offsets has more than 2 numbers");
    offsets_.at(offset_count_++) = value;
  }

  void finish_entry() {
    if ((fields_ & kDtypeField) == 0) refuse("field 'dtype' is missing");
    if ((fields_ & kShapeField) == 0) refuse("field 'shape' is missing");
    if ((fields_ & kOffsetsField) == 0) refuse("field 'data_offsets' is missing");
    const auto bytes = tensor_bytes(tensor_.dtype, tensor_.shape);
    if (!bytes) refuse(fmt::format("{} has no size in whole bytes that fits in 64 bits", type_text()));
    const auto [begin, end] = offsets_;
    if (begin > end) refuse(fmt::format("data_offsets [{},{}] end before they start", begin, end));
    if (end - begin != *bytes) {
      refuse(fmt::format("data_offsets [{},{}] span {} bytes, {} takes {}", begin, end, end - begin,
                         type_text(), *bytes));
    }
    tensor_.range = {.file = nullptr, .offset = begin, .bytes = *bytes};
    header_.tensors.push_back(std::move(tensor_));
    tensor_ = {};
  }

  std::string type_text() const {
    return fmt::format("{} {}", formats::dtype_name(tensor_.dtype), shape_text(tensor_.shape));
  }

  SafetensorsLimits limits_;
  SafetensorsHeader header_;
  Place place_ = Place::kStart;
  TensorRecord tensor_;         // the entry being read; its name is empty outside entries
  unsigned fields_ = kNoField;  // Field bits that the entry has had
  std::array<uint64_t, 2> offsets_{};
  size_t offset_count_ = 0;
  std::string* metadata_value_ = nullptr;  // in header_.metadata
  uint64_t metadata_bytes_ = 0;
  bool has_metadata_ = false;
};

}  // namespace

SafetensorsHeader parse_safetensors_json(std::string_view text, const SafetensorsLimits& limits) {
  const auto refuse = [](std::string message) {
    throw Error(ErrorCode::kInvalidInput, std::move(message), std::string(kDamagedHelp));
  };
  if (text.empty() || text.front() != '{') {
    refuse(fmt::format("the header must start with '{{', found {}", quote(text.substr(0, 1))));
  }
  // nlohmann's reader takes a NUL for the end of its input, so whatever follows one would go unseen.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    refuse(fmt::format("the header holds a NUL at byte {}", nul));
  }
  const std::string_view object = text.substr(0, text.find_last_not_of(' ') + 1);
  if (object.back() != '}') {
    refuse(fmt::format("the header must end with '}}' and spaces, found {}",
                       quote(object.substr(object.size() - 1))));
  }
  HeaderBuilder builder(limits);
  json::sax_parse(object.begin(), object.end(), &builder);
  return builder.take();
}

}  // namespace beryl::checkpoint
