"""Writes src/text/template/unicode_tables.cc: what Python's str methods know about characters.

Usage: python3 tools/make_unicode_tables.py > src/text/template/unicode_tables.cc
"""

import sys
import unicodedata


def case_ranges(convert):
    """[first, last, stride, delta] for every character whose conversion is one character."""
    ranges = []
    for code in range(0x80, sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000:
            continue
        converted = convert(chr(code))
        if len(converted) != 1 or converted == chr(code):
            continue
        delta = ord(converted) - code
        if ranges and ranges[-1][3] == delta:
            last = ranges[-1]
            stride = code - last[1]
            if stride <= 2 and (last[0] == last[1] or last[2] == stride):
                last[1], last[2] = code, stride
                continue
        ranges.append([code, code, 1, delta])
    return ranges


def expansions(convert):
    """Characters whose conversion is several characters."""
    return [
        (code, convert(chr(code)).encode())
        for code in range(0x80, sys.maxunicode + 1)
        if not 0xD800 <= code < 0xE000 and len(convert(chr(code))) > 1
    ]


def unprintable_ranges():
    ranges = []
    for code in range(sys.maxunicode + 1):
        if chr(code).isprintable():
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def print_table(type_name, name, rows):
    print(f"constexpr {type_name} {name}[] = {{")
    line = "   "
    for row in rows:
        if len(line) + 1 + len(row) + 1 > 108:
            print(line)
            line = "   "
        line += f" {row},"
    print(line)
    print("};\n")


def main():
    print(f"// Made by tools/make_unicode_tables.py from Unicode {unicodedata.unidata_version}. Do not edit.")
    print('#include "text/template/unicode_tables.h"\n')
    print("namespace beryl::text {\nnamespace {\n\n// clang-format off")
    for name, convert in (("kUpper", str.upper), ("kLower", str.lower)):
        rows = [f"{{0x{a:x}, 0x{b:x}, {s}, {d}}}" for a, b, s, d in case_ranges(convert)]
        print_table("CaseRange", name, rows)
        rows = [
            '{0x%x, "%s"}' % (code, "".join(f"\\x{byte:02x}" for byte in text))
            for code, text in expansions(convert)
        ]
        print_table("CaseExpansion", f"{name}Expansions", rows)
    print_table("CodeRange", "kUnprintable", [f"{{0x{a:x}, 0x{b:x}}}" for a, b in unprintable_ranges()])
    print("// clang-format on\n\n}  // namespace\n")
    print("const CaseTable kUpperCase = {kUpper, kUpperExpansions};")
    print("const CaseTable kLowerCase = {kLower, kLowerExpansions};")
    print("const std::span<const CodeRange> kUnprintableCodes = kUnprintable;\n")
    print("}  // namespace beryl::text")


if __name__ == "__main__":
    main()
