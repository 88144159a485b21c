#pragma once
#include "../docs/folder.hpp"
#include "net/io/asio_loop.hpp"
#include "net/io/http_server.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace banyan::cli::test {

/// How a run of `banyan` ended.
struct run_result {
  int code = -1;
  std::string out;
  std::string err;
};

/// An HTTP server on `DIR/control.sock` that answers as a test says, and the
/// built `banyan` to ask it, in that directory.
class played_peer : public ::testing::Test {
protected:
  /// On the loop's thread. Without an answer the server says 504 `unknown`.
  using answer_function =
      std::function<void(const io::http_request&, io::http_responder&)>;

  /// From now on `answer` plays the peer.
  void play(answer_function answer) {
    handler_.answer = std::move(answer);
    io::http_server_config c;
    c.unix_socket = dir / "control.sock";
    auto opened = io::http_server::open(loop_, c, handler_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    server_ = std::move(*opened);
  }
  void play_json(int status, const std::string& body) {
    play([=](const io::http_request&, io::http_responder& r) {
      io::http_response a;
      a.status = status;
      a.body = body;
      r.send(std::move(a));
    });
  }
  /// Hangs up on whoever waits for an answer.
  void hang_up() { server_.reset(); }

  std::vector<io::http_request> seen() {
    const std::lock_guard lock{handler_.mutex};
    return handler_.seen;
  }
  void forget() {
    const std::lock_guard lock{handler_.mutex};
    handler_.seen.clear();
  }

  run_result banyan(std::vector<std::string> args,
                    const std::string& input = "") {
    args.insert(args.begin(),
                {BANYAN_PROGRAM, "--data", data.empty() ? dir.path() : data});
    banyan::test::put(dir / "in", input);
    const auto pid = start(args);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            banyan::test::text_of(dir / "out"),
            banyan::test::text_of(dir / "err")};
  }

  banyan::test::folder dir;
  std::filesystem::path data; ///< another one than `dir`, when given

private:
  struct handler final : io::http_handler {
    void handle(io::http_request q, io::http_responder r) override {
      {
        const std::lock_guard lock{mutex};
        seen.push_back(q);
      }
      answer(q, r);
    }
    answer_function answer;
    std::mutex mutex;
    std::vector<io::http_request> seen;
  };

  pid_t start(const std::vector<std::string>& args) {
    std::vector<char*> argv;
    for (const auto& a : args)
      argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    const std::string in = dir / "in";
    const std::string out = dir / "out";
    const std::string err = dir / "err";
    const auto pid = ::fork();
    if (pid != 0)
      return pid;
    // Only calls that are safe after a fork of a threaded process.
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    if (::chdir(dir.path().c_str()) != 0
        || ::dup2(::open(in.c_str(), O_RDONLY), 0) < 0
        || ::dup2(::open(out.c_str(), flags, 0600), 1) < 0
        || ::dup2(::open(err.c_str(), flags, 0600), 2) < 0)
      ::_exit(99);
    ::execv(argv[0], argv.data());
    ::_exit(99);
  }

  handler handler_;
  io::asio_loop loop_;
  std::unique_ptr<io::http_server> server_;
};

} // namespace banyan::cli::test
