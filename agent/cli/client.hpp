// The management API as nettsh uses it: lines in, output and a prompt out.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace grpc {
class ClientContext;
}

namespace nett::cli {

// How one line ended.
struct Answer {
    std::string error;                             // not empty: the command failed, or the agent does not answer
    std::string prompt;                            // for the next line; empty when the agent does not answer
    bool left = false;                             // the session is over
    bool unreachable = false;                      // the agent does not answer; `error` has the remedy
    std::optional<unsigned> terminal_length = {};  // `terminal length N` was given
    std::optional<std::string> monitor = {};       // the line to follow() from now on; empty: none
};

struct Suggestion {
    std::string token;
    std::string help;
    bool insertable = false;
};

struct Suggestions {
    std::vector<Suggestion> list;
    bool complete = false;  // the line is a whole command already
};

// Where the agent is, and who we are to it.
struct Target {
    std::string socket;       // of an agent on this host
    std::string server;       // "[2001:db8::1]:8443"; empty: the socket
    std::string certificate;  // PEM files, for `server`
    std::string private_key;
    std::string ca;
    std::string server_name;  // in its certificate; empty: its address
};

// The call that is under way, so that another thread can end it.
class RunningCall {
public:
    // False: none is under way; a later one is refused if `for_good`. Thread-safe.
    bool cancel(bool for_good = false);

private:
    friend class Client;
    std::mutex mutex_;                        // guards what follows
    grpc::ClientContext* context_ = nullptr;  // null: none
    bool closed_ = false;
    // False: closed.
    bool begin(grpc::ClientContext& context);
    void end();
};

// One session with an agent. One thread, but for interrupt() and follow().
class Client {
public:
    // The error says why nobody answers there, and the remedy.
    static tl::expected<Client, std::string> connect(const Target& target);
    Client(Client&&) noexcept;
    ~Client();

    // Runs a line; `output` gets its parts as they come. What the agent wants saved (`backup FILE`) is saved, and said.
    // `interactive`: the caller does what Answer::monitor asks for; else such a line runs until it is interrupted.
    Answer execute(const std::string& line, bool json, const std::function<void(const std::string&)>& output,
                   bool interactive = false);
    // Runs a line that does not end in a session of its own, until `call` is cancelled. What ended it; nothing when it
    // was the cancellation. For a thread beside the one of execute().
    std::string follow(const std::string& line, bool json, const std::function<void(const std::string&)>& output,
                       RunningCall& call) const;
    // What may follow `line`; empty when the agent does not answer.
    Suggestions complete(const std::string& line);
    // Cancels the line that runs; false when none does. Thread-safe.
    bool interrupt();

private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace nett::cli
