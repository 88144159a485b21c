// What clients at the doors of a mesh notice of failures, and of too many other
// clients.
//
//   door_bench --kills SECONDS [--overlap] [--peers N] [--clients N]
//     A ledger of 16 shards with three voters each and clients at all doors;
//     every 3 s a random peer is killed (kill -9) and started again, or frozen
//     for 2 s. A client that has no answer from a door in 500 ms asks the next
//     one with the same Idempotency-Key. Fails on any call over 5 s, on money
//     lost or made. --overlap: the next failure begins within the 2 s of a
//     frozen peer.
//   door_bench --overload SECONDS [--peers N]
//     Native clients with an open loop: first the rate that is answered within
//     its deadline at most, then three times that. Fails below 90 % of it.
//   door_bench --smoke
//     Both for seconds, on three peers, without a judgement of times.
#include "tests/bench/door_bench.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

int main(int argc, char** argv) {
  using namespace banyan::test;
  door_settings s;
  bool kills = false;
  bool overload = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (flag == "--kills" || flag == "--overload") {
      (flag == "--kills" ? kills : overload) = true;
      s.span = std::chrono::seconds{number()};
    } else if (flag == "--overlap") {
      s.overlap = true;
    } else if (flag == "--peers") {
      s.peers = static_cast<std::size_t>(number());
    } else if (flag == "--clients") {
      s.clients = static_cast<std::size_t>(number());
    } else if (flag == "--smoke") {
      kills = overload = true;
      s.peers = 3;
      s.clients = 8;
      s.span = std::chrono::seconds{5};
      s.judge = false;
    } else {
      std::fprintf(stderr, "unknown flag %s\n", argv[i]);
      return 2;
    }
  }
  if (!kills && !overload) {
    std::fprintf(stderr, "--kills SECONDS, --overload SECONDS or --smoke?\n");
    return 2;
  }
  try {
    bool good = true;
    if (kills)
      good = door_kills(s);
    if (overload)
      good = door_overload(s) && good;
    return good ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "door_bench: %s\n", e.what());
    return 1;
  }
}
