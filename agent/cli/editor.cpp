#include "agent/cli/editor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cli/completer.hpp"

namespace nett::cli {

namespace {

constexpr int kHistoryLength = 1000;  // lines

std::string history_path() {
    const char* home = std::getenv("HOME");
    return home == nullptr || *home == '\0' ? std::string() : std::string(home) + "/.nettsh_history";
}

}  // namespace

struct Editor::Impl {
    std::function<Suggestions(const std::string&)> complete;
    Notices notices;
    std::string prompt;
    std::string history_file = history_path();
    EditLine* edit = nullptr;
    History* history = nullptr;

    static Impl& of(EditLine* edit) {
        void* self = nullptr;
        el_get(edit, EL_CLIENTDATA, &self);
        return *static_cast<Impl*>(self);
    }

    static std::string until_cursor(EditLine* edit) {
        const LineInfo* line = el_line(edit);
        return {line->buffer, line->cursor};
    }

    static void show(const Suggestions& suggestions) {
        std::fputs(("\n" + help_text(suggestions)).c_str(), stdout);
        std::fflush(stdout);
    }

    static unsigned char on_help(EditLine* edit, int) {
        std::fputc('?', stdout);
        show(of(edit).complete(until_cursor(edit)));
        return CC_REDISPLAY;
    }

    static unsigned char on_tab(EditLine* edit, int) {
        const auto line = until_cursor(edit);
        const auto suggestions = of(edit).complete(line);
        const auto insertion = tab_insertion(line, suggestions);
        if (!insertion.empty()) return el_insertstr(edit, insertion.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
        if (suggestions.list.empty()) return CC_ERROR;
        show(suggestions);
        return CC_REDISPLAY;
    }

    static unsigned char on_interrupt(EditLine* edit, int) {
        const LineInfo* line = el_line(edit);
        el_cursor(edit, static_cast<int>(line->lastchar - line->cursor));
        line = el_line(edit);
        el_deletestr(edit, static_cast<int>(line->lastchar - line->buffer));
        std::fputs("^C\n", stdout);
        std::fflush(stdout);
        return CC_REDISPLAY;
    }

    // A capability of the terminal (terminfo(5)), or nothing.
    static std::string capability(EditLine* edit, const char* name) {
        char* text = nullptr;
        return el_get(edit, EL_GETTC, name, &text) == 0 && text != nullptr ? text : std::string();
    }

    // Rows between the one of the prompt's begin and the one of the cursor.
    int rows_above(EditLine* edit) const {
        int columns = 0;
        const bool known = el_get(edit, EL_GETTC, "co", &columns) == 0 && columns > 0;
        const auto wide = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; };
        const auto line = until_cursor(edit);
        const auto used =
            std::count_if(prompt.begin(), prompt.end(), wide) + std::count_if(line.begin(), line.end(), wide);
        return known ? static_cast<int>(used) / columns : 0;
    }

    // Prints what came meanwhile where the prompt was, and the prompt and the line below it.
    void print_notices(EditLine* edit) const {
        const auto text = notices.take();
        if (text.empty()) return;
        const auto clear = capability(edit, "cd");
        const auto up = capability(edit, "up");
        std::string out = clear.empty() ? "\n" : "\r";
        for (int row = clear.empty() || up.empty() ? 0 : rows_above(edit); row > 0; --row) out += up;
        out += clear + text;
        std::fputs(out.c_str(), stdout);
        std::fflush(stdout);
        el_set(edit, EL_REFRESH);
    }

    // libedit's source of characters: its own, once there is one to read.
    static int next_character(EditLine* edit, wchar_t* out) {
        auto& self = of(edit);
        while (self.notices.descriptor >= 0) {
            std::array<pollfd, 2> ready{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{self.notices.descriptor, POLLIN, 0}};
            if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) break;
            // A key first: who types fast is not held up by an agent that talks much.
            if (ready[0].revents != 0) break;
            if (ready[1].revents != 0) self.print_notices(edit);
        }
        el_set(edit, EL_GETCFN, EL_BUILTIN_GETCFN);
        const int got = el_wgetc(edit, out);
        el_set(edit, EL_GETCFN, next_character);
        return got;
    }

    static char* prompt_of(EditLine* edit) { return of(edit).prompt.data(); }

    void remember(const std::string& line) {
        HistEvent event = {};
        ::history(history, &event, H_ENTER, line.c_str());
        save();  // a connection that breaks takes the shell with it
    }

    void save() {
        if (history_file.empty()) return;
        HistEvent event = {};
        // What was typed is nobody else's business.
        const auto mask = umask(S_IRWXG | S_IRWXO);
        ::history(history, &event, H_SAVE, history_file.c_str());
        umask(mask);
    }
};

Editor::Editor(std::function<Suggestions(const std::string&)> complete, Notices notices)
    : impl_(new Impl{std::move(complete), std::move(notices)}) {
    auto* edit = el_init("nettsh", stdin, stdout, stderr);
    impl_->edit = edit;
    impl_->history = history_init();
    HistEvent event = {};
    history(impl_->history, &event, H_SETSIZE, kHistoryLength);
    history(impl_->history, &event, H_SETUNIQUE, 1);
    if (!impl_->history_file.empty()) history(impl_->history, &event, H_LOAD, impl_->history_file.c_str());
    el_set(edit, EL_CLIENTDATA, impl_.get());
    el_set(edit, EL_PROMPT, Impl::prompt_of);
    el_set(edit, EL_GETCFN, Impl::next_character);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_HIST, ::history, impl_->history);
    el_set(edit, EL_ADDFN, "nett-help", "List what may follow", Impl::on_help);
    el_set(edit, EL_ADDFN, "nett-complete", "Complete the word", Impl::on_tab);
    el_set(edit, EL_ADDFN, "nett-interrupt", "Empty the line", Impl::on_interrupt);
    // The user's own bindings, before ours: `?` and Tab are what this shell is about.
    el_source(edit, nullptr);
    el_set(edit, EL_BIND, "?", "nett-help", nullptr);
    el_set(edit, EL_BIND, "^I", "nett-complete", nullptr);
    el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // Ctrl-C is a key while a line is edited, and a signal while a command runs.
    el_set(edit, EL_SETTY, "-d", "-isig", nullptr);
    el_set(edit, EL_BIND, "^C", "nett-interrupt", nullptr);
}

Editor::~Editor() {
    history_end(impl_->history);
    el_end(impl_->edit);
}

std::optional<std::string> Editor::read_line(const std::string& prompt) {
    impl_->prompt = prompt;
    int length = 0;
    // el_gets() would show the prompt first; a key pressed between the two would be the kernel's.
    el_set(impl_->edit, EL_PREP_TERM, 1);
    const char* line = el_gets(impl_->edit, &length);
    if (line == nullptr || length <= 0) return std::nullopt;
    std::string text(line, static_cast<std::size_t>(length));
    text.erase(text.find_last_not_of(" \t\r\n") + 1);
    if (!text.empty()) impl_->remember(text);
    return text;
}

}  // namespace nett::cli
