// Bytes that a client may send, and what must come of them: requests that one program reads in one way and
// the next in another are how requests are smuggled past a proxy.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace beryl::server {

struct BoundaryCase {
  std::string name;
  std::string bytes;
  int status = 400;       // 200: accepted, and the connection goes on; else it is closed
  std::string echo = {};  // of what is accepted: METHOD PATH?QUERY BODY
};

inline void PrintTo(const BoundaryCase& one, std::ostream* out) {
  *out << one.name;
}

inline std::string in_chunks(const std::string& framing) {
  return "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + framing;
}

inline std::vector<BoundaryCase> accepted_cases() {
  return {
      {"plain get", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x? "},
      {"query", "GET /x?a=b&c HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x?a=b&c "},
      {"second question mark belongs to the query", "GET /x?a?b HTTP/1.1\r\nHost: a\r\n\r\n", 200,
       "GET /x?a?b "},
      {"percent encoding is left alone", "GET /%0d%0aa HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /%0d%0aa? "},
      {"dots are left alone", "GET /../etc HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /../etc? "},
      {"one empty line before it", "\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x? "},
      {"header names in any case", "GET /x HTTP/1.1\r\nhOST: a\r\n\r\n", 200, "GET /x? "},
      {"no space after the colon", "GET /x HTTP/1.1\r\nHost:a\r\n\r\n", 200, "GET /x? "},
      {"white space around a value", "GET /x HTTP/1.1\r\nHost: \t a \t\r\n\r\n", 200, "GET /x? "},
      {"empty value", "GET /x HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", 200, "GET /x? "},
      {"bytes above ASCII in a value", "GET /x HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\xff\r\n\r\n", 200,
       "GET /x? "},
      {"header of a list twice", "GET /x HTTP/1.1\r\nHost: a\r\nAccept: b\r\nAccept: c\r\n\r\n", 200,
       "GET /x? "},
      {"host with port", "GET /x HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 200, "GET /x? "},
      {"host with an IPv6 address", "GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200, "GET /x? "},
      {"body", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, "POST /x? abc"},
      {"empty body", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200, "POST /x? "},
      {"leading zeros in the length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 003\r\n\r\nabc", 200,
       "POST /x? abc"},
      {"body with line ends", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n", 200,
       "POST /x? \r\n\r\n"},
      {"body with NUL", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n" + std::string("a\0b", 3),
       200, "POST /x? " + std::string("a\0b", 3)},
      {"get with a body", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nb", 200, "GET /x? b"},
      {"chunks", in_chunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), 200, "POST /x? abcde"},
      {"no chunks", in_chunks("0\r\n\r\n"), 200, "POST /x? "},
      {"chunk sizes in both cases", in_chunks("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), 200,
       "POST /x? 01234567890123456789"},
      {"leading zeros in a chunk's size", in_chunks("00000003\r\nabc\r\n0\r\n\r\n"), 200, "POST /x? abc"},
      {"zeros for the last chunk", in_chunks("3\r\nabc\r\n000\r\n\r\n"), 200, "POST /x? abc"},
      {"chunk extension is ignored", in_chunks("3;a=b\r\nabc\r\n0;c\r\n\r\n"), 200, "POST /x? abc"},
      {"trailer is ignored", in_chunks("3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n"), 200,
       "POST /x? abc"},
      {"coding in another case",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200,
       "POST /x? a"},
      {"expectation with the body sent along",
       "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", 200,
       "POST /x? a"},
      {"HTTP/1.0 that is kept alive", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "GET /x? "},
      {"body of no coding",
       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\na", 200,
       "POST /x? a"},
  };
}

inline std::vector<BoundaryCase> refused_lines() {
  return {
      {"HTTP/0.9", "GET /x\r\n\r\n"},
      {"no version", "GET /x \r\nHost: a\r\n\r\n"},
      {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"no method", " /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces before the target", "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces before the version", "GET /x  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space in the target", "GET /x y HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space at the end", "GET /x HTTP/1.1 \r\nHost: a\r\n\r\n"},
      {"tab for a space", "GET\t/x\tHTTP/1.1\r\nHost: a\r\n\r\n"},
      {"version in lower case", "GET /x http/1.1\r\nHost: a\r\n\r\n"},
      {"version of one number", "GET /x HTTP/1\r\nHost: a\r\n\r\n"},
      {"version of many digits", "GET /x HTTP/1.10\r\nHost: a\r\n\r\n"},
      {"version with a sign", "GET /x HTTP/+1.1\r\nHost: a\r\n\r\n"},
      {"other protocol", "GET /x ICY/1.1\r\nHost: a\r\n\r\n"},
      {"HTTP/1.2", "GET /x HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"HTTP/2.0", "GET /x HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"two empty lines before it", "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"method with a separator", "GE(T /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"method with a byte above ASCII", "G\xc3\x89T /x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target with a byte above ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target with a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target without a slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target for a proxy", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"target of a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"star for a get", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"line feed alone after the request line", "GET /x HTTP/1.1\nHost: a\r\n\r\n"},
      {"line feed alone after a header", "GET /x HTTP/1.1\r\nHost: a\n\r\n"},
      {"line feeds alone", "GET /x HTTP/1.1\nHost: a\n\n"},
      {"carriage return alone in the request line", "GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"carriage return alone in a header", "GET /x HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n"},
      {"carriage returns before a line feed", "GET /x HTTP/1.1\r\r\nHost: a\r\n\r\n"},
      {"NUL in the request line", "GET /" + std::string(1, '\0') + " HTTP/1.1\r\n\r\n"},
      {"NUL in a header", "GET /x HTTP/1.1\r\nHost: a" + std::string(1, '\0') + "b\r\n\r\n"},
      {"control character in a header", "GET /x HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n"},
      {"DEL in a header", "GET /x HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n"},
      {"handshake of TLS", std::string("\x16\x03\x01\x02\x00\x01\x00", 7)},
      {"vertical tab after the method", "GET\x0b/x HTTP/1.1\r\nHost: a\r\n\r\n"},
  };
}

inline std::vector<BoundaryCase> refused_headers() {
  return {
      {"no host", "GET /x HTTP/1.1\r\n\r\n"},
      {"two hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"host with a path", "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"host with a user", "GET /x HTTP/1.1\r\nHost: b@a\r\n\r\n"},
      {"host with a space", "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"list of hosts", "GET /x HTTP/1.1\r\nHost: a,b\r\n\r\n"},
      {"space before the colon", "GET /x HTTP/1.1\r\nHost : a\r\n\r\n"},
      {"tab before the colon", "GET /x HTTP/1.1\r\nHost\t: a\r\n\r\n"},
      {"space before the name", "GET /x HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"folded header", "GET /x HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"},
      {"header folded with a tab", "GET /x HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n"},
      {"header without a colon", "GET /x HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"},
      {"header without a name", "GET /x HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"},
      {"space in a name", "GET /x HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n"},
      {"separator in a name", "GET /x HTTP/1.1\r\nHost: a\r\nX[]: b\r\n\r\n"},
      {"byte above ASCII in a name", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length\xc2\xa0: 3\r\n\r\nabc"},
      {"both lengths",
       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"both lengths the other way",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {"two equal lengths",
       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
      {"two lengths", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 1\r\n\r\nabc"},
      {"list of lengths", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"},
      {"empty length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
      {"negative length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
      {"length with a sign", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"},
      {"hexadecimal length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"},
      {"fractional length", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc"},
      {"length of two words", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3 4\r\n\r\nabc"},
      {"length of 2^64", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n"},
      {"length of a gigabyte", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n", 413},
      {"coding before chunked",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"coding after chunked",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"},
      {"chunked twice",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n"},
      {"other coding", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {"coding with a separator",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"},
      {"quoted coding", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
      {"empty coding", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"},
      {"coding that is none",
       "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"},
      {"chunks in HTTP/1.0", "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"other expectation", "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na",
       417},
      {"two keys",
       "GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"},
      {"compressed body",
       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", 415},
      {"tunnel", "TRACE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", 501},
  };
}

inline std::vector<BoundaryCase> refused_chunks() {
  return {
      {"negative chunk", in_chunks("-1\r\na\r\n0\r\n\r\n")},
      {"chunk with a sign", in_chunks("+1\r\na\r\n0\r\n\r\n")},
      {"chunk with a prefix", in_chunks("0x1\r\na\r\n0\r\n\r\n")},
      {"chunk with a space before", in_chunks(" 1\r\na\r\n0\r\n\r\n")},
      {"chunk with a space after", in_chunks("1 \r\na\r\n0\r\n\r\n")},
      {"chunk without a size", in_chunks("\r\na\r\n0\r\n\r\n")},
      {"chunk with an extension only", in_chunks(";a\r\na\r\n0\r\n\r\n")},
      {"chunk with no number", in_chunks("g\r\na\r\n0\r\n\r\n")},
      {"chunk of nine digits", in_chunks("000000001\r\na\r\n0\r\n\r\n")},
      {"chunk of 2^64", in_chunks("10000000000000000\r\n")},
      {"chunk of a gigabyte", in_chunks("40000000\r\n"), 413},
      {"chunk that is longer than its size", in_chunks("1\r\nab\r\n0\r\n\r\n")},
      {"chunk that is shorter than its size", in_chunks("3\r\na\r\n0\r\n\r\n0\r\n\r\n")},
      {"line feed alone after a chunk's size", in_chunks("1\na\r\n0\r\n\r\n")},
      {"line feed alone after a chunk", in_chunks("1\r\na\n0\r\n\r\n")},
      {"line feed alone at the end", in_chunks("1\r\na\r\n0\r\n\n")},
      {"carriage return in an extension", in_chunks("1;a\rb\r\na\r\n0\r\n\r\n")},
      {"long extension", in_chunks("1;" + std::string(300, 'a') + "\r\na\r\n0\r\n\r\n")},
      {"long trailer", in_chunks("0\r\nX: " + std::string(1100, 'a') + "\r\n\r\n")},
      {"malformed trailer", in_chunks("0\r\nX\r\n\r\n")},
      {"folded trailer", in_chunks("0\r\nX: a\r\n b\r\n\r\n")},
  };
}

inline std::vector<BoundaryCase> all_boundary_cases() {
  std::vector<BoundaryCase> all = accepted_cases();
  for (const auto& more : {refused_lines(), refused_headers(), refused_chunks()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace beryl::server
