// The ledger's next version: it counts what it did (state version 2), under
// every name that the first one had, so far as the test calls them.
#include "ledger/ledger.hpp"

struct account_2 {
  std::int64_t balance = 0;
  std::int64_t bookings = 0;
  BANYAN_FIELDS(balance, bookings);
};

struct ledger2 : banyan::app<ledger2, account_2, account> {
  static account_2 upgrade(const account& old) { return {old.balance, 0}; }

  static banyan::reply<std::int64_t> deposit(account_2& a, const amount& m) {
    if (m.cents < 0)
      return banyan::reject("invalid_amount", "cents is negative");
    ++a.bookings;
    return a.balance += m.cents;
  }
  static std::int64_t balance(const account_2& a) { return a.balance; }
  static std::int64_t bookings(const account_2& a) { return a.bookings; }
};
BANYAN_APP(ledger2, deposit, balance, bookings)
