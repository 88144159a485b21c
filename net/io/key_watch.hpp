#pragma once
#include "net/io/http_server.hpp"
#include "net/io/loop.hpp"
#include "net/io/workers.hpp"

#include <filesystem>
#include <functional>
#include <memory>

namespace banyan::io {

/// Reads a server's certificate and key again whenever their files change, so
/// that whoever renews them has nothing to tell the process.
///
/// Looks every `pause`, on a worker: a file system may block. Files that
/// changed since the look before are left until they are the same at two looks,
/// since one is written after the other. Loop's thread only; harmless to
/// destroy while a look is under way.
class key_watch {
public:
  /// What was read, or why the files are no keys: `bad_key`, once per change.
  using changed = std::function<void(result<tls_keys, net_error>)>;

  /// The files as they are now count as read.
  key_watch(loop& l, workers& w, std::filesystem::path cert,
            std::filesystem::path key, changed on_change, duration pause = 2s);
  ~key_watch();
  key_watch(const key_watch&) = delete;
  key_watch& operator=(const key_watch&) = delete;

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace banyan::io
