#pragma once
#include <banyan/app.hpp>

// An actor per account. Money is never lost or made on its way between two.

struct account {
  std::int64_t balance = 0;
  BANYAN_FIELDS(balance);
};
struct amount {
  std::int64_t cents = 0;
  BANYAN_FIELDS(cents);
};
struct payment {
  std::string to;
  std::int64_t cents = 0;
  BANYAN_FIELDS(to, cents);
};
struct standing_order {
  payment pay;
  std::uint32_t every_s = 0; ///< 0 ends it
  BANYAN_FIELDS(pay, every_s);
};

struct ledger : banyan::app<ledger, account> {
  using cents_reply = banyan::reply<std::int64_t>;

  static cents_reply deposit(account& a, const amount& m) {
    if (m.cents < 0)
      return banyan::reject("invalid_amount", "cents is negative");
    if (m.cents > INT64_MAX - a.balance)
      return banyan::reject("overflow", "the balance doesn't fit 64 bits");
    return a.balance += m.cents;
  }
  static cents_reply withdraw(account& a, const amount& m) {
    if (m.cents < 0)
      return banyan::reject("invalid_amount", "cents is negative");
    if (a.balance < m.cents)
      return banyan::reject("insufficient_funds");
    return a.balance -= m.cents;
  }
  /// The deposit leaves with this turn, or neither takes place.
  static cents_reply transfer(account& a, const payment& p,
                              banyan::context& ctx) {
    if (p.to.empty() || p.to.size() > 255)
      return banyan::reject("invalid_recipient", "to is 1 to 255 bytes");
    const auto left = withdraw(a, {p.cents});
    if (left.ok())
      ctx.send<&ledger::deposit>(p.to, {p.cents},
                                 banyan::on_reply<&ledger::deposited>);
    return left;
  }
  /// A deposit that was refused comes back.
  static void deposited(account& a,
                        const banyan::answer<amount, std::int64_t>& done) {
    if (!done.ok())
      a.balance += done.sent.cents;
  }
  /// Pays again and again; a day without funds is skipped.
  static void order(account&, const standing_order& o, banyan::context& ctx) {
    const std::string name = "order/" + o.pay.to.substr(0, 200);
    ctx.cancel(name);
    if (o.every_s > 0)
      ctx.after<&ledger::pay_order>(name, std::chrono::seconds{o.every_s}, o);
  }
  static void pay_order(account& a, const standing_order& o,
                        banyan::context& ctx) {
    if (!transfer(a, o.pay, ctx).ok())
      ctx.log(ctx.key() + ": no funds to pay " + o.pay.to);
    order(a, o, ctx);
  }
  static std::int64_t balance(const account& a) { return a.balance; }
};
BANYAN_APP(ledger, deposit, withdraw, transfer, deposited, order, pay_order,
           balance)
