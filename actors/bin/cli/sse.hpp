#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace banyan::cli {

/// Takes the messages out of a stream of server-sent events, however it is cut
/// into pieces. What isn't a message (comments, an error's JSON) is skipped.
class sse_reader {
public:
  /// A longer message is dropped.
  static constexpr std::size_t line_bytes_max = std::size_t{8} << 20;

  /// False: enough, read no further.
  using message_function =
      std::function<bool(std::string_view id, std::string_view data)>;

  /// False once `f` said so.
  bool put(std::string_view piece, const message_function& f);

private:
  bool line(std::string_view text, const message_function& f);

  std::string left_; ///< a line that isn't whole yet
  bool too_long_ = false;
  std::string id_;
  std::string data_;
};

/// `2026-11-23 09:01:13.123` (UTC).
[[nodiscard]] std::string time_text(std::int64_t unix_ms);
/// Milliseconds since 1970 by this machine's clock.
[[nodiscard]] std::int64_t unix_ms_now();

} // namespace banyan::cli
