#pragma once
#include "base/random.hpp"
#include "net/link/streams.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace banyan::net {

/// A network that exists in memory and virtual time: streams between hosts,
/// with what happens to real ones. Hosts are names ("10.0.0.7"); each runs one
/// process at a time.
///
/// One thread. Everything comes from `random` and the order of calls, so that
/// the same seed gives the same run. Events arrive only from what `schedule`
/// runs, never from inside a call.
class virtual_network {
public:
  /// Runs a closure this much virtual time from now; equal times in the order
  /// of the calls.
  using schedule_function =
      std::function<void(duration, std::function<void()>)>;

  /// One direction between two hosts.
  struct path {
    duration delay_low = 50us; ///< one way, drawn from [low, high)
    duration delay_high = 150us;
    std::uint64_t bytes_per_second = 0; ///< shared by its streams; 0: no limit
  };
  struct options {
    path everywhere;
    duration dial_timeout = 3s; ///< then a dial without answer `timed_out`
    /// What a sender's and a receiver's kernel hold; more counts as unsent.
    std::size_t kernel_buffer = 256 * 1024;
    /// How often a piece of a write (16 KiB at most) is cut once more.
    double split_chance = 0.1;
    /// After a cut heals, how long until TCP tries again, at most.
    duration retransmit_max = 200ms;
  };

  virtual_network(options how, random_source& random,
                  schedule_function schedule, std::function<time_point()> now);
  ~virtual_network();
  virtual_network(const virtual_network&) = delete;
  virtual_network& operator=(const virtual_network&) = delete;

  /// A process starts on `host`; destroying what it returns ends it like
  /// `kill`. Asserts that none runs there.
  std::unique_ptr<streams> attach(const std::string& host);

  /// `kill -9`: far ends get an end of stream (or a reset if they had sent
  /// what was not read), and dials there are refused. The process's streams
  /// object is deaf and mute from now on; destroy it at leisure.
  void kill(const std::string& host);
  /// The machine is gone: nobody is told anything, and dials there time out
  /// until a process is attached again; old streams then are reset.
  void power_off(const std::string& host);
  /// SIGSTOP: the kernel still accepts and buffers; the process hears nothing
  /// until `thaw`.
  void freeze(const std::string& host);
  void thaw(const std::string& host);
  [[nodiscard]] bool running(const std::string& host) const;
  /// Behind a door that opens from inside only: it dials others, nobody dials
  /// it (their dials time out). Streams that are open stay.
  void hide(const std::string& host, bool yes = true);

  /// Nothing passes from one host to the other until `heal`; bytes wait in
  /// their streams, as TCP would keep them.
  void cut_one_way(const std::string& from, const std::string& to);
  void cut(const std::string& a, const std::string& b); ///< both ways
  void heal(const std::string& a, const std::string& b);
  void heal_one_way(const std::string& from, const std::string& to);
  /// Stalls end too; paths stay as they are.
  void heal_all();
  /// Holds everything from one host to the other for `d`.
  void stall(const std::string& from, const std::string& to, duration d);
  /// Tears down all streams between two hosts; both ends see a reset.
  void reset_streams(const std::string& a, const std::string& b);
  /// What waits for a narrow line goes at the pace of the new one if that is
  /// wider.
  void set_path(const std::string& from, const std::string& to, path p);

  [[nodiscard]] std::uint64_t bytes_delivered() const;
  [[nodiscard]] std::size_t open_streams() const; ///< pairs, half-open too

  class impl; // for the .cpp alone

private:
  std::shared_ptr<impl> impl_;
};

} // namespace banyan::net
