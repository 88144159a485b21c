#include "tests/bench/proxies.hpp"

#include <unistd.h>

#include <csignal>
#include <fstream>

namespace banyan::test {
namespace {

constexpr const char* nginx_file = "/usr/sbin/nginx";
constexpr const char* haproxy_file = "/usr/sbin/haproxy";

std::string here(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

std::string nginx_config(bool tuned, std::uint16_t port,
                         const std::vector<std::uint16_t>& doors) {
  std::string c = "worker_processes auto;\npid nginx.pid;\n"
                  "error_log error.log;\n"
                  "events { worker_connections 1024; }\nhttp {\n";
  for (const auto* what : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    c += std::string{what} + "_temp_path " + what + ";\n";
  c += tuned ? "access_log off;\nkeepalive_requests 1000000;\n"
             : "access_log access.log;\n";
  c += "upstream doors {\n";
  if (tuned)
    c += "least_conn;\n";
  for (const auto d : doors)
    c += "server " + here(d) + (tuned ? " max_fails=1 fail_timeout=2s" : "")
         + ";\n";
  if (tuned)
    c += "keepalive 128;\nkeepalive_requests 1000000;\n";
  c += "}\nserver {\nlisten " + here(port)
       + ";\nlocation / {\nproxy_pass http://doors;\n"
         "proxy_set_header Host localhost;\n";
  if (tuned)
    c += "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n"
         "proxy_connect_timeout 100ms;\nproxy_read_timeout 400ms;\n"
         "proxy_next_upstream error timeout http_502 http_503 http_504;\n";
  return c + "}\n}\n}\n";
}

std::string haproxy_config(bool tuned, std::uint16_t port,
                           const std::vector<std::uint16_t>& doors) {
  std::string c = "defaults\nmode http\ntimeout client 30s\n";
  c += tuned ? "timeout connect 100ms\ntimeout server 400ms\n"
               "option redispatch 1\nretries 3\n"
               "retry-on all-retryable-errors\n"
             : "timeout connect 5s\ntimeout server 30s\n";
  c += "frontend door\nbind " + here(port) + "\ndefault_backend doors\n"
       + "backend doors\nbalance " + (tuned ? "leastconn" : "roundrobin")
       + "\n";
  if (tuned)
    c += "http-reuse always\noption httpchk\n"
         "http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host "
         "localhost\n";
  for (std::size_t i = 0; i < doors.size(); ++i)
    c += "server p" + std::to_string(i) + " " + here(doors[i])
         + (tuned ? " check inter 200ms fall 2 rise 1" : "") + "\n";
  return c;
}

} // namespace

bool proxy::installed(kind k) {
  return ::access(k == kind::nginx ? nginx_file : haproxy_file, X_OK) == 0;
}

proxy::proxy(kind k, bool tuned, const std::vector<std::uint16_t>& doors)
    : port_{free_port()} {
  const auto file = dir_.path() / "config";
  const auto log = dir_.path() / "log";
  if (k == kind::nginx) {
    std::ofstream{file} << nginx_config(tuned, port_, doors);
    running_ = std::make_unique<process>(
        std::vector<std::string>{nginx_file, "-p", dir_.path().string(), "-c",
                                 file.string(), "-g", "daemon off;"},
        log);
  } else {
    std::ofstream{file} << haproxy_config(tuned, port_, doors);
    running_ = std::make_unique<process>(
        std::vector<std::string>{haproxy_file, "-db", "-f", file.string()},
        log);
  }
}

void proxy::signal_all(int number) const {
  const auto pid = std::to_string(running_->pid());
  std::ifstream workers{"/proc/" + pid + "/task/" + pid + "/children"};
  running_->signal(number);
  for (pid_t worker = 0; workers >> worker;)
    ::kill(worker, number);
}

void proxy::freeze() const {
  signal_all(SIGSTOP);
}

void proxy::thaw() const {
  signal_all(SIGCONT);
}

proxy::~proxy() {
  running_->signal(SIGTERM); // killed, it would leave its workers
  static_cast<void>(running_->wait(std::chrono::steady_clock::now()
                                   + std::chrono::seconds{10}));
}

} // namespace banyan::test
