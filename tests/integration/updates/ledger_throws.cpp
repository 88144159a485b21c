// A next version of the ledger that nobody should have signed.
#include <banyan/app.hpp>

#include <stdexcept>

struct account {
  std::int64_t balance = 0;
  BANYAN_FIELDS(balance);
};
struct amount {
  std::int64_t cents = 0;
  BANYAN_FIELDS(cents);
};

struct ledger_throws : banyan::app<ledger_throws, account> {
  static std::int64_t deposit(account&, const amount&) {
    throw std::runtime_error{"off by one, everywhere"};
  }
  static std::int64_t balance(const account& a) { return a.balance; }
};
BANYAN_APP(ledger_throws, deposit, balance)
