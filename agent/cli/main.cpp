// nettsh: the shell of the nett router agent. A thin client; the command tree lives in nettd.
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "agent/cli/client.hpp"
#include "agent/cli/editor.hpp"
#include "agent/cli/monitor.hpp"
#include "agent/cli/pager.hpp"

namespace nett::cli {
namespace {

enum ExitStatus : int { kOk = 0, kCommandFailed = 1, kUnreachable = 2 };

struct Options {
    Target target{"/run/nett/nettd.sock", {}, {}, {}, {}, {}};
    std::vector<std::string> commands;
    std::string file;
    std::string completed;  // for the completion of an outer shell
    bool json = false;
};

// "% " and the message; its further lines are indented.
void print_error(std::string error) {
    std::fflush(stdout);
    for (auto at = error.find('\n'); at != std::string::npos; at = error.find('\n', at + 1)) error.insert(at + 1, "  ");
    std::fprintf(stderr, "%% %s\n", error.c_str());
}

void print_plain(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

// A cut-off session would look like success; so what was not committed is an error.
int leave(Client& client, int status) {
    const auto answer = client.execute("logout", false, print_plain);
    if (answer.error.empty()) return status;
    print_error(answer.error);
    return status == kOk ? (answer.unreachable ? kUnreachable : kCommandFailed) : status;
}

// Lines until the first that fails. `place` names the line in an error: "setup.nett:3", or nothing.
class Script {
public:
    Script(Client& client, bool json) : client_(client), json_(json) {}

    // False: stop.
    bool run(const std::string& line, const std::string& place) {
        if (left_) return false;
        const auto answer = client_.execute(line, json_, print_plain);
        left_ = answer.left;
        if (answer.error.empty()) return true;
        print_error(place.empty() ? answer.error : place + ": " + answer.error);
        status_ = answer.unreachable ? kUnreachable : kCommandFailed;
        return false;
    }

    int finish() { return left_ || status_ == kUnreachable ? status_ : leave(client_, status_); }

private:
    Client& client_;
    bool json_;
    bool left_ = false;
    int status_ = kOk;
};

int run_commands(Client& client, const Options& options) {
    Script script(client, options.json);
    for (const auto& command : options.commands) {
        if (!script.run(command, "")) break;
    }
    return script.finish();
}

int run_stream(Client& client, const Options& options, std::istream& in, const std::string& name) {
    Script script(client, options.json);
    std::string line;
    for (unsigned number = 1; std::getline(in, line); ++number) {
        if (!script.run(line, fmt::format("{}:{}", name, number))) break;
    }
    return script.finish();
}

int run_file(Client& client, const Options& options) {
    std::ifstream in(options.file);
    if (!in) {
        print_error(fmt::format("cannot read {}", options.file));
        return kCommandFailed;
    }
    return run_stream(client, options, in, options.file);
}

int run_interactive(Client& client, const Options& options) {
    signal(SIGPIPE, SIG_IGN);  // of a pager that was left early
    auto answer = client.execute("", false, print_plain);
    if (!answer.error.empty()) {
        print_error(answer.error);
        return answer.unreachable ? kUnreachable : kCommandFailed;
    }
    Monitor monitor(client, options.json);
    Editor editor([&](const std::string& line) { return client.complete(line); },
                  {monitor.descriptor(), [&monitor] { return monitor.take(); }});
    std::string prompt = answer.prompt;
    std::optional<unsigned> length;
    const auto print = [&length](const std::string& text) { print_paged(text, length); };
    while (const auto line = editor.read_line(prompt)) {
        answer = client.execute(*line, options.json, print, true);
        if (answer.terminal_length) length = answer.terminal_length;
        if (answer.monitor) monitor.follow(*answer.monitor);
        if (!answer.error.empty()) print_error(answer.error);
        if (answer.left) return kOk;
        if (!answer.prompt.empty()) prompt = answer.prompt;
    }
    std::fputc('\n', stdout);
    return leave(client, kOk);
}

// The words that may follow, for a shell outside.
int run_completion(Client& client, const std::string& line) {
    for (const auto& suggestion : client.complete(line).list) {
        if (suggestion.insertable) print_plain(suggestion.token + "\n");
    }
    return kOk;
}

// SIGINT cancels the command that runs; outside of one it ends a script, and a terminal's line editor has it as a key.
// A thread takes the signal, because a handler may not call gRPC. Lives as long as the process.
void handle_interrupts(Client& client, bool interactive) {
    std::thread([&client, interactive] {
        sigset_t interrupts;
        sigemptyset(&interrupts);
        sigaddset(&interrupts, SIGINT);
        int number = 0;
        while (sigwait(&interrupts, &number) == 0) {
            constexpr int kKilledByInterrupt = 128 + SIGINT;  // the shells' convention
            if (!client.interrupt() && !interactive) _exit(kKilledByInterrupt);
        }
    }).detach();
}

void block_signals() {
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupts, nullptr);
}

int run(const Options& options) {
    block_signals();
    auto client = Client::connect(options.target);
    if (!client) {
        print_error(client.error());
        return kUnreachable;
    }
    const bool interactive =
        options.commands.empty() && options.file.empty() && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
    handle_interrupts(*client, interactive);
    if (!options.completed.empty()) return run_completion(*client, options.completed);
    if (!options.commands.empty()) return run_commands(*client, options);
    if (!options.file.empty() && options.file != "-") return run_file(*client, options);
    return interactive ? run_interactive(*client, options) : run_stream(*client, options, std::cin, "stdin");
}

}  // namespace
}  // namespace nett::cli

int main(int argc, char** argv) {
    std::setlocale(LC_ALL, "");
    // gRPC's own log lines say less than the messages above.
    setenv("GRPC_VERBOSITY", "NONE", 0);
    nett::cli::Options options;
    CLI::App app(
        "The shell of the nett router agent.\n\n"
        "Without -c and -f on a terminal: interactive; Tab completes, ? lists what may follow.\n"
        "Otherwise lines are read from standard input. A script stops at the first command that fails.",
        "nettsh");
    app.add_option("-c,--command", options.commands,
                   "run this command and exit; may be given many times, all in one session")
        ->type_name("COMMAND")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("-f,--file", options.file, "run the commands of this file and exit; - is standard input")
        ->type_name("FILE")
        ->excludes("--command");
    app.add_flag("-j,--json", options.json, "answer with JSON");
    app.add_option("-s,--socket", options.target.socket, "the agent's socket")
        ->type_name("PATH")
        ->capture_default_str();
    app.add_option("--server", options.target.server, "an agent on another host; needs the three options below")
        ->type_name("[ADDRESS]:PORT")
        ->excludes("--socket");
    app.add_option("--certificate", options.target.certificate, "our certificate (PEM)")->type_name("PATH");
    app.add_option("--private-key", options.target.private_key, "its key (PEM)")->type_name("PATH");
    app.add_option("--ca", options.target.ca, "roots that the agent's certificate chains to (PEM)")->type_name("PATH");
    app.add_option("--server-name", options.target.server_name,
                   "name in the agent's certificate, if it is not its address")
        ->type_name("NAME");
    app.add_option("--complete", options.completed, "")->group("");  // of the completion script
    app.set_version_flag("--version", std::string("nettsh ") + NETT_VERSION);
    app.footer(
        "Exit status: 0 all commands succeeded, 1 a command failed, 2 the agent cannot be reached.\n\n"
        "Examples:\n"
        "  nettsh -c 'show machines'\n"
        "  nettsh --json -c 'show health'\n"
        "  nettsh -c 'configure terminal' -c 'plugin ra' -c 'interval 10' -c commit -c 'write memory'");
    CLI11_PARSE(app, argc, argv);
    return nett::cli::run(options);
}
