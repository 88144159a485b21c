#include "actors/loop/coordinator.hpp"

#include "base/assert.hpp"

#include <caf/all.hpp>
#include <caf/detail/simple_actor_clock.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <cstdio>
#include <future>

namespace banyan::actors {

namespace {

using caf_time = caf::actor_clock::time_point;

/// CAF's timers, fired by the loop. CAF's own implementation isn't safe across
/// threads, and detached or scoped actors set timeouts from theirs: such calls
/// go to the loop as tasks that keep the actor alive until then.
class loop_clock final : public caf::detail::simple_actor_clock,
                         public io::timer_source {
public:
  using base = caf::detail::simple_actor_clock;

  explicit loop_clock(io::loop& l) : loop_{l} {}

  [[nodiscard]] caf_time now() const noexcept override { return loop_.now(); }
  [[nodiscard]] caf_time next() const noexcept override {
    return schedule_.empty() ? never : schedule_.begin()->first;
  }
  void fire_one() override {
    const auto i = schedule_.begin();
    const auto due = std::move(i->second);
    if (due->backlink != actor_lookup_.end())
      actor_lookup_.erase(due->backlink);
    schedule_.erase(i);
    ship(*due);
  }

  void set_ordinary_timeout(caf_time t, caf::abstract_actor* a,
                            caf::atom_value type, std::uint64_t id) override {
    here(a, [=](auto* x) { base::set_ordinary_timeout(t, x, type, id); });
  }
  void set_multi_timeout(caf_time t, caf::abstract_actor* a,
                         caf::atom_value type, std::uint64_t id) override {
    here(a, [=](auto* x) { base::set_multi_timeout(t, x, type, id); });
  }
  void set_request_timeout(caf_time t, caf::abstract_actor* a,
                           caf::message_id id) override {
    here(a, [=](auto* x) { base::set_request_timeout(t, x, id); });
  }
  void cancel_ordinary_timeout(caf::abstract_actor* a,
                               caf::atom_value type) override {
    here(a, [=](auto* x) { base::cancel_ordinary_timeout(x, type); });
  }
  void cancel_request_timeout(caf::abstract_actor* a,
                              caf::message_id id) override {
    here(a, [=](auto* x) { base::cancel_request_timeout(x, id); });
  }
  void cancel_timeouts(caf::abstract_actor* a) override {
    here(a, [=](auto* x) { base::cancel_timeouts(x); });
  }
  void schedule_message(caf_time t, caf::strong_actor_ptr to,
                        caf::mailbox_element_ptr content) override {
    if (loop_.on_thread()) {
      base::schedule_message(t, std::move(to), std::move(content));
      return;
    }
    auto shared =
        std::make_shared<caf::mailbox_element_ptr>(std::move(content));
    loop_.post([=] { base::schedule_message(t, to, std::move(*shared)); });
  }

private:
  template <class F>
  void here(caf::abstract_actor* a, F f) {
    if (loop_.on_thread()) {
      f(a);
      return;
    }
    loop_.post(
        [keep = caf::strong_actor_ptr{a->ctrl()}, f] { f(keep->get()); });
  }

  io::loop& loop_;
};

/// Stands in for CAF's printer, which wants a thread: `aout` writes at once.
class inline_printer final : public caf::monitorable_actor {
public:
  explicit inline_printer(caf::actor_config& c) : monitorable_actor{c} {}
  void enqueue(caf::mailbox_element_ptr m, caf::execution_unit*) override {
    auto& c = m->content();
    if (c.match_elements<caf::add_atom, caf::actor_id, std::string>())
      std::fputs(c.get_as<std::string>(2).c_str(), stdout);
  }
};

class coordinator final : public caf::scheduler::abstract_coordinator {
public:
  coordinator(caf::actor_system& s, io::loop& l, system_counters& counters)
      : abstract_coordinator{s}, loop_{l}, counters_{counters}, clock_{l},
        unit_{*this} {}

  loop_clock& clock() noexcept override { return clock_; }
  [[nodiscard]] bool detaches_utility_actors() const override { return false; }
  void enqueue(caf::resumable* r) override {
    loop_.enqueue({&coordinator::resume, r, &unit_});
  }
  void start() override { // the base's would start a thread that prints
    caf::actor_config cfg{&unit_};
    utility_actors_[printer_id] = caf::make_actor<inline_printer, caf::actor>(
        system().next_actor_id(), system().node(), &system(), cfg);
    on_loop([this] { loop_.attach(clock_); });
  }
  /// Called by ~actor_system, when every actor has ended.
  void stop() override {
    loop_.drain();
    on_loop([this] {
      clock_.cancel_all();
      loop_.detach(clock_);
      // A spawn leaves a handle of the system's logger with its thread, and
      // ~actor_system waits for all of them.
      caf::logger::set_current_actor_system(nullptr);
    });
    loop_.drain(); // what the timers had kept
    utility_actors_[printer_id] = nullptr;
  }

  [[nodiscard]] io::loop& loop() noexcept { return loop_; }
  [[nodiscard]] system_counters& counters() noexcept { return counters_; }

private:
  /// Messages that one actor may take before the others' turn.
  static constexpr std::size_t messages_per_turn = 100;

  struct unit final : caf::execution_unit {
    explicit unit(coordinator& c)
        : execution_unit{&c.system()}, owner{c}, loop{c.loop_} {}
    void exec_later(caf::resumable* r) override { owner.enqueue(r); }
    coordinator& owner;
    io::loop& loop;
  };

  static bool resume(void* a, void* b, io::loop::job_call c) {
    auto* r = static_cast<caf::resumable*>(a);
    if (c == io::loop::job_call::run) {
      auto* u = static_cast<unit*>(b);
      u->loop.doing(r->subtype() == caf::resumable::scheduled_actor
                        ? static_cast<caf::scheduled_actor*>(r)->name()
                        : "actor");
      if (r->resume(u, messages_per_turn) == caf::resumable::resume_later)
        return true;
    }
    caf::intrusive_ptr_release(r);
    return false;
  }

  template <class F>
  void on_loop(F f) {
    if (loop_.on_thread()) {
      f();
      return;
    }
    std::promise<void> done;
    loop_.post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }

  io::loop& loop_;
  system_counters& counters_;
  loop_clock clock_;
  unit unit_;
};

coordinator& coordinator_of(caf::actor_system& s) {
  auto* c = dynamic_cast<coordinator*>(&s.scheduler());
  BANYAN_ASSERT(c != nullptr);
  return *c;
}

} // namespace

struct loop_system::parts {
  parts(io::loop& l)
      : config{install(l, counters)}, system{
                                          std::make_unique<caf::actor_system>(
                                              *config)} {}

  // The only way to hand a constructor arguments: `load<>` takes none.
  static std::unique_ptr<caf::actor_system_config>
  install(io::loop& l, system_counters& counters) {
    auto c = std::make_unique<caf::actor_system_config>();
    c->module_factories.push_back(
        [&l, &counters](caf::actor_system& s) -> caf::actor_system::module* {
          return new coordinator{s, l, counters};
        });
    return c;
  }

  system_counters counters;
  std::unique_ptr<caf::actor_system_config> config;
  std::unique_ptr<caf::actor_system> system;
};

loop_system::loop_system(io::loop& l)
    : loop_{l}, parts_{std::make_unique<parts>(l)} {
}

loop_system::~loop_system() {
  loop_.drain();
  BANYAN_ASSERT(running() == 0);
}

caf::actor_system& loop_system::get() noexcept {
  return *parts_->system;
}
system_counters& loop_system::counters() noexcept {
  return parts_->counters;
}
std::size_t loop_system::running() const {
  return parts_->system->registry().running();
}

std::size_t loop_system::shut_down(std::vector<caf::actor> roots) {
  for (const auto& a : roots)
    caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
  roots.clear();
  loop_.drain();
  return running();
}

std::unique_ptr<loop_system> make_system(io::loop& l) {
  return std::make_unique<loop_system>(l);
}

io::loop& loop_of(caf::actor_system& s) {
  return coordinator_of(s).loop();
}

void quiet(caf::scheduled_actor* self) {
  auto& counters = coordinator_of(self->system()).counters();
  self->set_default_handler(
      [&counters](caf::scheduled_actor*,
                  caf::message_view&) -> caf::result<caf::message> {
        counters.dropped_messages.fetch_add(1, std::memory_order_relaxed);
        return caf::sec::unexpected_message;
      });
  self->set_error_handler([&counters](caf::scheduled_actor*, caf::error&) {
    counters.dropped_errors.fetch_add(1, std::memory_order_relaxed);
  });
  self->set_exception_handler(
      [&counters](caf::scheduled_actor*, std::exception_ptr&) -> caf::error {
        counters.exceptions.fetch_add(1, std::memory_order_relaxed);
        return caf::exit_reason::unhandled_exception;
      });
}

} // namespace banyan::actors
