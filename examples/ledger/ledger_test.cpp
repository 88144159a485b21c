#include "ledger.hpp"

#include <gtest/gtest.h>

TEST(ledger_example, deposits_and_withdraws) {
  account a;
  EXPECT_EQ(ledger::deposit(a, {10}).value(), 10);
  EXPECT_EQ(ledger::withdraw(a, {4}).value(), 6);
  EXPECT_EQ(ledger::withdraw(a, {7}).why().code, "insufficient_funds");
  EXPECT_EQ(ledger::deposit(a, {-1}).why().code, "invalid_amount");
  EXPECT_EQ(ledger::withdraw(a, {-1}).why().code, "invalid_amount");
  EXPECT_EQ(ledger::balance(a), 6);
}

TEST(ledger_example, a_transfer_sends_the_deposit) {
  account a{10};
  banyan::context ctx{"alice"};
  EXPECT_EQ(ledger::transfer(a, {"bob", 4}, ctx).value(), 6);
  ASSERT_EQ(ctx.sent().size(), 1U);
  EXPECT_EQ(ctx.sent()[0].key, "bob");
  EXPECT_EQ(ctx.sent()[0].command, "deposit");
  EXPECT_EQ(ctx.sent()[0].on_reply, "deposited");
}

TEST(ledger_example, a_transfer_without_funds_sends_nothing) {
  account a{3};
  banyan::context ctx{"alice"};
  EXPECT_EQ(ledger::transfer(a, {"bob", 4}, ctx).why().code,
            "insufficient_funds");
  EXPECT_EQ(ledger::transfer(a, {"", 1}, ctx).why().code, "invalid_recipient");
  EXPECT_TRUE(ctx.sent().empty());
  EXPECT_EQ(a.balance, 3);
}

TEST(ledger_example, a_refused_deposit_comes_back) {
  account a{6};
  ledger::deposited(a, {"bob", {4}, 4, "", ""});
  EXPECT_EQ(a.balance, 6);
  ledger::deposited(a, {"bob", {4}, 0, "overflow", ""});
  EXPECT_EQ(a.balance, 10);
}

TEST(ledger_example, a_standing_order_pays_and_comes_again) {
  account a{10};
  banyan::context first{"alice"};
  const standing_order rent{{"bob", 7}, 60};
  ledger::order(a, rent, first);
  ASSERT_EQ(first.timers().size(), 1U);
  EXPECT_EQ(first.timers()[0].name, "order/bob");
  EXPECT_EQ(first.timers()[0].after, std::chrono::seconds{60});
  EXPECT_EQ(first.timers()[0].command, "pay_order");

  banyan::context second{"alice"};
  ledger::pay_order(a, rent, second);
  EXPECT_EQ(a.balance, 3);
  EXPECT_EQ(second.sent().size(), 1U);
  EXPECT_EQ(second.timers().size(), 1U);

  banyan::context third{"alice"}; // not enough: skipped, not ended
  ledger::pay_order(a, rent, third);
  EXPECT_EQ(a.balance, 3);
  EXPECT_TRUE(third.sent().empty());
  EXPECT_EQ(third.logged().size(), 1U);
  EXPECT_EQ(third.timers().size(), 1U);

  banyan::context last{"alice"};
  ledger::order(a, {{"bob", 7}, 0}, last);
  EXPECT_TRUE(last.timers().empty());
  EXPECT_EQ(last.cancelled(), std::vector<std::string>{"order/bob"});
}
