#include "tests/support/bystander.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace banyan::test {

std::size_t memory_of(pid_t pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  in >> all >> resident;
  return in ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

double bystander::report::at(double part) const {
  if (ms.empty())
    return 0;
  const auto last = static_cast<double>(ms.size() - 1);
  return ms[static_cast<std::size_t>(part * last)];
}

bystander::bystander(const process_mesh& mesh)
    : mesh_{mesh}, thread_{[this] { run(); }} {
}

bystander::~bystander() {
  stopping_ = true;
  thread_.join();
}

bystander::report bystander::take() {
  const std::lock_guard<std::mutex> g{mutex_};
  auto out = std::exchange(report_, {});
  std::sort(out.ms.begin(), out.ms.end());
  return out;
}

void bystander::run() {
  io::http_client kept{mesh_.http(0)};
  const auto pid = mesh_.pid(0);
  while (!stopping_) {
    const auto n = ++calls_;
    io::http_call c;
    c.target = "/v1/apps/ledger/actors/bystander/";
    if (n % 2 == 0) {
      c.target += "balance";
    } else {
      c.method = "POST";
      c.target += "deposit";
      c.body = "{\"cents\":1}";
      c.headers = {{"Idempotency-Key", "bystander-" + std::to_string(n)}};
    }
    const auto start = now();
    auto r = n % 4 < 2 ? kept.call(c) : io::http_client{mesh_.http(0)}.call(c);
    const auto took = to_ms(now() - start);
    const auto memory = memory_of(pid);
    {
      const std::lock_guard<std::mutex> g{mutex_};
      report_.ms.push_back(took);
      report_.memory_max = std::max(report_.memory_max, memory);
      if (!r.ok())
        report_.refused.push_back(c.method + ": " + r.error().message);
      else if (r->status != 200)
        report_.refused.push_back(c.method + ": " + std::to_string(r->status)
                                  + " " + r->body);
    }
    std::this_thread::sleep_for(1ms);
  }
}

} // namespace banyan::test
