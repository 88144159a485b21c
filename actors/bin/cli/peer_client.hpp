#pragma once
#include "actors/bin/cli/text.hpp"
#include "actors/bin/cli/value.hpp"
#include "base/result.hpp"
#include "net/io/http_client.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace banyan::cli {

/// Which peer to ask: the control socket of a data directory, or a URL.
struct peer_place {
  std::filesystem::path data;
  std::string http;            ///< empty: the control socket
  std::filesystem::path token; ///< admin token for `http`; empty: none
};

/// What it means when an answer is lost.
enum class effect {
  none,   ///< a look: nothing happened, whatever became of it
  changes ///< it may have been carried out: `exit_code::unknown`
};

/// One peer's HTTP API. Blocking; one thread.
class peer_client {
public:
  /// Reaches nobody yet. @returns `usage` for a URL or token file that is
  /// wrong.
  static result<peer_client, problem> open(const peer_place& place);

  /// Any status below 400. Otherwise what the API says as a `problem`: code
  /// `unknown` for 504 `unknown`, `failed` for all else; and `no_peer` when
  /// nothing was reached, `unknown` when an answer that matters was lost.
  result<io::http_reply, problem> send(io::http_call c, effect e);

  /// The same for a long answer, handed over as it comes; `on_data` returning
  /// false ends it. Only what is no error reaches `on_data`.
  result<io::http_reply, problem>
  stream(io::http_call c, const std::function<bool(std::string_view)>& on_data);

  /// `GET target` as JSON text, as is.
  result<std::string, problem> get_json(const std::string& target);
  /// `GET target` as a value.
  result<value, problem> get(const std::string& target);

  /// `GET target` as it comes, without limit, until it ends or `on_data` says
  /// false. What an error says comes by `on_data` too.
  result<void, problem>
  stream(const std::string& target,
         const std::function<bool(std::string_view)>& on_data);

private:
  peer_client(io::http_target to, std::string authorization, std::string hint);
  [[nodiscard]] problem unreached(const io::net_error& e, effect what) const;

  io::http_client client_;
  std::string authorization_;
  std::string hint_; ///< what to do when nobody is there
};

/// What an answer of status 400 and above says.
[[nodiscard]] problem problem_of(const io::http_reply& r, effect e);
/// Whether the API said `code`.
[[nodiscard]] bool says(const problem& p, std::string_view code);

} // namespace banyan::cli
