// Pure parts: keys, texts, transactions, events, rules.
#include <gtest/gtest.h>

#include "agent/replication/mapping.hpp"
#include "agent/replication/rules.hpp"

namespace nett::replication {
namespace {

const Layout kLayout("/nett");
const Stamp kStamp{"id-1", "gw-1", "unix:root", "because"};

// Records by "kind/key".
class Copy final : public LocalCopy {
public:
    std::map<std::string, Known> records;

    Result<Known> record(std::string_view kind, std::string_view key) const override {
        const auto found = records.find(fmt::format("{}/{}", kind, key));
        return found == records.end() ? Known{} : found->second;
    }
    Result<std::optional<std::string>> owner(std::string_view kind, const IndexEntry& entry) const override {
        for (const auto& [id, known] : records) {
            if (!id.starts_with(kind)) continue;
            for (const auto& has : known.indexes) {
                if (has.index == entry.index && has.value == entry.value)
                    return std::optional<std::string>(id.substr(kind.size() + 1));
            }
        }
        return std::optional<std::string>();
    }
};

Transaction put(std::string key, std::vector<IndexEntry> indexes = {}) {
    Transaction transaction;
    transaction.puts.push_back({"machine", std::move(key), "{}", std::move(indexes)});
    return transaction;
}

std::string compares_of(const Mapped& mapped) {
    std::string out;
    for (std::size_t i = 0; i < mapped.txn.compares.size(); ++i) {
        const auto& one = mapped.txn.compares[i];
        out += fmt::format("{}={}{} ", one.key, one.mod_revision, mapped.about[i].asked ? "!" : "");
    }
    return out;
}
std::string puts_of(const Mapped& mapped) {
    std::string out;
    for (const auto& one : mapped.txn.puts) out += one.key + " ";
    return out;
}
std::string deletes_of(const Mapped& mapped) {
    std::string out;
    for (const auto& one : mapped.txn.deletes) out += one.begin + " ";
    return out;
}

TEST(ReplicationMapping, APutWithoutClaimsIsBlindAndHasAnAuthor) {
    const auto mapped = map_transaction(kLayout, put("a"), Copy(), kStamp);
    ASSERT_TRUE(mapped);
    EXPECT_EQ(compares_of(*mapped), "");
    EXPECT_EQ(puts_of(*mapped), "/nett/state/record/machine/a /nett/state/last ");
    EXPECT_EQ(decode_stamp(mapped->txn.puts.back().value)->actor, "unix:root");
}

TEST(ReplicationMapping, WhatTheWriterReadIsCompared) {
    auto transaction = put("a");
    transaction.compares = {{"machine", "a", 5}, {"tenant", "t", 3}, {"server", "gw-2", 0}};
    const auto mapped = map_transaction(kLayout, transaction, Copy(), kStamp);
    EXPECT_EQ(compares_of(*mapped),
              "/nett/state/record/machine/a=5! /nett/state/record/tenant/t=3! /nett/server/gw-2=0! ");
}

TEST(ReplicationMapping, ANewIndexValueIsClaimedAndMustBeFree) {
    const auto mapped = map_transaction(kLayout, put("a", {{"uuid", "u1"}, {"tenant", "t/a"}}), Copy(), kStamp);
    EXPECT_EQ(compares_of(*mapped), "/nett/state/record/machine/a=0 /nett/state/index/machine/uuid/u1=0 ");
    EXPECT_EQ(puts_of(*mapped), "/nett/state/record/machine/a /nett/state/index/machine/uuid/u1 /nett/state/last ");
}

TEST(ReplicationMapping, AValueThatIsKeptIsNotClaimedAgainAndOneThatIsNotIsReleased) {
    Copy copy;
    copy.records["machine/a"] = {7, {{"uuid", "u1"}, {"mac", "m1"}}};
    const auto mapped = map_transaction(kLayout, put("a", {{"uuid", "u1"}}), copy, kStamp);
    EXPECT_EQ(compares_of(*mapped), "/nett/state/record/machine/a=7 ");
    EXPECT_EQ(puts_of(*mapped), "/nett/state/record/machine/a /nett/state/last ");
    EXPECT_EQ(deletes_of(*mapped), "/nett/state/index/machine/mac/m1 ");
}

TEST(ReplicationMapping, AnotherOwnerOfAValueIsNamed) {
    Copy copy;
    copy.records["machine/b"] = {7, {{"uuid", "u1"}}};
    const auto mapped = map_transaction(kLayout, put("a", {{"uuid", "u1"}}), copy, kStamp);
    ASSERT_FALSE(mapped);
    EXPECT_EQ(mapped.error().code, Code::kAlreadyExists);
    EXPECT_EQ(mapped.error().message, "machine \"b\" has uuid u1 already; machine \"a\" cannot have it too");
}

TEST(ReplicationMapping, RecordsSwapValuesInOneTransactionWithoutTouchingAKeyTwice) {
    Copy copy;
    copy.records["machine/a"] = {7, {{"mac", "m1"}}};
    copy.records["machine/b"] = {8, {{"mac", "m2"}}};
    auto transaction = put("a", {{"mac", "m2"}});
    transaction.puts.push_back({"machine", "b", "{}", {{"mac", "m1"}}});
    const auto mapped = map_transaction(kLayout, transaction, copy, kStamp);
    ASSERT_TRUE(mapped);
    EXPECT_EQ(compares_of(*mapped), "/nett/state/record/machine/a=7 /nett/state/record/machine/b=8 ");
    EXPECT_EQ(deletes_of(*mapped), "");
    EXPECT_EQ(puts_of(*mapped),
              "/nett/state/record/machine/a /nett/state/record/machine/b /nett/state/index/machine/mac/m2 "
              "/nett/state/index/machine/mac/m1 /nett/state/last ");
}

TEST(ReplicationMapping, ADeletionReleasesAndADeletionOfNothingOnlyCompares) {
    Copy copy;
    copy.records["machine/a"] = {7, {{"mac", "m1"}, {"tenant", "t/a"}}};
    Transaction transaction;
    transaction.deletes = {{"machine", "a"}, {"machine", "none"}};
    const auto mapped = map_transaction(kLayout, transaction, copy, kStamp);
    EXPECT_EQ(compares_of(*mapped), "/nett/state/record/machine/a=7 /nett/state/record/machine/none=0 ");
    EXPECT_EQ(deletes_of(*mapped), "/nett/state/record/machine/a /nett/state/index/machine/mac/m1 ");
}

TEST(ReplicationMapping, NothingToChangeLeavesNoStamp) {
    Transaction transaction;
    transaction.compares = {{"machine", "a", 5}};
    const auto mapped = map_transaction(kLayout, transaction, Copy(), kStamp);
    EXPECT_FALSE(mapped->changes());
}

TEST(ReplicationLayout, KeysReadBack) {
    const auto place = kLayout.parse(kLayout.record("allocation", "pool/machine-1"));
    EXPECT_EQ(place.sort, StateKey::Sort::kRecord);
    EXPECT_EQ(place.kind, "allocation");
    EXPECT_EQ(place.key, "pool/machine-1");
    EXPECT_EQ(kLayout.parse("/nett/state/last").sort, StateKey::Sort::kLast);
    EXPECT_EQ(kLayout.parse("/nett/state/index/a/b/c").sort, StateKey::Sort::kIndex);
    for (const char* foreign :
         {"/other/state/record/a/b", "/nett/state/record/a", "/nett/state/record//b", "/nett/meta"})
        EXPECT_EQ(kLayout.parse(foreign).sort, StateKey::Sort::kOther) << foreign;
    EXPECT_EQ(kLayout.server_name(kLayout.server("gw-1")), "gw-1");
}

TEST(ReplicationLayout, RecordsReadBackByteForByte) {
    const std::string value = "{\"a\":\"x\ny\"}\n\n";
    const auto text = decode_record_text(encode_record(value, {{"mac", "52:54:00"}, {"x", "\"\\\n"}}));
    ASSERT_TRUE(text);
    EXPECT_EQ(text->value, value);
    ASSERT_EQ(text->indexes.size(), 2U);
    EXPECT_EQ(text->indexes[1].value, "\"\\\n");
    for (const char* bad : {"", "{}", "{}\n", "{\"indexes\":[1]}\n", "{\"indexes\":[[\"a\"]]}\n", "[]\nvalue"})
        EXPECT_FALSE(decode_record_text(bad)) << bad;
}

EtcdEvent changed(std::string key, std::string value, Revision revision) {
    return {false, {std::move(key), std::move(value), revision}};
}

TEST(ReplicationAssembler, OneRevisionIsOneTransactionWithItsAuthor) {
    Assembler assembler(kLayout);
    EtcdEvents events;
    events.events = {changed(kLayout.record("machine", "a"), encode_record("A", {{"mac", "m"}}), 5),
                     changed(kLayout.index("machine", {"mac", "m"}), "a", 5),
                     changed(kLayout.last(), encode(kStamp), 5),
                     {true, {kLayout.record("machine", "b"), "", 6}}};
    events.complete_to = 6;
    const auto whole = assembler.add(events);
    ASSERT_EQ(whole.revisions.size(), 2U);
    EXPECT_EQ(whole.revisions[0].revision, 5U);
    EXPECT_EQ(whole.revisions[0].transaction.puts.at(0).value, "A");
    EXPECT_EQ(whole.revisions[0].transaction.puts.at(0).indexes.at(0).value, "m");
    EXPECT_EQ(whole.revisions[0].transaction.reason, "because");
    EXPECT_EQ(whole.revisions[1].transaction.deletes.at(0).key, "b");
    ASSERT_EQ(whole.ids.size(), 1U);
    EXPECT_EQ(whole.ids[0], std::pair(std::string("id-1"), Revision(5)));
    EXPECT_TRUE(whole.damaged.empty());
}

TEST(ReplicationAssembler, ARevisionThatCameInPartWaitsForTheRest) {
    Assembler assembler(kLayout);
    const auto first = assembler.add({{changed(kLayout.record("machine", "a"), encode_record("A", {}), 5)}, 4});
    EXPECT_TRUE(first.revisions.empty());
    const auto second = assembler.add({{changed(kLayout.record("machine", "b"), encode_record("B", {}), 5)}, 5});
    ASSERT_EQ(second.revisions.size(), 1U);
    EXPECT_EQ(second.revisions[0].transaction.puts.size(), 2U);
}

TEST(ReplicationAssembler, WhatIsNotReadableIsNamedAndLeftOut) {
    Assembler assembler(kLayout);
    const auto whole = assembler.add({{changed(kLayout.record("machine", "a"), "by hand", 5)}, 5});
    ASSERT_EQ(whole.damaged.size(), 1U);
    EXPECT_EQ(whole.damaged[0], "/nett/state/record/machine/a");
    EXPECT_TRUE(whole.revisions.at(0).transaction.puts.empty());
}

Meta cluster(std::uint64_t id) {
    Meta meta;
    meta.cluster = id;
    return meta;
}

TEST(ReplicationJoin, AnEmptyServerMakesOrJoins) {
    EXPECT_EQ(*decide_join(std::nullopt, {0, 1, 0, 0}, 1), Join::kMake);
    EXPECT_EQ(*decide_join(cluster(4), {0, 1, 0, 0}, 9), Join::kAdopt);
    EXPECT_EQ(*decide_join(cluster(4), {4, 1, 8, 100}, 9), Join::kGoOn);
}

TEST(ReplicationJoin, RecordsOfItsOwnAreNeverThrownAway) {
    for (const auto& refused :
         {decide_join(std::nullopt, {0, 1, 8, 100}, 1), decide_join(cluster(4), {0, 1, 8, 100}, 9),
          decide_join(cluster(4), {5, 1, 8, 100}, 9), decide_join(std::nullopt, {5, 1, 8, 100}, 9),
          decide_join(cluster(4), {4, 1, 10, 100}, 9)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    }
}

TEST(ReplicationJoin, WaitsForAnImportAndRefusesANewerFormat) {
    auto meta = cluster(4);
    meta.importing = true;
    EXPECT_EQ(decide_join(meta, {0, 1, 0, 0}, 9).error().code, Code::kUnavailable);
    meta = cluster(4);
    meta.format = kFormat + 1;
    EXPECT_EQ(decide_join(meta, {0, 1, 0, 0}, 9).error().code, Code::kFailedPrecondition);
}

Standing standing(std::optional<int> age_s) {
    Standing out;
    if (age_s) out.age = std::chrono::seconds(*age_s);
    out.bound = std::chrono::seconds(10);
    out.etcd_answers = true;
    return out;
}
ServerState announcing(std::string name, std::int64_t age_ms) {
    ServerState state{std::move(name), "", ""};
    state.age_ms = age_ms;
    state.announcing = true;
    return state;
}

TEST(ReplicationLag, WithinTheBoundIsOk) {
    EXPECT_EQ(judge(standing(10)).state, HealthState::kOk);
}

TEST(ReplicationLag, AStaleServerWithdrawsOnlyWhileAFresherOneAnnounces) {
    auto stale = standing(11);
    EXPECT_EQ(judge(stale).state, HealthState::kFailed);
    EXPECT_EQ(judge(stale).scope, HealthScope::kShared);
    stale.others = {announcing("gw-2", 200)};
    EXPECT_EQ(judge(stale).scope, HealthScope::kLocal);
    stale.others = {announcing("gw-2", 11'000)};
    EXPECT_EQ(judge(stale).scope, HealthScope::kShared);
    stale.others = {announcing("gw-2", -1)};
    EXPECT_EQ(judge(stale).scope, HealthScope::kShared);
    stale.others = {announcing("gw-2", 200)};
    stale.others[0].announcing = false;
    EXPECT_EQ(judge(stale).scope, HealthScope::kShared);
}

TEST(ReplicationLag, WithoutEtcdWhatOthersSaidLastDoesNotCount) {
    auto stale = standing(11);
    stale.others = {announcing("gw-2", 200)};
    stale.etcd_answers = false;
    EXPECT_EQ(judge(stale).scope, HealthScope::kShared);
    EXPECT_EQ(judge(stale).state, HealthState::kFailed);
}

}  // namespace
}  // namespace nett::replication
